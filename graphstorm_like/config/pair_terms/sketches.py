"""`task.pairs.type: sketches`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.pair_terms.base import PairTermConfig


class SketchesConfig(PairTermConfig):
    """How many nodes are near both ends, within one and two steps, by hashes of their surroundings (BUDDY, Chamberlain
    et al., ICLR 2023): where common neighbours are too many to be counted."""

    type: Literal["sketches"]
    hashes: Annotated[int, Field(ge=16)] = 128
    """Smallest hashes of a surrounding (minhash), 4 bytes each: the error of an overlap falls with the root of their
    number."""
    registers: Literal[64, 128, 256, 512, 1024] = 256
    """By which sizes are counted (HyperLogLog), 1 byte each: 256 give sizes to 6.5 %, 1024 to 3.3 %."""
    width: PositiveInt = 16
    """Of the network's hidden layer."""

    @property
    def reads_all_relations(self) -> bool:
        """See PairTermConfig."""
        return True
