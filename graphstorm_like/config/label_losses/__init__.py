"""`task.loss`: what tasks on labels minimise.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.label_losses.base import LabelLossConfig, LossOf
from graphstorm_like.registry import import_modules

__all__ = ["LabelLossConfig", "LossOf"]

import_modules(__name__)
