"""Which partition each node goes to: one module for each method of `graph.partitions`."""
