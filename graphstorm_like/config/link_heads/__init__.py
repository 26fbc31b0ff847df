"""`task.head`: what scores links.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.link_heads.base import LinkHeadConfig
from graphstorm_like.registry import import_modules

__all__ = ["LinkHeadConfig"]

import_modules(__name__)
