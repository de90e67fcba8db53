"""Measuring one tflite model in one engine: what may be set, and one variant's worker and rounds."""
