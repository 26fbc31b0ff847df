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
    """All relations by table name, and who provides the virtual packages: (package, virtual) in list order.

    provides_package: who stands in for a package that exists under this name.
    """

    relations: dict[str, Relation]
    provides: list[Pair]
    provides_package: list[Pair] = field(default_factory=list)


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
    provides_package: list[Pair] = []
    for package in packages:
        for name in dict.fromkeys(target.name for target in parse_relation(package.provides)):
            if name in names:
                provides_package.append((package.name, name))
            else:
                provided.setdefault(name, []).append(package.name)

    relations = {table: _resolve_one(packages, table, names, provided.keys()) for table in RELATIONS}
    wanted = {virtual for relation in relations.values() for _, virtual in relation.to_virtual}
    # 55,000 of the 65,000 provided names (ABI hashes, mostly) are asked for by nobody: they would be leaves.
    provides = [(package, virtual) for virtual, owners in provided.items() if virtual in wanted for package in owners]
    return Graph(relations, provides, [(package, name) for package, name in provides_package if package != name])


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


def triple_split(pair: Pair, source_of: dict[str, str]) -> str | None:
    """Split of the triples of a knowledge graph between two packages, whatever their relation and direction: 94 %
    train, since every held-out triple is ranked twice among all packages.

    Key: the two source packages in either order, so that no split holds the inverse of a triple of another one, nor
    the second relation of a pair (what breaks a package mostly replaces it), nor the same between sibling binaries.
    None: within one source, too easy to score with; known in training where the hash says so.
    """
    first, second = sorted(source_of[name] for name in pair)
    share = split_share("kg|", f"{first}|{second}")
    split = "train" if share < 0.94 else "valid" if share < 0.97 else "test"
    return None if split != "train" and first == second else split


def triples(graph: Graph, source_of: dict[str, str]) -> Iterator[tuple[str, str, str, str | None]]:
    """Yields (head, relation, tail, split) of all relations between packages."""
    pairs: dict[str, Collection[Pair]] = {name: relation.to_package for name, relation in graph.relations.items()}
    for relation, found in (pairs | {"provides": graph.provides_package}).items():
        for pair in found:
            yield pair[0], relation, pair[1], triple_split(pair, source_of)
