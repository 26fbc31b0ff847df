"""`launch:` over how many hosts and processes, and who starts them.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.launchers.base import LaunchConfig, Port
from graphstorm_like.registry import import_modules

__all__ = ["LaunchConfig", "Port"]

import_modules(__name__)
