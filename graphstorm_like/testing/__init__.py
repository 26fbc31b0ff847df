"""Tiny graphs and language models, for tests and for trying things out."""
