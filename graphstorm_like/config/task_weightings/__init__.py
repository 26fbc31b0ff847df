"""`task.weighting`: how much each of several tasks weighs in the loss.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.task_weightings.base import ChosenWeighting, TaskWeightingConfig
from graphstorm_like.registry import import_modules

__all__ = ["ChosenWeighting", "TaskWeightingConfig"]

import_modules(__name__)
