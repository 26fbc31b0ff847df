"""A report's numbers -> what to look at first: rules of thumb, with their bounds. Warnings come first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gconstruct.report import wording
from gconstruct.report.model import (
    Degrees,
    EdgeProfile,
    FeatureProfile,
    Finding,
    GraphReport,
    LabelProfile,
    TextProfile,
)

MANY_ISOLATED = 0.2
MANY_DROPPED = 0.01
MANY_NULLS = 0.5
MANY_EMPTY = 0.5
MOSTLY_ZERO = 0.99
FAR_DEVIATIONS = 50.0
HUB_TIMES, HUB_DEGREE = 1_000.0, 10_000
FEW_DISTINCT = 0.1
CLASS_RATIO = 100
FEW_LABELS = 0.05
MUCH_CUT = 0.5
UNEQUAL = 1.2
ENOUGH_TEXTS = 20


def find(report: GraphReport) -> list[Finding]:
    """All findings on a report."""
    found = [wording.leak(leak) for leak in report.leaks or []]
    for rule in (_nodes, _edges, _dropped, _nulls, _partitions):
        found += rule(report)
    return sorted(found, key=lambda finding: finding.level != "warning")


def _nodes(report: GraphReport) -> Iterator[Finding]:
    for name, node in report.nodes.items():
        if node.isolated and report.edges:
            yield wording.isolated(name, node.isolated, node.count, node.isolated > MANY_ISOLATED * node.count)
        yield from _attributes(name, node.features, node.text, node.labels)


def _edges(report: GraphReport) -> Iterator[Finding]:
    for name, edge in report.edges.items():
        if not edge.count:
            yield wording.no_edges(name)
            continue
        if edge.repeated:
            yield wording.repeated(name, edge.repeated, edge.count)
        if edge.loops:
            yield wording.loops(name, edge.loops, edge.count)
        for degrees in (edge.out_degrees, edge.in_degrees):
            yield from _hubs(name, degrees)
        yield from _attributes(name, edge.features, edge.text, edge.labels)
        yield from _split(name, edge)


def _hubs(where: str, degrees: Degrees) -> Iterator[Finding]:
    for hub in degrees.hubs[:1]:
        if hub.degree > max(HUB_DEGREE, HUB_TIMES * degrees.mean):
            yield wording.hub(where, f"{degrees.node_type} {hub.id!r}", hub.degree, degrees.mean)


def _split(where: str, edge: EdgeProfile) -> Iterator[Finding]:
    for split in ("train", "valid", "test"):
        if edge.splits is not None and not edge.splits.get(split):
            yield wording.no_rows(where, split)


def _attributes(
    where: str,
    features: Mapping[str, FeatureProfile],
    texts: Mapping[str, TextProfile],
    labels: Mapping[str, LabelProfile],
) -> Iterator[Finding]:
    for name, feature in features.items():
        yield from _feature(f"{where}.features.{name}", feature)
    for name, text in texts.items():
        yield from _text(f"{where}.text.{name}", text)
    for name, label in labels.items():
        yield from _label(f"{where}.labels.{name}", label)


def _feature(where: str, feature: FeatureProfile) -> Iterator[Finding]:
    numbers = feature.numbers
    if numbers.not_finite:
        yield wording.not_finite(where, numbers.not_finite)
    if feature.constant:
        yield wording.constant(where, feature.constant, feature.width)
    if numbers.zeros is not None and MOSTLY_ZERO < numbers.zeros < 1 and feature.categories is None:
        yield wording.mostly_zero(where, numbers.zeros)
    if feature.width == 1 and numbers.std and feature.categories is None:
        mean, ends = numbers.mean or 0.0, (numbers.min or 0.0, numbers.max or 0.0)
        farthest = max(ends, key=lambda value: abs(value - mean))
        deviations = abs(farthest - mean) / numbers.std
        if deviations > FAR_DEVIATIONS:
            yield wording.far_out(where, farthest, deviations)


def _text(where: str, text: TextProfile) -> Iterator[Finding]:
    missing = text.nulls + text.empty
    if missing:
        yield wording.texts_missing(where, missing, text.rows, missing > MANY_EMPTY * text.rows)
    if text.present >= ENOUGH_TEXTS and text.distinct < FEW_DISTINCT * text.present:
        yield wording.texts_alike(where, text.distinct, text.present)


def _label(where: str, label: LabelProfile) -> Iterator[Finding]:
    for split in ("train", "valid", "test"):
        if not label.splits.get(split):
            yield wording.no_rows(where, split)
    if label.labelled < FEW_LABELS * label.rows:
        yield wording.few_labels(where, label.labelled, label.rows)
    if label.class_counts:
        yield from _classes(where, label)


def _classes(where: str, label: LabelProfile) -> Iterator[Finding]:
    train = label.class_counts["train"]
    others = [sum(column) for column in zip(label.class_counts["valid"], label.class_counts["test"], strict=True)]
    unseen = [name for name, seen, asked in zip(label.classes, train, others, strict=True) if asked and not seen]
    if unseen and label.splits.get("train"):
        yield wording.classes_unseen(where, unseen, len(label.classes))
    totals = [sum(column) for column in zip(*label.class_counts.values(), strict=True)]
    if len(label.classes) == 1 and label.kind == "class":
        yield wording.one_class(where)
    elif totals and max(totals) > CLASS_RATIO * max(1, min(totals)):
        most, least = totals.index(max(totals)), totals.index(min(totals))
        part = max(totals) / max(1, label.labelled)
        yield wording.unbalanced(where, label.classes[most], part, label.classes[least], totals[least])


def _dropped(report: GraphReport) -> Iterator[Finding]:
    tables = report.construction.tables if report.construction is not None else {}
    for key, rows in report.dropped.items():
        where, _, reason = key.rpartition(": ")
        if ".labels." in where:
            yield wording.lost_split(where, rows)
            continue
        total = tables[where].rows if where in tables else None
        many = total is not None and rows > MANY_DROPPED * total
        yield wording.dropped(where, reason, rows, total, many)


def _nulls(report: GraphReport) -> Iterator[Finding]:
    tables = report.construction.tables if report.construction is not None else {}
    for where, table in tables.items():
        for column, rows in table.nulls.items():
            if rows > MANY_NULLS * table.rows:
                yield wording.nulls(where, column, rows, table.rows)


def _partitions(report: GraphReport) -> Iterator[Finding]:
    parts = report.partitions
    if not parts:
        return
    edges = [sum(part.edges.values()) for part in parts]
    nodes = [sum(part.nodes.values()) for part in parts]
    local = sum(sum(part.local.values()) for part in parts)
    if sum(edges) - local > MUCH_CUT * sum(edges):
        yield wording.cut(sum(edges) - local, sum(edges))
    for what, counts in (("nodes", nodes), ("edges", edges)):
        if max(counts) * len(parts) > UNEQUAL * sum(counts) > 0:
            yield wording.unequal(what, max(counts) * len(parts) / sum(counts))
