"""What is done: one module a stage, each turning artifacts into artifacts."""
