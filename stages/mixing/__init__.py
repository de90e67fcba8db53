"""A format for each layer: what a model can be taken apart into, what each format costs, and the choice."""
