"""The configuration of a pipeline: one strict tree, checked as a whole."""

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.load import build_pipeline, load_pipeline, load_stitch
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.stitch import StitchConfig

__all__ = ["EdgeType", "Pipeline", "StitchConfig", "build_pipeline", "edge_name", "load_pipeline", "load_stitch"]
