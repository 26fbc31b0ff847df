"""Partition methods that read the edges in passes, with memory for nodes only."""
