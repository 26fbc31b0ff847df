"""Time and memory that a stage has taken, in `cost.json` beside its results. No result depends on it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from graphstorm_like.allocator import peak_rss, reset_peak_rss
from graphstorm_like.files import read_object, write_json
from graphstorm_like.launch.host import usable_cores
from graphstorm_like.ranks.group import Group

COST_FILE = "cost.json"


@dataclass(slots=True)
class StageCost:
    """What a stage took, from its start or its last resume to its end."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """User and system time of all processes of the stage, and of their child processes that have ended"""
    peak_bytes: int = 0
    """The most memory that one of its processes has had, pages of mapped files included; 0: not known"""
    processes: int = 1
    cores: int = 0
    """Of the first process's machine, that it may use; 0: not known"""
    resumed: bool = False
    """Whether an earlier attempt did a part of the work, which is not counted"""


@contextmanager
def measured() -> Iterator[StageCost]:
    """Gives a StageCost that is filled in when the block ends."""
    cost = StageCost(cores=usable_cores())
    reset_peak_rss()
    started, cpu = time.perf_counter(), _cpu_seconds()
    try:
        yield cost
    finally:
        cost.seconds, cost.cpu_seconds = time.perf_counter() - started, _cpu_seconds() - cpu
        cost.peak_bytes = peak_rss()


def write_cost(path: Path, cost: StageCost, group: Group) -> None:
    """Write the cost of all ranks: the sum of their CPU time, the largest peak. All ranks call this."""
    texts = group.collect(json.dumps(asdict(cost)), "the cost of a stage")
    if group.leads_output:
        write_json(path, asdict(_together([StageCost(**json.loads(text)) for text in texts])))


def _together(costs: Sequence[StageCost]) -> StageCost:
    return StageCost(
        seconds=max(cost.seconds for cost in costs),
        cpu_seconds=sum(cost.cpu_seconds for cost in costs),
        peak_bytes=max(cost.peak_bytes for cost in costs),
        processes=len(costs),
        cores=costs[0].cores,
        resumed=costs[0].resumed,
    )


def read_cost(path: Path) -> StageCost | None:
    """The cost in a file; None when there is none that can be read."""
    content = read_object(path)
    if content is None:
        return None
    try:
        return StageCost(**{f.name: content[f.name] for f in fields(StageCost) if f.name in content})
    except TypeError:
        return None


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
