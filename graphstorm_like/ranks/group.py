"""The processes that train together, as one of them sees them. This class is a group of one process;
`ranks.torch_group` has the one whose ranks communicate. All ranks call the same methods in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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
    own_outputs = False
    """Whether each host has an output folder of its own, which is whole: it gets what the other hosts write, too."""

    @property
    def leads_host(self) -> bool:
        """Whether this process does the work that one process does for its whole host."""
        return self.local_rank == 0

    @property
    def leads_output(self) -> bool:
        """Whether this process writes what one process writes for all that see the same output folder: rank 0, and
        where hosts have output folders of their own the leader of each host."""
        return self.rank == 0

    def share_files(self, folder: Path, names: Sequence[str], what: str) -> None:
        """Bring files that this rank has written below `folder` to the same folder of hosts that do not see it."""

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

    def gather(self, rows: Tensor, what: str) -> Tensor:
        """Rows of every rank, concatenated; ranks may have different numbers of rows. No gradients."""
        return rows

    def exchange(self, rows: Tensor, sizes: Sequence[int], what: str) -> Tensor:
        """Send rows to other ranks: the first sizes[0] to rank 0, the next sizes[1] to rank 1 ... Returns the rows that
        all ranks have sent to this one, in the order of ranks."""
        return rows


SINGLE_PROCESS = Group()
