"""`model.time.encode.type: cosine`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.time_encodings.base import TimeEncodingConfig


class CosineConfig(TimeEncodingConfig):
    """Cosines with learnable periods and phases (TGAT: Xu et al., ICLR 2020)."""

    type: Literal["cosine"]
