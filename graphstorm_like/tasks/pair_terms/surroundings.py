"""Sketches of the nodes within one and within two steps of each node, itself included, and what they say of two nodes.

minhash (Broder 1997): K hashes h_k of every node; of a set the smallest of each. Two sets have the same smallest with
the probability |A and B| / |A or B|, so that the share J of equal ones estimates it, with an error of
sqrt(J (1 - J) / K). HyperLogLog (Flajolet et al. 2007): of each of M parts of a set the longest row of zeros that a
hash begins with; the size follows with a relative error of 1.04 / sqrt(M).

|A and B| = J / (1 + J) (|A| + |B|)

Sketches of unions are the smallest, or longest, of each: one pass over the edges a step. Sizes of surroundings within
one step are degrees, and exact. In memory: 8 K + M + 8 bytes a node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphstorm_like.graph.draws import mix64
from graphstorm_like.graph.store import IntArray
from graphstorm_like.ranges import ranges
from graphstorm_like.sampling.negatives.paths import Table

Hashes = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
ENTRIES = 50_000
"""Neighbours whose sketches are read at once: 38 MB with 128 hashes and 256 registers."""
MATCHES = 4_000_000
"""Equal hashes that are counted at once."""


@dataclass(frozen=True)
class Near:
    """Of n nodes: smallest hashes [n, K] within one and within two steps, and sizes [n, 2]."""

    one: Hashes
    two: Hashes
    sizes: Floats

    def of(self, rows: IntArray | slice) -> Near:
        """Of some of them."""
        return Near(self.one[rows], self.two[rows], self.sizes[rows])

    def put(self, rows: IntArray | tuple[IntArray, IntArray], near: Near) -> None:
        """Replace some."""
        self.one[rows], self.two[rows], self.sizes[rows] = near.one, near.two, near.sizes

    @property
    def hops(self) -> tuple[Hashes, Hashes]:
        """Within one, and within two steps."""
        return self.one, self.two


class Surroundings:
    """Of all nodes of a graph. table: neighbours in both directions, each once, without the node itself."""

    def __init__(self, table: Table, hashes: int, registers: int) -> None:
        self.table, self.hashes, self._registers = table, hashes, registers
        count = len(table.starts) - 1
        one, two = (np.empty((count, hashes), dtype=np.uint32) for _ in range(2))
        self._zeros = np.empty((count, registers), dtype=np.uint8)
        sizes = np.empty((count, 2), dtype=np.float32)
        everything = np.arange(count)
        for nodes in self._blocks(everything):
            one[nodes], self._zeros[nodes], sizes[nodes, 0] = self._one_step(nodes, None)
        self._one = one
        for nodes in self._blocks(everything):
            two[nodes], sizes[nodes, 1] = self._two_steps(nodes, None)
        self.near = Near(one, two, sizes)

    def without(self, nodes: IntArray, others: IntArray) -> Near:
        """Of some nodes, as if the edge between nodes[i] and others[i] were not there."""
        one, two = (np.empty((len(nodes), self.hashes), dtype=np.uint32) for _ in range(2))
        sizes = np.empty((len(nodes), 2), dtype=np.float32)
        for rows in self._blocks(nodes):
            one[rows], _, sizes[rows, 0] = self._one_step(nodes[rows], others[rows])
            # A path of two steps from a node over the edge begins with it: there is no other place for it.
            two[rows], sizes[rows, 1] = self._two_steps(nodes[rows], others[rows])
        return Near(one, two, sizes)

    def _blocks(self, nodes: IntArray) -> Iterator[IntArray]:
        """Rows of `nodes`, cut so that each block has about ENTRIES neighbours."""
        degrees = self.table.starts[nodes + 1] - self.table.starts[nodes] + 1
        cuts = np.flatnonzero(np.diff(np.cumsum(degrees) // ENTRIES, prepend=0))
        yield from (rows for rows in np.split(np.arange(len(nodes)), cuts) if len(rows))

    def _entries(self, nodes: IntArray, without: IntArray | None) -> tuple[IntArray, IntArray]:
        """(ids, starts): each node, then its neighbours, but for those that are left out."""
        starts = self.table.starts[nodes]
        degrees = self.table.starts[nodes + 1] - starts
        ids = np.empty(len(nodes) + int(degrees.sum()), dtype=np.int64)
        first = np.concatenate([[0], np.cumsum(degrees + 1)[:-1]])
        is_self = np.zeros(len(ids), dtype=bool)
        is_self[first] = True
        ids[is_self], ids[~is_self] = nodes, self.table.columns[ranges(starts, degrees)[0]]
        if without is None:
            return ids, first
        kept = ids != np.repeat(without, degrees + 1)
        lengths = np.add.reduceat(kept, first, dtype=np.int64)
        return ids[kept], np.concatenate([[0], np.cumsum(lengths)[:-1]])

    def _one_step(self, nodes: IntArray, without: IntArray | None) -> tuple[Hashes, npt.NDArray[np.uint8], IntArray]:
        ids, first = self._entries(nodes, without)
        lengths = np.diff(first, append=len(ids))
        zeros = np.zeros((len(nodes), self._registers), dtype=np.uint8)
        part, rank = ranks(ids, self._registers)
        np.maximum.at(zeros, (np.repeat(np.arange(len(nodes)), lengths), part), rank)
        return np.minimum.reduceat(node_hashes(ids, self.hashes), first), zeros, lengths

    def _two_steps(self, nodes: IntArray, without: IntArray | None) -> tuple[Hashes, Floats]:
        """All within one step of a neighbour, and the node, which is also without neighbours near itself."""
        ids, first = self._entries(nodes, without)
        hashes, zeros = self._one[ids], self._zeros[ids]
        hashes[first] = node_hashes(nodes, self.hashes)
        part, rank = ranks(nodes, self._registers)
        zeros[first] = 0
        zeros[first, part] = rank
        return np.minimum.reduceat(hashes, first), sizes_of(np.maximum.reduceat(zeros, first))


def node_hashes(ids: IntArray, hashes: int) -> Hashes:
    """[n, hashes] of nodes by their numbers, the same in every run."""
    numbers = ids[:, None] * hashes + np.arange(hashes)
    found: Hashes = (mix64(numbers.astype(np.uint64)) >> np.uint64(32)).astype(np.uint32)
    return found


def ranks(ids: IntArray, registers: int) -> tuple[IntArray, npt.NDArray[np.uint8]]:
    """Of nodes: the register [n] that counts each, and one more than the zeros [n] that its hash begins with."""
    mixed = mix64(ids.astype(np.uint64) ^ np.uint64(0x9E3779B97F4A7C15))
    part = (mixed % np.uint64(registers)).astype(np.int64)
    # The upper 32 bits as a number below 1, which floats hold exactly: 2^-rank < number <= 2^-(rank - 1).
    upper = ((mixed >> np.uint64(32)).astype(np.float64) + 0.5) / 2.0**32
    return part, (-np.frexp(upper)[1] + 1).astype(np.uint8)


def sizes_of(zeros: npt.NDArray[np.uint8]) -> Floats:
    """Registers [n, M] -> estimated sizes [n]; of small sets by the registers that are empty."""
    count = zeros.shape[1]
    alpha = 0.7213 / (1.0 + 1.079 / count) if count > 64 else 0.709
    raw = alpha * count**2 / np.exp2(-zeros.astype(np.float64)).sum(axis=1)
    empty = (zeros == 0).sum(axis=1)
    small = (raw <= 2.5 * count) & (empty > 0)
    sizes: Floats = np.where(small, count * np.log(count / np.maximum(empty, 1)), raw).astype(np.float32)
    return sizes


class HashIndex:
    """Finds which of m nodes have the hashes of others: the hashes [m, K], sorted."""

    def __init__(self, hashes: Hashes) -> None:
        self.count, keys = len(hashes), _keys(hashes)
        order = np.argsort(keys, kind="stable")
        self._keys, self._nodes = keys[order], (order // hashes.shape[1]).astype(np.int32)

    def equal(self, hashes: Hashes) -> Floats:
        """Hashes [n, K] of others -> how many of them [n, m] are equal."""
        keys = _keys(hashes)
        start = np.searchsorted(self._keys, keys, side="left")
        often = np.searchsorted(self._keys, keys, side="right") - start
        of_row = often.reshape(hashes.shape).sum(axis=1)
        found = np.empty((len(hashes), self.count), dtype=np.float32)
        cuts = np.flatnonzero(np.diff(np.cumsum(of_row) // MATCHES, prepend=0))
        for rows in np.split(np.arange(len(hashes)), cuts):
            if not len(rows):
                continue
            part = slice(rows[0] * hashes.shape[1], (rows[-1] + 1) * hashes.shape[1])
            nodes = self._nodes[ranges(start[part], often[part])[0]]
            flat = np.repeat(rows - rows[0], of_row[rows]) * self.count + nodes
            counts = np.bincount(flat, minlength=len(rows) * self.count)
            found[rows] = counts.reshape(len(rows), self.count)
        return found


def _keys(hashes: Hashes) -> npt.NDArray[np.uint64]:
    """Flat: hashes that tell which of the K functions they are of."""
    of_function = np.arange(hashes.shape[1], dtype=np.uint64) << np.uint64(32)
    return (hashes.astype(np.uint64) | of_function).reshape(-1)


def overlap(equal: Floats, hashes: int, sizes: Floats, others: Floats) -> Floats:
    """Estimated |A and B| from how many of the smallest hashes are equal, and both sizes; arrays that broadcast."""
    share = equal / np.float32(hashes)
    found: Floats = np.minimum(share / (1.0 + share) * (sizes + others), np.minimum(sizes, others))
    return found
