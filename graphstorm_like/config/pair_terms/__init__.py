"""`task.pairs`: what the score of a pair reads of the graph between its two ends.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.pair_terms.base import PairTermConfig, PairTermField
from graphstorm_like.registry import import_modules

__all__ = ["PairTermConfig", "PairTermField"]

import_modules(__name__)
