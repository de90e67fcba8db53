"""Vela, the compiler of Arm's Ethos-U: what it is told, how it is run, and what it says."""
