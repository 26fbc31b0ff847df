"""Makes mini-batches: seeds, neighbourhoods, negatives and features for a position in the stream."""
