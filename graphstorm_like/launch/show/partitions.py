"""The partitions of a graph folder: their sizes, how even they are, and the edges between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from graphstorm_like.graph.partition_report import PartitionReport
from graphstorm_like.launch.show.table import table

_MANY = 8
"""Partitions, of which the edges of each type are not listed one by one."""


def partition_lines(report: PartitionReport) -> Iterator[str]:
    """Tables of the partitions and of the edge types, and what their words mean."""
    yield from table(["partition", "nodes", "training", "edges", "local", "halo", "MB", "nodes by type"], _rows(report))
    yield ""
    yield from table(["edge type", "edges", "local", "edges by partition"], _edge_rows(report))
    yield ""
    balance = report.balance()
    even = [f"{name} {ratio:.2f}" for name, ratio in balance.items()]
    yield f"largest partition over the mean one: {', '.join(even)}"
    yield f"edge cut: {_percent(report.cut)} (edges between partitions; reverse types not counted)"
    yield "local: share of the edges whose source lies in the same partition as their target"
    yield "halo: nodes of other partitions at which edges of this one start"


def _rows(report: PartitionReport) -> list[list[str]]:
    training, edges, halo = (report.totals(counts) for counts in (report.training, report.edges, report.halo))
    rows = []
    for p, size in enumerate(report.bytes):
        nodes = {name: counts[p] for name, counts in report.nodes.items()}
        numbers = [sum(nodes.values()), training[p], edges[p]]
        by_type = ", ".join(f"{name} {count:,}" for name, count in nodes.items()) or "-"
        local = _percent(report.local_share(partition=p))
        rows.append([f"{p}", *map("{:,}".format, numbers), local, f"{halo[p]:,}", f"{size / 1e6:,.1f}", by_type])
    return rows


def _edge_rows(report: PartitionReport) -> list[list[str]]:
    rows = []
    for name, counts in report.edges.items():
        rows.append([name, f"{sum(counts):,}", _percent(report.local_share(name)), _sum_of(counts)])
    rows.append(["all", f"{sum(map(sum, report.edges.values())):,}", _percent(report.local_share()), ""])
    return rows


def _sum_of(counts: Sequence[int]) -> str:
    if len(counts) > _MANY:
        return f"{min(counts):,} to {max(counts):,}"
    return " + ".join(f"{count:,}" for count in counts)


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}%"
