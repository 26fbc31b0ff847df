"""Random streams that depend only on where they are used: (seed, purpose, epoch, step).

So a resumed run draws what the uninterrupted one would have drawn, without any state to restore, and the number of
sampler processes makes no difference.
"""

from __future__ import annotations

from typing import Final

import numpy as np

PURPOSES: Final = {
    "shuffle": 1,
    "neighbors": 2,
    "negatives": 3,
    "model": 4,
    "dropout": 5,
    "ranking": 6,
    "inference": 7,
    "texts": 8,
    "mask": 9,
    "edges": 10,
    "embedding": 11,
    "hot rows": 12,
    "attack": 13,
    "views": 14,
    "groups": 15,
}


def stream(seed: int, purpose: str, *position: int) -> np.random.Generator:
    """A numpy generator for one purpose at one position, e.g. stream(seed, 'neighbors', epoch, step)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, PURPOSES[purpose], *position])))


def torch_seed(seed: int, purpose: str, *position: int) -> int:
    """A seed for torch.manual_seed, derived in the same way."""
    words = np.random.SeedSequence([seed, PURPOSES[purpose], *position]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))
