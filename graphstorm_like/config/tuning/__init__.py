"""`train.lm.tune`: which weights of the language model learn.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.tuning.base import TuneConfig
from graphstorm_like.registry import import_modules

__all__ = ["TuneConfig"]

import_modules(__name__)
