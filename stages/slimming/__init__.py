"""Whole channels out of a Keras model: which go together, what they are worth, and the narrower model without them."""
