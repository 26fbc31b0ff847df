"""The processes that train together, as one of them sees it. Alone it is this class; `ranks.torch_group` has the
one that talks. All ranks call the same methods in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphstorm_like.graph.store import IntArray

if TYPE_CHECKING:
    from torch import Tensor


class Group:
    """One process, alone: rank 0 of 1."""

    rank = 0
    size = 1
    host = 0
    hosts = 1
    local_rank = 0
    local_size = 1

    @property
    def leads_host(self) -> bool:
        """Whether this process does what one process of a host must do for all of them."""
        return self.local_rank == 0

    def mine(self, rows: IntArray) -> IntArray:
        """This rank's share of some rows: a block of them."""
        return rows[len(rows) * self.rank // self.size : len(rows) * (self.rank + 1) // self.size]

    def total(self, values: npt.NDArray[np.float64], what: str) -> npt.NDArray[np.float64]:
        """The sum over ranks, exact up to 2^53 for counts; `what` is named when it fails."""
        return values

    def barrier(self, what: str) -> None:
        """Wait until all ranks are here."""

    def leader_first(self, what: str) -> None:
        """The leader of each host goes on, the others wait until all leaders call `leader_done`. May take hours."""

    def leader_done(self, what: str) -> None:
        """See leader_first."""

    def collect(self, text: str, what: str) -> list[str]:
        """What every rank says, in their order."""
        return [text]

    def from_first(self, text: str, what: str) -> str:
        """What rank 0 says."""
        return self.collect(text if self.rank == 0 else "", what)[0]

    def sum_(self, tensors: Sequence[Tensor], what: str) -> None:
        """Replace tensors by their sums over ranks."""

    def gather_rows(self, rows: Tensor, sizes: Sequence[int], what: str) -> Tensor:
        """Rows [sizes[rank], D] of every rank, one below the other [sum, D], with gradients into all of them."""
        return rows

    def gather(self, rows: Tensor, what: str) -> Tensor:
        """Rows of every rank, as many as each has, one below the other; no gradients."""
        return rows

    def exchange(self, rows: Tensor, sizes: Sequence[int], what: str) -> Tensor:
        """rows: first sizes[0] rows for rank 0, then sizes[1] for rank 1 ...; the rows that others have for this rank,
        in the order of ranks."""
        return rows


SINGLE_PROCESS = Group()
