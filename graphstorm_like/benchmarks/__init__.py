"""Measurements that print a table: ours, and others on the same work in turn."""
