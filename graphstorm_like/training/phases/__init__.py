"""The phases of training, found by the class of their configuration; all use the one training loop."""
