"""Renderers: they turn a finished record into text, plots and pages, and compute nothing that it does not hold."""
