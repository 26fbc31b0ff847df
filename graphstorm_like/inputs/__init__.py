"""The inputs of a model: features, text vectors (fixed or in training), images, and learnable node embeddings."""
