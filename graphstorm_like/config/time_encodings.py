"""`model.time.encode`: how long ago an edge or a node was -> numbers.

cosine     periods that repeat
time2vec   periods, and a trend
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from graphstorm_like.config.base import Accepts, PositiveFloat
from graphstorm_like.config.choice import Choice


class TimeEncodingConfig(Choice, tag="type"):
    """Ages, from an edge or a node to the seed's point in time -> `width` numbers."""

    type: str
    width: Annotated[int, Field(ge=2)] = 16
    """Numbers of an age."""
    longest: PositiveFloat = 1000.0
    """The longest period with which the first weights begin: days, or the unit of the numbers that times are."""
    shortest: PositiveFloat = 1.0
    """The shortest one."""


def _type_alone(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


TimeEncodingField = Annotated[TimeEncodingConfig, BeforeValidator(_type_alone), Accepts("string")]
"""Just the name of a type stands for its defaults."""


class CosineConfig(TimeEncodingConfig):
    """Cosines with learnable periods and phases (TGAT: Xu et al., ICLR 2020)."""

    type: Literal["cosine"]


class Time2VecConfig(TimeEncodingConfig):
    """A straight line and sines, with learnable slopes, periods and phases (Time2Vec: Kazemi et al. 2019): unlike
    cosines alone it also tells ages apart that are longer than all periods."""

    type: Literal["time2vec"]
