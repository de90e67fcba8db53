"""Why a variant scores lower than its float model, and why it is not faster: pairs, noise, causes, slowness."""
