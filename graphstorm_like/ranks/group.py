"""The processes that train together, as one of them sees them. This class is a group of one process;
`ranks.torch_group` has the one whose ranks communicate. All ranks call the same methods in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphstorm_like.graph.store import IntArray

if TYPE_CHECKING:
    from torch import Tensor


class Group:
    """A single process: rank 0 of 1."""

    rank = 0
    size = 1
    host = 0
    hosts = 1
    local_rank = 0
    local_size = 1
    shares_files = True
    """Whether all hosts write into one file system. Otherwise each has folders of its own, with what all ranks have
    alike and the files of its own ranks."""

    @property
    def leads_host(self) -> bool:
        """Whether this process does the work that one process does for its whole host."""
        return self.local_rank == 0

    @property
    def writes_files(self) -> bool:
        """Whether this process writes what one rank writes for all: the first, or the leader of each host where hosts
        share no files."""
        return self.rank == 0 if self.shares_files else self.leads_host

    def mine(self, rows: IntArray) -> IntArray:
        """This rank's share of some rows: a contiguous block."""
        return rows[len(rows) * self.rank // self.size : len(rows) * (self.rank + 1) // self.size]

    def total(self, values: npt.NDArray[np.float64], what: str) -> npt.NDArray[np.float64]:
        """The sum over ranks, exact for counts up to 2^53; an error names `what`."""
        return values

    def barrier(self, what: str) -> None:
        """Wait until all ranks have called this."""

    def leader_first(self, what: str) -> None:
        """The leader of each host continues; the others wait until all leaders call `leader_done`. May take hours."""

    def leader_done(self, what: str) -> None:
        """See leader_first."""

    def collect(self, text: str, what: str) -> list[str]:
        """The texts of all ranks, in the order of ranks."""
        return [text]

    def from_first(self, text: str, what: str) -> str:
        """The text of rank 0."""
        return self.collect(text if self.rank == 0 else "", what)[0]

    def sum_(self, tensors: Sequence[Tensor], what: str) -> None:
        """Replace tensors by their sums over ranks."""

    def gather_rows(self, rows: Tensor, sizes: Sequence[int], what: str) -> Tensor:
        """Rows [sizes[rank], D] of every rank, concatenated [sum, D]; gradients flow back to every rank."""
        return rows

    def broadcast(self, tensor: Tensor, source: int, what: str) -> None:
        """Replace a tensor by that of rank `source`, of the same shape."""

    def gather(self, rows: Tensor, what: str) -> Tensor:
        """Rows of every rank, concatenated; ranks may have different numbers of rows. No gradients."""
        return rows

    def exchange(self, rows: Tensor, sizes: Sequence[int], what: str) -> Tensor:
        """Send rows to other ranks: the first sizes[0] to rank 0, the next sizes[1] to rank 1 ... Returns the rows that
        all ranks have sent to this one, in the order of ranks."""
        return rows


SINGLE_PROCESS = Group()
