"""Which of two tflite models is faster: the protocol, the rule that decides, what disturbed it, and baselines kept."""
