"""Tests of the look into model files."""
