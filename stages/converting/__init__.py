"""What stands behind the convert stage: the two converters, and the change of a tflite model's surface."""
