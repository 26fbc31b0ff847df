"""What a model reads: features, vectors of texts, fixed or learning, and learnable vectors of nodes."""
