"""Embeddings and predictions in batch, written under the user's own ids."""
