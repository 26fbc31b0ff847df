"""Simple models on a pipeline's own splits: what a language model and a graph network have to beat."""
