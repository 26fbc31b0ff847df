"""`model.time.encode`: how long ago an edge or a node was -> numbers.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.time_encodings.base import TimeEncodingConfig, TimeEncodingField
from graphstorm_like.registry import import_modules

__all__ = ["TimeEncodingConfig", "TimeEncodingField"]

import_modules(__name__)
