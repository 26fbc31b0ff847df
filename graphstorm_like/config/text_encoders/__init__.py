"""`model.text_encoder`: what makes vectors of texts.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.text_encoders.base import TextEncoderConfig
from graphstorm_like.registry import import_modules

__all__ = ["TextEncoderConfig"]

import_modules(__name__)
