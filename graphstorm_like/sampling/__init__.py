"""From a position in the stream to a whole MiniBatch."""
