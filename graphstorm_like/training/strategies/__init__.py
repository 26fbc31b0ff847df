"""Strategies: the phases of a training, one small module a kind, all over the one training loop."""

from graphstorm_like.training.strategies.run import final_experiment, phase_plan, run_phases

__all__ = ["final_experiment", "phase_plan", "run_phases"]
