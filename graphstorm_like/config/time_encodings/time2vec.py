"""`model.time.encode.type: time2vec`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.time_encodings.base import TimeEncodingConfig


class Time2VecConfig(TimeEncodingConfig):
    """A straight line and sines, with learnable slopes, periods and phases (Time2Vec: Kazemi et al. 2019): unlike
    cosines alone it also tells ages apart that are longer than all periods."""

    type: Literal["time2vec"]
