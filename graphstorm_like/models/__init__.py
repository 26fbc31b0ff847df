"""Encoders, heads, losses, and the model that joins them."""
