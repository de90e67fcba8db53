"""`python -m pipeline` is `litesmith`."""

from pipeline.cli import entry

entry()
