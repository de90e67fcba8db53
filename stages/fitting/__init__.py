"""Parts of the fit loop in `stages/training.py`: what is set, what a batch is, and what is minimised."""
