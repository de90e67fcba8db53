"""Parts of `stages/distillation.py`: losses between teacher and student, and hints from layer to layer."""
