"""The version of litesmith, read by setup.cfg at build time."""

VERSION = "0.1.0"
