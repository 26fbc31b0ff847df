"""`train.adversarial` and `infer.attacks`: how inputs are changed so that the loss grows.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.attacks.base import AttackConfig
from graphstorm_like.registry import import_modules

__all__ = ["AttackConfig"]

import_modules(__name__)
