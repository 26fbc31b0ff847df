"""Trained models that travel: packed into a folder, and applied to other graphs than those they were trained on."""
