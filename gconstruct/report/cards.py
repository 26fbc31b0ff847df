"""Node types and edge types on the page: a card each."""

from __future__ import annotations

from collections.abc import Mapping

from gconstruct.report import svg, wording
from gconstruct.report.features import features
from gconstruct.report.html import Child, Html, details, join, pairs, plotted, table, tag
from gconstruct.report.model import (
    Degrees,
    EdgeProfile,
    Histogram,
    LabelProfile,
    NodeProfile,
    TableRecord,
    TextProfile,
)

SPLIT_NAMES = {"none": "no split", "train": "train", "valid": "valid", "test": "test"}
"""In the order of their colours"""
CLASSES, OPEN_CARDS = 20, 12
"""Classes with a line of their own, and cards that are unfolded"""


def node_card(name: str, node: NodeProfile, read: TableRecord | None, folded: bool) -> Html:
    """Everything about a node type."""
    facts: list[tuple[Child, Child]] = [
        ("ids", node.id_type),
        ("without edges", f"{node.isolated:,} ({wording.share(node.isolated, node.count)})"),
    ]
    if node.from_edges:
        facts.append(("named by edges only", f"{node.from_edges:,}"))
    for image, profile in node.image.items():
        facts.append((f"image {image}", f"{profile.height} x {profile.width}, {wording.size(profile.bytes)}"))
    body = [
        pairs(facts),
        labels(node.labels),
        texts(node.text),
        features(node.features),
        nulls(read),
    ]
    return _card(f"nodes.{name}", tag("h3", name), wording.count(node.count, "node"), body, folded)


def edge_card(name: str, edge: EdgeProfile, read: TableRecord | None, folded: bool) -> Html:
    """Everything about an edge type."""
    facts: list[tuple[Child, Child]] = [
        ("reverse", edge.reverse or "none"),
        ("repeated", f"{edge.repeated:,} ({wording.share(edge.repeated, edge.count)})"),
    ]
    if edge.source == edge.target:
        facts.append(("from a node to itself", f"{edge.loops:,}"))
    ends = [
        _degrees(edge.out_degrees, f"Edges out of {edge.source}"),
        _degrees(edge.in_degrees, f"Edges into {edge.target}"),
    ]
    splits = None if edge.splits is None else join([tag("h4", "Splits, for link prediction"), split_bar(edge.splits)])
    body = [
        pairs(facts),
        tag("h4", "Degrees"),
        tag("div", *ends, class_="grid"),
        splits,
        labels(edge.labels),
        texts(edge.text),
        features(edge.features),
        nulls(read),
    ]
    title = tag("h3", f"{edge.source} → {edge.relation} → {edge.target}")
    return _card(f"edges.{name}", title, wording.count(edge.count, "edge"), body, folded)


def _card(key: str, title: Html, count: str, body: list[Html | None], folded: bool) -> Html:
    head = [title, tag("span", count, class_="soft")]
    if folded:
        summary = join([tag("span", title, style="display:inline-block"), " ", head[1]])
        return tag("details", tag("summary", summary), *body, class_="card", id=key)
    return tag("section", tag("header", *head), *body, class_="card", id=key)


def _degrees(data: Degrees, title: str) -> Html:
    facts: list[tuple[Child, Child]] = [
        ("none", f"{data.without:,} ({wording.share(data.without, data.nodes)})"),
        ("mean", wording.number(data.mean)),
        ("median", f"{data.median:,}"),
        ("99 %", f"≤ {data.p99:,}"),
        ("max", f"{data.max:,}"),
    ]
    hubs = ", ".join(f"{_short(hub.id)} ({hub.degree:,})" for hub in data.hubs)
    return tag(
        "div",
        tag("span", title, class_="name"),
        " ",
        tag("small", "nodes by number of edges, log-log", class_="soft"),
        svg.degrees(data, f"{title}: number of nodes by number of edges, both logarithmic"),
        pairs(facts),
        tag("small", f"most: {hubs}", class_="soft") if data.max > data.median else None,
    )


def texts(profiles: Mapping[str, TextProfile]) -> Html | None:
    """Texts of a type."""
    if not profiles:
        return None
    cells = [_text(name, text) for name, text in profiles.items()]
    return join([tag("h4", "Texts"), tag("div", *cells, class_="grid")])


def _text(name: str, text: TextProfile) -> Html:
    facts: list[tuple[Child, Child]] = [
        ("missing", f"{text.nulls:,} ({wording.share(text.nulls, text.rows)})"),
        ("empty", f"{text.empty:,} ({wording.share(text.empty, text.rows)})"),
        ("size", wording.size(text.bytes)),
    ]
    for unit, lengths in (("characters", text.characters), ("words", text.words)):
        if lengths is not None:
            spread = f"median {lengths.median:,}, 90 % ≤ {lengths.p90:,}, max {lengths.max:,}"
            facts.append((unit, spread))
    if text.present:
        facts.append(("different", f"{text.distinct:,} of {text.present:,}"))
    sampled = f"Lengths of a sample of {text.rows_seen:,} rows" if text.rows_seen < text.rows else None
    small = tag("small", sampled, class_="soft") if sampled else None
    head = [tag("span", name, class_="name"), " ", tag("small", "lengths in characters", class_="soft")]
    if text.histogram is None or len(text.histogram.counts) == 1:
        return tag("div", *head, pairs(facts), small)
    plot = svg.histogram(text.histogram, f"Lengths of {name} in characters")
    return tag("div", *head, plotted(plot, pairs(facts), small))


def labels(profiles: Mapping[str, LabelProfile]) -> Html | None:
    """Labels of a type."""
    if not profiles:
        return None
    return join([_label(name, label) for name, label in profiles.items()])


def _label(name: str, label: LabelProfile) -> Html:
    kind = f"{len(label.classes):,} classes" if label.classes else label.kind
    kind += ", any number a row" if label.kind == "classes" else ""
    head = tag("h4", f"Label {name} ({kind})")
    has = f"{label.labelled:,} of {wording.count(label.rows, 'row')} ({wording.share(label.labelled, label.rows)})"
    parts: list[Child] = [head, tag("p", f"{has} have a label"), split_bar(label.splits)]
    if label.class_counts:
        parts.append(_balance(label))
    if label.numbers:
        rows = []
        for split, numbers in label.numbers.items():
            values = [wording.number(v) for v in (numbers.min, numbers.mean, numbers.std, numbers.max)]
            rows.append([SPLIT_NAMES[split], f"{label.splits[split]:,}", *values])
        by_split = table(["split", "rows", "min", "mean", "std", "max"], rows, ".#####")
        several = label.histogram is not None and len(label.histogram.counts) > 1
        parts.append(plotted(_plot(label.histogram, name), by_split) if label.histogram and several else by_split)
    return tag("div", *parts)


def _plot(data: Histogram, name: str) -> Html:
    return svg.histogram(data, f"Histogram of the label {name}")


def split_bar(splits: Mapping[str, int]) -> Html:
    """Shares of the splits, with a legend."""
    total = sum(splits.values())
    parts = [(SPLIT_NAMES.get(name, name), count) for name, count in splits.items()]
    legend = []
    for i, (name, count) in enumerate(parts):
        if count or i:
            text = f"{name} {count:,} ({wording.share(count, total)})"
            legend.append(tag("span", tag("i", class_=f"key key-{i % 4}"), text))
    return join([svg.stacked(parts, "Splits"), tag("div", *legend, class_="legend")])


def _balance(label: LabelProfile) -> Html:
    """Classes by split, the largest first, each with its share of the rows."""
    splits = [split for split in label.class_counts if label.splits[split]]
    totals = [sum(column) for column in zip(*label.class_counts.values(), strict=True)]
    largest = max(totals, default=0) or 1
    order = sorted(range(len(totals)), key=lambda i: -totals[i])
    rows: list[list[Child]] = []
    for i in order:
        cells = []
        for split in splits:
            counts = label.class_counts[split]
            cells.append(f"{counts[i]:,} ({wording.share(counts[i], label.splits[split])})")
        rows.append([_short(label.classes[i]), svg.meter(totals[i] / largest), f"{totals[i]:,}", *cells])
    head = ["class", "", "all", *(SPLIT_NAMES[split] for split in splits)]
    kinds = "..#" + "#" * len(splits)
    if len(rows) <= CLASSES:
        return table(head, rows, kinds)
    first, last = CLASSES * 3 // 4, CLASSES // 4
    gap: list[Child] = [f"{len(rows) - CLASSES:,} more, in report.json", *[None] * (len(head) - 1)]
    return table(head, [*rows[:first], gap, *rows[-last:]], kinds)


def nulls(read: TableRecord | None) -> Html | None:
    """Nulls of the columns that were read."""
    if read is None or not read.nulls:
        return None
    some = {column: count for column, count in read.nulls.items() if count}
    ranked = sorted(some.items(), key=lambda entry: -entry[1])
    rows = []
    for column, count in ranked[:50]:
        rows.append([column, svg.meter(count / max(1, read.rows)), f"{count:,}", wording.share(count, read.rows)])
    columns = read.columns or len(read.nulls)
    without = len(read.nulls) - len(some) if read.without_nulls is None else read.without_nulls
    if not some:
        return tag("p", tag("small", f"No nulls in {wording.count(without, 'column')} read.", class_="soft"))
    unlisted = columns - without - min(50, len(ranked))
    more = f"{unlisted:,} more have nulls. " if unlisted else ""
    tail = tag("small", f"{more}{wording.count(without, 'column')} without nulls.", class_="soft")
    shown = join([table(["column", "", "nulls", "share"], rows, "..##"), tail])
    title = f"Nulls in {wording.count(columns - without, 'column')} of {columns:,}"
    return details(title, shown, open_=len(some) <= 8)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
