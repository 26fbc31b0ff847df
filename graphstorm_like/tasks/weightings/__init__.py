"""Task weightings, one a file, found by the class of their configuration."""

from graphstorm_like.tasks.weightings.base import WEIGHTINGS, StepLosses, TaskWeighting

__all__ = ["WEIGHTINGS", "StepLosses", "TaskWeighting"]
