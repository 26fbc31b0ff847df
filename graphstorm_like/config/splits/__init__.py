"""`split:` of labels and edges: which rows are for training, validation and test.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.splits.base import SplitConfig
from graphstorm_like.registry import import_modules

__all__ = ["SplitConfig"]

import_modules(__name__)
