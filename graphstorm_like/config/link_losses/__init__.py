"""`task.loss`: what link prediction minimises.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.link_losses.base import LinkLossConfig
from graphstorm_like.registry import import_modules

__all__ = ["LinkLossConfig"]

import_modules(__name__)
