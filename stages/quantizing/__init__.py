"""What the quantize stage is made of: its options, the post-training formats, and training with quantization."""
