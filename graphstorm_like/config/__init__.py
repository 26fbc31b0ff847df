"""The configuration of a pipeline: one strict tree, checked as a whole."""

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.load import build_pipeline, load_pipeline
from graphstorm_like.config.pipeline import Pipeline

__all__ = ["EdgeType", "Pipeline", "build_pipeline", "edge_name", "load_pipeline"]
