"""`features:` of a table: how columns become numbers.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.features.base import FeatureConfig, FeatureField, made_by
from graphstorm_like.registry import import_modules

__all__ = ["FeatureConfig", "FeatureField", "made_by"]

import_modules(__name__)
