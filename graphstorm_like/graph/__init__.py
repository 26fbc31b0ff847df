"""What a graph is: schema, stores, blocks."""
