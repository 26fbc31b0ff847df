"""GraphReport -> report.html: a summary with what to look at, then a card a type, then how the graph was made.

The page shows the numbers of report.json and nothing else; long lists are cut there and say so.
"""

from __future__ import annotations

from collections.abc import Iterator

from gconstruct.report import svg, wording
from gconstruct.report.cards import OPEN_CARDS, edge_card, node_card
from gconstruct.report.html import Child, Html, details, document, join, table, tag
from gconstruct.report.model import Construction, DroppedRecord, Finding, GraphReport, TableRecord
from gconstruct.report.style import STYLE

SHOWN_ALIKE, MAX_SCHEMA = 3, 10
"""Findings of one kind that are unfolded; node types of a drawing"""
MAX_TYPES, LISTED = 200, 25
"""Cards of a kind, and edge types of an unfolded list"""


def page(report: GraphReport, name: str) -> str:
    """The whole page. name: of the graph."""
    made = report.construction
    tables = made.tables if made is not None else {}
    sections = [
        _header(report, name),
        _findings(report.findings),
        _overview(report),
        *_cards("Node types", _node_cards(report, tables)),
        *_cards("Edge types", _edge_cards(report, tables)),
        _partitions(report),
        _left_out(report),
        None if made is None else _construction(made, report.report_seconds),
        _footer(report),
    ]
    return document(f"{name}: graph report", STYLE, tag("main", *sections))


def _header(report: GraphReport, name: str) -> Html:
    edges = sum(edge.count for edge in report.edges.values())
    tiles = [
        (f"{sum(node.count for node in report.nodes.values()):,}", "nodes"),
        (f"{edges:,}", "edges, without reverses"),
        (f"{len(report.nodes):,}", "node types" if len(report.nodes) != 1 else "node type"),
        (f"{len(report.edges):,}", "edge types" if len(report.edges) != 1 else "edge type"),
        (wording.size(report.bytes), "on disk"),
    ]
    if report.partitions:
        tiles.append((f"{len(report.partitions):,}", "partitions"))
    if report.construction is not None:
        tiles += [
            (wording.seconds(report.construction.seconds), "construction"),
            (wording.size(report.construction.peak_bytes), "peak memory"),
        ]
    boxes = [tag("div", tag("b", value), tag("span", what), class_="tile") for value, what in tiles]
    return join([tag("h1", name), tag("p", "What is in this graph folder", class_="soft"),
                 tag("div", *boxes, class_="tiles")])  # fmt: skip


def _findings(findings: list[Finding]) -> Html:
    warnings = sum(finding.level == "warning" for finding in findings)
    head = tag("h2", "What to look at", id="findings")
    if not findings:
        return join([head, tag("p", "Nothing stands out.")])
    by_kind: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault((finding.level, finding.kind), []).append(finding)
    parts: list[Child] = []
    for alike in by_kind.values():
        items = [_finding(finding) for finding in alike]
        parts.append(tag("ul", *items[:SHOWN_ALIKE], class_="findings"))
        more = items[SHOWN_ALIKE:]
        if more:
            shown, rest = more[:50], len(more) - 50
            tail = tag("p", f"{rest:,} more are in report.json.", class_="soft") if rest > 0 else None
            parts.append(details(f"{len(more):,} more like these", tag("ul", *shown, class_="findings"), tail))
    count = f"{wording.count(warnings, 'warning')}, {wording.count(len(findings) - warnings, 'note')}"
    return join([head, tag("p", count, class_="soft"), *parts])


def _finding(finding: Finding) -> Html:
    where = tag("span", finding.where, class_="where")
    level = tag("span", finding.level, class_="level")
    advice = tag("span", f" {finding.advice}", class_="soft") if finding.advice else None
    return tag("li", level, where, tag("div", finding.what, advice), class_=finding.level)


def _overview(report: GraphReport) -> Html:
    parts: list[Child] = [tag("h2", "At a glance")]
    if len(report.nodes) <= MAX_SCHEMA and 0 < len(report.edges) <= 3 * MAX_SCHEMA:
        counts = {name: node.count for name, node in report.nodes.items()}
        edges = [(edge.source, edge.relation, edge.target, edge.count) for edge in report.edges.values()]
        parts.append(tag("div", svg.schema(counts, edges), class_="card scroll"))
    rows: list[list[Child]] = []
    for name, node in list(report.nodes.items())[:MAX_TYPES]:
        inputs = [wording.count(len(what), word) for what, word in ((node.features, "feature"), (node.text, "text"),
                  (node.image, "image"), (node.labels, "label")) if what]  # fmt: skip
        link = tag("a", name, href=f"#nodes.{name}")
        isolated = f"{node.isolated:,} ({wording.share(node.isolated, node.count)})"
        rows.append([link, f"{node.count:,}", isolated, ", ".join(inputs) or "-"])
    parts.append(table(["node type", "nodes", "without edges", "has"], rows, ".##."))
    rows = []
    for key, edge in list(report.edges.items())[:MAX_TYPES]:
        link = tag("a", f"{edge.source} → {edge.relation} → {edge.target}", href=f"#edges.{key}")
        means = [wording.number(degrees.mean) for degrees in (edge.out_degrees, edge.in_degrees)]
        rows.append([link, f"{edge.count:,}", *means, f"{edge.out_degrees.max:,}", f"{edge.in_degrees.max:,}"])
    if rows:
        head = ["edge type", "edges", "mean out", "mean in", "max out", "max in"]
        whole = table(head, rows, ".#####")
        few = len(rows) <= LISTED
        parts.append(whole if few else details(f"All {wording.count(len(rows), 'edge type')}", whole))
    return join(parts)


def _node_cards(report: GraphReport, tables: dict[str, TableRecord]) -> list[Html]:
    folded = len(report.nodes) > OPEN_CARDS
    return [node_card(n, node, tables.get(f"nodes.{n}"), folded) for n, node in report.nodes.items()]


def _edge_cards(report: GraphReport, tables: dict[str, TableRecord]) -> list[Html]:
    folded = len(report.edges) > OPEN_CARDS
    return [edge_card(n, edge, tables.get(f"edges.{n}"), folded) for n, edge in report.edges.items()]


def _cards(title: str, cards: list[Html]) -> Iterator[Html]:
    if cards:
        yield tag("h2", title)
        yield from cards[:MAX_TYPES]
        if len(cards) > MAX_TYPES:
            yield tag("p", f"{len(cards) - MAX_TYPES:,} more are in report.json.", class_="soft")


def _partitions(report: GraphReport) -> Html | None:
    if not report.partitions:
        return None
    rows: list[list[Child]] = []
    for number, part in enumerate(report.partitions):
        nodes, edges, local = (sum(counts.values()) for counts in (part.nodes, part.edges, part.local))
        cut = f"{edges - local:,} ({wording.share(edges - local, edges)})"
        rows.append([f"{number}", f"{nodes:,}", f"{edges:,}", cut, wording.size(part.bytes)])
    by_type: list[list[Child]] = []
    for name in report.partitions[0].edges:
        total = sum(part.edges[name] for part in report.partitions)
        cut_edges = total - sum(part.local[name] for part in report.partitions)
        by_type.append([name, f"{total:,}", svg.meter(cut_edges / max(1, total)), wording.share(cut_edges, total)])
    total = sum(sum(part.edges.values()) for part in report.partitions)
    local = sum(sum(part.local.values()) for part in report.partitions)
    return join([
        tag("h2", "Partitions"),
        tag("p", f"{wording.share(total - local, total)} of the edges are cut: their source is in another partition."),
        table(["partition", "nodes", "edges, with reverses", "cut", "size"], rows, "#####"),
        details("By edge type", table(["edge type", "edges", "", "cut"], by_type, ".#.#"), open_=len(by_type) <= 8),
    ])  # fmt: skip


def _left_out(report: GraphReport) -> Html | None:
    if not report.dropped:
        return None
    records = report.construction.dropped if report.construction is not None else []
    if not records:
        rows: list[list[Child]] = [[key, f"{count:,}"] for key, count in report.dropped.items()]
        return join([tag("h2", "Rows left out"), table(["reason", "rows"], rows, ".#")])
    tables = report.construction.tables if report.construction is not None else {}
    return join([tag("h2", "Rows left out"), *(_reason(record, tables) for record in records)])


def _reason(record: DroppedRecord, tables: dict[str, TableRecord]) -> Html:
    read = tables.get(record.where)
    part = "" if read is None else f" ({wording.share(record.count, read.rows)} of {read.rows:,})"
    head = tag("header", tag("h3", f"{record.where}: {record.reason}"),
               tag("span", f"{wording.count(record.count, 'row')}{part}", class_="soft"))  # fmt: skip
    rows: list[list[Child]] = [[e.file, f"{e.row:,}", e.value] for e in record.examples]
    examples = table(["file", "row", "value"], rows, ".#.") if rows else None
    return tag("section", head, examples, class_="card")


def _construction(made: Construction, report_seconds: float | None) -> Html:
    longest = max((step.seconds for step in made.steps), default=0.0) or 1.0
    largest = max((step.peak_bytes for step in made.steps), default=0) or 1
    rows: list[list[Child]] = []
    for step in made.steps:
        name = tag("span", step.name, class_=f"depth-{min(step.depth, 2)}" if step.depth else None)
        rows.append([
            name, "-" if step.rows is None else f"{step.rows:,}",
            svg.meter(step.seconds / longest), wording.seconds(step.seconds), wording.seconds(step.cpu_seconds),
            svg.meter(step.peak_bytes / largest), wording.size(step.peak_bytes),
        ])  # fmt: skip
    total = f"{wording.seconds(made.seconds)} in all, at most {wording.size(made.peak_bytes)} of memory."
    if report_seconds is not None:
        total += f" This report took {wording.seconds(report_seconds)} more."
    reads: list[list[Child]] = [
        [key, f"{read.files:,}", f"{read.rows:,}", wording.size(read.bytes)] for key, read in made.tables.items()
    ]
    head = ["step", "rows", "", "time", "CPU", "", "memory"]
    tables = table(["table", "files", "rows", "size"], reads, ".###") if reads else None
    folded = len(rows) > 40
    steps = table(head, rows, ".#.##.#")
    return join([
        tag("h2", "Construction"), tag("p", total),
        details(wording.count(len(rows), "step"), steps) if folded else steps,
        None if tables is None else details("Tables read", tables, open_=len(reads) <= 12),
    ])  # fmt: skip


def _footer(report: GraphReport) -> Html:
    words = [
        f"Graph {report.fingerprint[:12]}. Counts, degrees, labels and sizes are of all rows. Features are shown as "
        "they are stored, after scaling. Statistics of features in large tables, and histograms of features and texts, "
        "are of evenly spaced samples of rows, the same each time. A bar at the end of a histogram with ≤ or ≥ also "
        "holds what lies beyond. Memory is that of the process, with pages of mapped files.",
        "All numbers are in report.json beside this page.",
    ]
    return tag("footer", *(tag("p", text) for text in words))
