"""Turns relation fields (`a (>= 1) | b:any, c`) into edges, and hashes groups of edges and nodes into splits.

In: `Package` records. Out: `Graph`: for each relation its edges package -> package and package -> virtual package.
A virtual package is a name that some package provides, that no package bears, and that some relation asks for.
Names that are neither are dropped and counted.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from debian_control import RELATIONS, Package

# Name, architecture qualifier (`:any`), version limit; what follows (`[amd64] <!nocheck>`) stands in source packages.
_TARGET = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9+.\-]*)(?::[A-Za-z0-9\-]+)?\s*(?:\(\s*(<<|<=|>=|>>|=|<|>))?")
_OLD_OPERATORS = {"<": "<=", ">": ">="}  # what dpkg takes the single signs for

# The relations whose pairs make the edge-classification task, one label each.
LABELLED = ("depends", "recommends", "suggests", "conflicts", "enhances")

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """One name of a relation field. `alternative`: it was one of several (`a | b`)."""

    name: str
    alternative: bool
    version_op: str | None


@dataclass(slots=True)
class Relation:
    """Edges of one relation: (head, tail) -> the first `Target` that named the tail."""

    to_package: dict[Pair, Target] = field(default_factory=dict)
    to_virtual: dict[Pair, Target] = field(default_factory=dict)
    unresolved: int = 0
    to_itself: int = 0


@dataclass(frozen=True, slots=True)
class Graph:
    """All relations by table name, and who provides the virtual packages: (package, virtual) in list order."""

    relations: dict[str, Relation]
    provides: list[Pair]


def parse_relation(text: str) -> Iterator[Target]:
    """Yields the targets of a relation field in its order; text that is no package name is skipped."""
    for group in text.split(","):
        alternatives = group.split("|")
        for alternative in alternatives:
            match = _TARGET.match(alternative)
            if match is not None:
                operator = match[2]
                yield Target(match[1], len(alternatives) > 1, _OLD_OPERATORS.get(operator, operator))


def resolve(packages: Sequence[Package]) -> Graph:
    """Resolves every relation of every package; a repeated (head, tail) of one relation keeps its first mention."""
    names = {package.name for package in packages}
    provided: dict[str, list[str]] = {}  # virtual name -> packages
    for package in packages:
        for name in dict.fromkeys(target.name for target in parse_relation(package.provides)):
            if name not in names:
                provided.setdefault(name, []).append(package.name)

    relations = {table: _resolve_one(packages, table, names, provided.keys()) for table in RELATIONS}
    wanted = {virtual for relation in relations.values() for _, virtual in relation.to_virtual}
    # 55,000 of the 65,000 provided names (ABI hashes, mostly) are asked for by nobody: they would be leaves.
    provides = [(package, virtual) for virtual, owners in provided.items() if virtual in wanted for package in owners]
    return Graph(relations, provides)


def _resolve_one(packages: Sequence[Package], table: str, names: set[str], provided: Collection[str]) -> Relation:
    relation = Relation()
    unresolved: set[Pair] = set()
    for package in packages:
        for target in parse_relation(package.relations.get(table, "")):
            pair = (package.name, target.name)
            if target.name == package.name:
                relation.to_itself += 1
            elif target.name in names:
                relation.to_package.setdefault(pair, target)
            elif target.name in provided:
                relation.to_virtual.setdefault(pair, target)
            else:
                unresolved.add(pair)
    relation.unresolved = len(unresolved)
    return relation


# --------------------------------------------------------------------------------------------------------------- splits


def split_share(salt: str, key: str) -> float:
    """A number in [0, 1) that depends on nothing but its arguments: blake2b (8 bytes, big-endian) over 2^64."""
    return int.from_bytes(hashlib.blake2b((salt + key).encode(), digest_size=8).digest(), "big") / 2**64


@cache
def split_of(salt: str, key: str) -> str:
    """`train` below .8, `valid` below .9, else `test`: groups keep their split on every machine and release."""
    share = split_share(salt, key)
    return "train" if share < 0.8 else "valid" if share < 0.9 else "test"


def link_split(relation: str, pair: Pair, source_of: dict[str, str]) -> str | None:
    """Split of an edge in link prediction; None: known to the graph, never evaluated.

    Key: source package of the head and name of the tail, so that the binaries of one source, which recommend the same
    things, fall on one side. Edges inside one source package are too easy to score with.
    """
    head, tail = pair
    split = split_of(f"lp|{relation}|", f"{source_of[head]}|{tail}")
    return None if split != "train" and source_of[head] == source_of[tail] else split


def labelled_pairs(graph: Graph, source_of: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Yields (head, tail, label, split) for pairs of different sources that exactly one labelled relation joins."""
    times = Counter(pair for table in LABELLED for pair in graph.relations[table].to_package)
    for table in LABELLED:
        for head, tail in graph.relations[table].to_package:
            if times[head, tail] == 1 and source_of[head] != source_of[tail]:
                yield head, tail, table, split_of("ec|", f"{source_of[head]}|{source_of[tail]}")
