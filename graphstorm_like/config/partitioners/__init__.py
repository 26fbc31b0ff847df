"""`graph.partitions:` in how many partitions a graph folder is, and which nodes go where.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.partitioners.base import PartitionsConfig, SeededPartitions
from graphstorm_like.registry import import_modules

__all__ = ["PartitionsConfig", "SeededPartitions"]

import_modules(__name__)
