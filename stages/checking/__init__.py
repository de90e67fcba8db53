"""Holding a variant against a profile: one limit, all limits, and the pick among those that pass."""
