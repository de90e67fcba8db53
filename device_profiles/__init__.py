"""On what a tflite model is to run: profiles, the workload of a model, and the prediction of its latency."""
