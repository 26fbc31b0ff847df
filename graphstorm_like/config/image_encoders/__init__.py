"""`model.image_encoder`: what makes vectors of images.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.image_encoders.base import ImageEncoderConfig
from graphstorm_like.registry import import_modules

__all__ = ["ImageEncoderConfig"]

import_modules(__name__)
