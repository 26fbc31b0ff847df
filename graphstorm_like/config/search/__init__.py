"""`infer.search` and `gsl index`: how the nearest vectors are looked up.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.search.base import SearchConfig
from graphstorm_like.registry import import_modules

__all__ = ["SearchConfig"]

import_modules(__name__)
