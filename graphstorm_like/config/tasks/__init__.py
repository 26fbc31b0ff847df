"""`task:` what is predicted, how it is scored, and which number selects the model.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.tasks.base import TaskConfig
from graphstorm_like.registry import import_modules

__all__ = ["TaskConfig"]

import_modules(__name__)
