"""`model.gnn`: the graph networks.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.gnns.base import Dropout, GnnConfig
from graphstorm_like.registry import import_modules

__all__ = ["Dropout", "GnnConfig"]

import_modules(__name__)
