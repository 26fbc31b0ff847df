"""Strategies: the phases of a training, planned and run one after the other."""

from graphstorm_like.training.strategies.plan import phase_plan
from graphstorm_like.training.strategies.run import final_experiment, run_phases, untrained_experiment

__all__ = ["final_experiment", "phase_plan", "run_phases", "untrained_experiment"]
