"""Simple models of a label."""
