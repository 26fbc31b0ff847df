"""`task.negatives`: how the wrong targets are drawn.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.negatives.base import NegativesConfig
from graphstorm_like.registry import import_modules

__all__ = ["NegativesConfig"]

import_modules(__name__)
