"""`train.phases`: what is trained, one after the other.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.phases.base import PhaseConfig
from graphstorm_like.registry import import_modules

__all__ = ["PhaseConfig"]

import_modules(__name__)
