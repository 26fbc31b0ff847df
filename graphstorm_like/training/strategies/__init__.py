"""Strategies: the stages of a training, one small module a kind, all over the one training loop."""

from graphstorm_like.training.strategies.run import final_experiment, run_stages, stage_plan

__all__ = ["final_experiment", "run_stages", "stage_plan"]
