"""The rank of every scored link, as Parquet under the user's own ids: what mrr and hits are made of.

<folder>/<split>/<source>--<relation>--<target>/part-00000.parquet      source, target, rank, candidates
                 <source>--<relation>--<target>--inverse/...            the same, with the rank of the source
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import is_inverse, stored
from graphstorm_like.files import fsync_path
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.tasks.ranking import Ranks

RANKS_FOLDER = "ranks"
CANDIDATES = "candidates"
"""Column: how many each was ranked among."""


def relation_folder(edge_type: EdgeType) -> str:
    """The name of a relation's folder: without colons, which not every file system has."""
    name = "--".join(stored(edge_type))
    return f"{name}--inverse" if is_inverse(edge_type) else name


class RankFiles:
    """A file a split, relation and rank of the group. The folder is empty at first; `share` ends the writing."""

    def __init__(self, folder: Path, graph: Graph, group: Group = SINGLE_PROCESS) -> None:
        self.folder, self.graph, self.group = folder, graph, group
        self._written: list[str] = []

    def write(self, split: str, edge_type: EdgeType, edge_ids: IntArray, ranks: Ranks) -> None:
        """Ranks [n] of the targets of some edges [n] of a split (of an inverse relation: of their sources): this rank's
        share."""
        edge_folder, edge_type = relation_folder(edge_type), stored(edge_type)
        source, target = self.graph.edges(edge_type, edge_ids)
        table = pa.table(
            {
                "source": self.graph.ids_of(edge_type[0], source),
                "target": self.graph.ids_of(edge_type[2], target),
                "rank": pa.array(ranks.rank),
                CANDIDATES: pa.array(ranks.candidates.astype(np.int64)),
            }
        )
        folder = self.folder / split / edge_folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"part-{self.group.rank:05d}.parquet"
        pq.write_table(table, path, compression="zstd", compression_level=1)
        fsync_path(path)
        self._written.append(path.relative_to(self.folder).as_posix())

    def share(self) -> None:
        """Bring this rank's files to hosts with folders of their own. All ranks call this."""
        self.group.share_files(self.folder, self._written, "writing ranks")


def read_ranks(files: Sequence[Path]) -> Ranks:
    """Of some files. Those of earlier versions do not say among how many: NaN."""
    ranks = [Ranks(np.empty(0), np.empty(0))]
    for file in files:
        table = pq.read_table(file)
        rank = table["rank"].to_numpy().astype(np.float64)
        known = CANDIDATES in table.column_names
        ranks.append(
            Ranks(rank, table[CANDIDATES].to_numpy().astype(np.float64) if known else np.full(len(rank), np.nan))
        )
    return Ranks.together(ranks)
