"""What runs a tflite model: a worker process per engine, its client, and what is known of each engine."""
