"""`train.optimizer`: how gradients become steps.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.optimizers.base import ChosenOptimizer, OptimizerConfig
from graphstorm_like.registry import import_modules

__all__ = ["ChosenOptimizer", "OptimizerConfig"]

import_modules(__name__)
