"""Simple models of links."""
