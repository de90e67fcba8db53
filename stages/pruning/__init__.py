"""Parts of `stages/prune.py`: how many zeros each kernel gets, what a kernel alone costs, the masks, and the count."""
