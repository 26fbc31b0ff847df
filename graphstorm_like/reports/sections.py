"""Sections of the page that look at the predictions of one split; None where the task does not have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gconstruct.report import svg, wording
from gconstruct.report.html import Child, Html, details, join, pairs, plotted, table, tag
from graphstorm_like.reports import plots
from graphstorm_like.reports.model import (
    Breakdown,
    ClassScore,
    EmbeddingMap,
    Example,
    ExampleNode,
    NamedNode,
    RunReport,
)
from graphstorm_like.reports.wording import metric, split_title

CLASSES, PAIRS, NEIGHBOR_TYPES = 30, 8, 6
"""Classes, confused pairs, and edge types of neighbours that are shown"""
FEW_ROWS = 10
"""Classes with fewer rows are shown apart: their scores say little"""


def _about(report: RunReport) -> str:
    return split_title(report.looked_at or "")


def classes(report: RunReport) -> Html | None:
    """Precision, recall, F1 and rows of each class, the worst F1 first; classes with few rows stand apart."""
    if not report.classes:
        return None
    largest = max(score.support for score in report.classes) or 1
    known = sorted((s for s in report.classes if s.support >= FEW_ROWS), key=lambda score: (score.f1, -score.support))
    few = sorted((s for s in report.classes if s.support < FEW_ROWS), key=lambda score: (score.f1, -score.support))
    parts: list[Child] = []
    if len(known) + len(few) <= CLASSES:
        parts.append(_class_table(known, largest))
        if few:
            parts += [tag("h4", f"Under {FEW_ROWS} rows: too few to say"), _class_table(few, largest)]
    else:
        text = f"{len(report.classes):,} classes occur in {_about(report)}; all of them are in report.json."
        if few:
            text += f" {len(few):,} have under {FEW_ROWS} rows, too few to say."
        parts.append(tag("p", text, class_="soft"))
        top = report.classes[: CLASSES // 2]
        for title, some in ("Worst by F1", (known or few)[: CLASSES // 2]), ("Most frequent", top):
            parts += [tag("h4", title), _class_table(some, largest)]
    note = "Small numbers: 95 % intervals (Wilson): of precision by the rows predicted, of recall by the class's rows."
    return tag("div", *parts, tag("p", tag("small", note), class_="soft"), class_="card classes")


def _class_table(scores: Sequence[ClassScore], largest: int) -> Html | None:
    head = ["class", "rows", "", "predicted", "precision", "recall", "F1", ""]
    return table(head, [_class_row(score, largest) for score in scores], ".#.####.") if scores else None


def _class_row(score: ClassScore, largest: int) -> list[Child]:
    return [
        svg.cut(score.name, 60), f"{score.support:,}", svg.meter(score.support / largest), f"{score.predicted:,}",
        _with_interval(score.precision, score.precision_interval), _with_interval(score.recall, score.recall_interval),
        metric(score.f1), svg.meter(score.f1),
    ]  # fmt: skip


def _with_interval(value: float | None, ends: tuple[float, float] | None) -> Html:
    """A share, with its interval below."""
    small = None if ends is None else tag("small", f"{ends[0]:.2f} – {ends[1]:.2f}", class_="ends")
    return join([metric(value), small])


def confusion(report: RunReport) -> Html | None:
    """The matrix, a row a true class, and the most frequent pairs."""
    data = report.confusion
    if data is None or len(data.classes) < 2:
        return None
    names = [tag("th", tag("span", svg.cut(name, 24)), scope="col", title=name) for name in data.classes]
    head = tag("tr", tag("th", "true \\ predicted", class_="corner"), *names)
    lines = []
    for i, (name, counts) in enumerate(zip(data.classes, data.counts, strict=True)):
        total = sum(counts) or 1
        cells = [_heat(count, count / total, i == j) for j, count in enumerate(counts)]
        lines.append(tag("tr", tag("th", svg.cut(name, 40), scope="row", title=name), *cells))
    matrix = tag("div", tag("table", tag("thead", head), tag("tbody", *lines)), class_="scroll heat", tabindex=0)
    pairs_: list[list[Child]] = [
        [svg.cut(p.true, 40), svg.cut(p.predicted, 40), f"{p.rows:,}"] for p in data.pairs[:PAIRS]
    ]
    often = join([tag("h4", "Confused most often"), table(["true", "taken for", "rows"], pairs_, "..#")])
    note = f"{_about(report).capitalize()} rows; darker: a larger share of the true class."
    return tag("div", matrix, tag("p", tag("small", note), class_="soft"), often if pairs_ else None, class_="card")


def _heat(count: int, part: float, diagonal: bool) -> Html:
    colour = "58,157,120" if diagonal else "207,90,106"
    style = f"background:rgba({colour},{0.06 + 0.5 * part:.2f})" if count else None
    kind = "right" if diagonal else None if count else "zero"
    return tag("td", f"{count:,}", style=style, class_=kind)


def calibration(report: RunReport) -> Html | None:
    """Reliability diagram and expected calibration error."""
    data = report.calibration
    if data is None:
        return None
    gap = data.mean_confidence - data.right
    verdict = "about as sure as it is right"
    if abs(gap) >= 0.02:
        verdict = "surer than it is right" if gap > 0 else "less sure than it is right"
    rows: list[list[Child]] = []
    for each in data.bins:
        if each.rows:
            share = f"{each.low:.1f} – {each.high:.1f}"
            rows.append([share, f"{each.rows:,}", metric(each.confidence), metric(each.right)])
    facts: list[tuple[Child, Child]] = [
        ("expected calibration error", metric(data.ece)),
        ("mean probability", metric(data.mean_confidence)),
        ("right", metric(data.right)),
    ]
    return tag(
        "div",
        plotted(
            plots.reliability(data.bins),
            tag("p", f"On average the model is {verdict}."),
            pairs(facts),
            details("By bin", table(["probability", "rows", "mean", "right"], rows, ".###")),
        ),
        class_="card",
    )


def residuals(report: RunReport) -> Html | None:
    """Predicted minus true: by prediction, and how they are spread."""
    data = report.residuals
    if data is None:
        return None
    points = [(predicted, predicted - true) for true, predicted in data.points]
    x, y = (_middle([point[i] for point in points]) for i in (0, 1))
    outside = sum(not (x[0] <= a <= x[1] and y[0] <= b <= y[1]) for a, b in points)
    beyond = f" {wording.count(outside, 'dot')} at the border lie beyond it." if outside else ""
    facts: list[tuple[Child, Child]] = [("mean", wording.number(data.mean)), ("std", wording.number(data.std))]
    facts += [(f"{percent} % ≤", wording.number(value)) for percent, value in data.quantiles.items()]
    return tag(
        "div",
        tag("p", f"Residual: predicted minus true, of {_about(report)} rows.{beyond}", class_="soft"),
        tag(
            "div",
            tag("div", plots.scatter(points, x, y, "predicted", "Residuals by prediction")),
            tag("div", plots.bins(data.bins, "Histogram of residuals", "residual", 5), pairs(facts)),
            class_="grid",
        ),
        class_="card",
    )


def _middle(values: list[float]) -> tuple[float, float]:
    """Bounds that leave out the farthest percent where it is far out."""
    ordered = sorted(values)
    count = len(ordered)
    low, high = ordered[count // 100], ordered[-1 - count // 100]
    room = 0.5 * (high - low) or abs(high) * 0.1 or 1.0
    return max(ordered[0], low - room) - 0.04 * room, min(ordered[-1], high + room) + 0.04 * room


def ranks(report: RunReport) -> Html | None:
    """Histogram of the ranks of true targets."""
    data = report.ranks
    if data is None:
        return None
    total, rows, so_far = sum(each.rows for each in data.bins), [], 0
    for each in data.bins:
        so_far += each.rows
        bounds = f"{each.low:,.0f}" if each.low == each.high else f"{each.low:,.0f} – {each.high:,.0f}"
        rows.append([bounds, f"{each.rows:,}", wording.share(each.rows, total), wording.share(so_far, total)])
    facts = pairs([("median rank", wording.number(data.median)), ("edges", f"{total:,}")])
    listed = table(["rank", "edges", "share", "so far"], rows, ".###")
    return tag("div", plotted(plots.bins(data.bins, "Ranks of true targets", "rank"), facts, listed), class_="card")


def breakdowns(report: RunReport) -> Html | None:
    """Scores by bucket: a table a kind and end."""
    if not report.breakdowns:
        return None
    parts = [tag("div", _breakdown(each), class_="card") for each in report.breakdowns]
    text = (
        f"Of {_about(report)} rows. Degree: edges of any type into the node, reverses included, as the model sees "
        f"them. Text length: UTF-8 bytes of all its texts."
    )
    return tag("div", tag("p", tag("small", text), class_="soft"), tag("div", *parts, class_="two"))


def _breakdown(data: Breakdown) -> Html:
    highest = max(bucket.high if bucket.high is not None else bucket.value for bucket in data.buckets)
    top = 1.0 if data.measure == "accuracy" else highest
    drawn = plots.intervals(data.buckets, top)
    rows: list[list[Child]] = []
    for bucket, bar in zip(data.buckets, drawn, strict=True):
        rows.append([bucket.label, f"{bucket.rows:,}", metric(bucket.value), bar])
    head = tag("header", tag("h3", f"{data.by} of {data.of}"))
    return join([head, table([data.by, "rows", data.measure, ""], rows, ".##.")])


def errors(report: RunReport) -> Html | None:
    """Examples of what is most wrong."""
    if not report.examples:
        return None
    first = report.examples[0]
    what = "Wrong with the highest probability, at most two of a pair of classes"
    if first.rank is not None:
        what = "True targets with the worst ranks"
    elif first.confidence is None:
        what = "Farthest from the truth"
    note = f"{what}; {_about(report)} rows. Neighbours are a few drawn from all, as the model sees them."
    cards = [_example(example) for example in report.examples]
    return tag("div", tag("p", tag("small", note), class_="soft"), tag("div", *cards, class_="errors"))


def _example(example: Example) -> Html:
    parts: list[Child] = [_verdict(example)]
    parts += [tag("blockquote", text, title=name) for name, text in example.text.items()]
    for node in example.nodes:
        parts.append(_node(node, len(example.nodes) > 1))
    if example.instead:
        parts.append(tag("p", tag("small", tag("span", "proposed for it: ", class_="soft"), _named(example.instead))))
    return tag("div", *parts, class_="card")


def _verdict(example: Example) -> Html:
    if example.rank is not None:
        return tag("p", "true target at rank ", tag("b", f"{example.rank:,.0f}", class_="wrong"), class_="verdict")
    sure = "" if example.confidence is None else f" ({example.confidence:.0%})"
    doubt = "" if example.true_probability is None else f" ({example.true_probability:.1%})"
    return tag(
        "p",
        tag("b", svg.cut(example.predicted or "", 60), class_="wrong"),
        f"{sure}, truly ",
        tag("b", svg.cut(example.true, 60)),
        doubt,
        class_="verdict",
    )


def _node(node: ExampleNode, several: bool) -> Html:
    title = f"{node.role} {node.node_type} " if several else f"{node.node_type} "
    parts: list[Child] = [
        tag("p", tag("span", title, class_="soft"), tag("code", node.id),
            tag("small", f" · degree {node.degree:,}", class_="soft")),
    ]  # fmt: skip
    parts += [tag("blockquote", text or "(empty)", title=name) for name, text in node.text.items()]
    around = list(node.neighbors.items())
    for edge_type, linked in around[:NEIGHBOR_TYPES]:
        parts.append(tag("p", tag("small", tag("span", f"{edge_type} ", class_="soft"), _named(linked))))
    if len(around) > NEIGHBOR_TYPES:
        parts.append(tag("p", tag("small", f"and {len(around) - NEIGHBOR_TYPES:,} more edge types", class_="soft")))
    return tag("div", *parts)


def _named(nodes: Sequence[NamedNode]) -> Html:
    """Nodes in a line: what they are, then their ids."""
    parts: list[Child] = []
    for number, node in enumerate(nodes):
        parts += [", "] if number else []
        parts += [f"“{node.name}” "] if node.name else []
        parts.append(tag("code", node.id))
    return join(parts)


def maps(report: RunReport) -> Html | None:
    """Embeddings in two dimensions."""
    if not report.maps:
        return None
    return tag("div", *map(_map, report.maps), class_="two" if len(report.maps) > 1 else None)


def _map(data: EmbeddingMap) -> Html:
    first, second = (wording.share(part) for part in data.explained)
    sampled = f"a sample of {data.sampled:,} of {data.nodes:,}" if data.sampled < data.nodes else f"all {data.nodes:,}"
    text = (
        f"The first two principal components (PCA) of embeddings of {data.width:,} numbers, {sampled} nodes; they "
        f"hold {first} and {second} of the variance."
    )
    head, legend = tag("header", tag("h3", data.node_type)), tag("div", *_legend(data), class_="legend")
    drawn = tag("div", plots.embedding(data), class_="wide")
    facts = tag("div", head, legend, tag("p", tag("small", text), class_="soft"))
    return tag("div", drawn, facts, class_="card beside")


def _legend(data: EmbeddingMap) -> Iterator[Html]:
    if len(data.groups) > 1:
        for i, name in enumerate(data.groups):
            yield tag("span", tag("i", class_=f"key key-{plots.map_colour(i)}"), svg.cut(name, 30))
