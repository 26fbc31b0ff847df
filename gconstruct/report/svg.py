"""Plots as inline SVG: colours come from the page's style, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gconstruct.report import wording
from gconstruct.report.html import Html, join, tag
from gconstruct.report.model import Degrees, Histogram

WIDTH, HEIGHT = 320, 120
_LEFT, _TOP, _BOTTOM = 4, 6, 16


def histogram(data: Histogram, label: str) -> Html:
    """Bars, with the bounds below; the tips of bars tell the counts."""
    step = (data.high - data.low) / len(data.counts)
    tips = []
    for i, count in enumerate(data.counts):
        low, high = data.low + i * step, data.low + (i + 1) * step
        tips.append(f"{wording.number(low)} to {wording.number(high)}: {count:,}")
    heights = [float(count) for count in data.counts]
    ends = (_end(data.low, data.below, "≤ "), _end(data.high, data.above, "≥ "))
    return bars(heights, tips, label, {0: ends[0], len(heights): ends[1]}, gap=0.5)


def _end(bound: float, beyond: int, sign: str) -> str:
    return f"{sign if beyond else ''}{wording.number(bound)}"


def degrees(data: Degrees, label: str) -> Html:
    """Nodes by degree, both axes logarithmic: a bar is a power of two, its height the logarithm of its nodes."""
    tips, heights, marks = [], [], {}
    for i, bin_ in enumerate(data.bins):
        edges = f"{bin_.low:,}" if bin_.low == bin_.high else f"{bin_.low:,} to {bin_.high:,}"
        tips.append(f"{edges} edges: {bin_.nodes:,} nodes")
        heights.append(math.log10(bin_.nodes) + 0.3 if bin_.nodes else 0.0)
        marks[i] = short(bin_.low)
    every = -(-len(marks) // 10)
    shown = {i: mark for i, mark in marks.items() if i % every == 0}
    top = math.ceil(max(heights, default=0.0) - 0.3)
    lines = [(power + 0.3, short(10**power)) for power in range(top + 1)]
    return bars(heights, tips, label, shown, gap=2.0, lines=lines, centred=True)


def bars(
    heights: Sequence[float],
    tips: Sequence[str],
    label: str,
    marks: Mapping[int, str],
    gap: float,
    lines: Sequence[tuple[float, str]] = (),
    centred: bool = False,
) -> Html:
    """Bars over an axis. marks: texts under bar i (its left edge, or its middle). lines: (height, text) of the grid."""
    left = 30 if lines else _LEFT
    room, tall = WIDTH - left - _LEFT, HEIGHT - _TOP - _BOTTOM
    top = max([*heights, *(at for at, _ in lines)], default=0.0) or 1.0
    width, base = room / max(1, len(heights)), HEIGHT - _BOTTOM
    parts: list[Html] = []
    for at, text in lines:
        y = base - at / top * tall
        parts.append(tag("line", x1=float(left), x2=float(WIDTH - _LEFT), y1=y, y2=y, class_="grid"))
        parts.append(tag("text", text, x=left - 4.0, y=y + 3, text_anchor="end"))
    for i, (height, tip) in enumerate(zip(heights, tips, strict=True)):
        if height <= 0:
            continue
        size = max(1.0, height / top * tall)
        x = left + i * width + gap / 2
        bar = tag("rect", x=x, y=base - size, width=max(0.5, width - gap), height=size)
        parts.append(tag("g", bar, tag("title", tip)))
    parts.append(tag("line", x1=float(left), x2=float(WIDTH - _LEFT), y1=float(base), y2=float(base), class_="axis"))
    for i, text in marks.items():
        x, anchor = left + (i + 0.5 if centred else i) * width, "middle"
        if not centred:
            anchor = "start" if i == 0 else "end"
        parts.append(tag("text", text, x=x, y=HEIGHT - 4.0, text_anchor=anchor))
    return picture(WIDTH, HEIGHT, label, "plot", parts)


def spark(data: Histogram, label: str) -> Html:
    """A histogram for a line of a table: one path."""
    width, height = 72, 16
    top, step = max(data.counts) or 1, width / len(data.counts)
    points = [f"M0 {height}"]
    for i, count in enumerate(data.counts):
        points.append(f"V{height - count / top * (height - 1):.1f}H{(i + 1) * step:.1f}")
    return picture(width, height, label, "spark", [tag("path", d=f"{''.join(points)}V{height}Z")])


def stacked(parts: Sequence[tuple[str, int]], label: str) -> Html:
    """A bar of shares, each with a class of its own: part-0, part-1 ..."""
    total, at, drawn = sum(count for _, count in parts) or 1, 0.0, []
    for i, (name, count) in enumerate(parts):
        width = count / total * WIDTH
        if count:
            bar = tag("rect", x=at, y=0, width=width, height=12, class_=f"part-{i % 6}")
            drawn.append(tag("g", bar, tag("title", f"{name}: {count:,} ({wording.share(count, total)})")))
        at += width
    return picture(WIDTH, 12, label, "stacked", drawn, stretch=True)


def meter(part: float) -> Html:
    """A thin bar that shows a share (0 to 1) within a table."""
    bars = [
        tag("rect", width=100, height=6, class_="track"),
        tag("rect", width=max(0.0, min(1.0, part)) * 100, height=6),
    ]
    return picture(100, 6, wording.share(part), "meter", bars, stretch=True)


def schema(nodes: Mapping[str, int], edges: Sequence[tuple[str, str, str, int]]) -> Html:
    """Node types on a circle, and an arrow for each edge type (source, relation, target, count)."""
    width = 640
    names = list(nodes)
    place = {}
    for i, name in enumerate(names):
        turn = 2 * math.pi * (i / len(names)) - math.pi / 2 - (math.pi / len(names) if len(names) % 2 == 0 else 0)
        place[name] = (width / 2 + 225 * math.cos(turn), (60 + 18 * len(names)) * math.sin(turn))
    if len(names) == 1:
        place[names[0]] = (width / 2, 0.0)
    top = min(y for _, y in place.values()) - (110 if any(s == t for s, _, t, _ in edges) else 50)
    bottom = max(y for _, y in place.values()) + 50
    drawn: list[Html] = []
    seen: dict[tuple[str, str], int] = {}
    for source, relation, target, count in edges:
        nth = seen.get((source, target), 0)
        seen[source, target] = nth + 1
        drawn.append(_arrow(place[source], place[target], nth, f"{source} {relation} {target}: {count:,}", relation))
    for name, (x, y) in place.items():
        circle = tag("rect", x=x - 58, y=y - 19, width=116, height=38, rx=19)
        texts = (cut(name, 15), f"{nodes[name]:,}")
        lines = [
            tag("text", text, x=x, y=y - 2 + 13 * i, text_anchor="middle", class_="small" if i else None)
            for i, text in enumerate(texts)
        ]
        drawn.append(tag("g", circle, *lines, tag("title", f"{name}: {nodes[name]:,} nodes"), class_="node"))
    moved = tag("g", *drawn, transform=f"translate(0 {-top:.1f})")
    return picture(width, round(bottom - top), "Node types and edge types", "schema", [moved])


def _arrow(start: tuple[float, float], end: tuple[float, float], nth: int, tip: str, relation: str) -> Html:
    """A curve from one node type to another; the nth between them bends more."""
    (x1, y1), (x2, y2) = start, end
    if start == end:
        reach = 44 + 16 * nth
        path = f"M{x1 - 20:.1f} {y1 - 19:.1f}c-20 {-reach} 60 {-reach} 40 -1"
        return _labelled(path, (x1, y1 - 19 - 0.75 * reach - 3), (x1 + 20, y1 - 19), math.pi / 2 + 0.35, tip, relation)
    bend = 24 + 24 * nth
    length = math.hypot(x2 - x1, y2 - y1)
    across = ((y1 - y2) / length, (x2 - x1) / length)
    middle = ((x1 + x2) / 2 + across[0] * bend, (y1 + y2) / 2 + across[1] * bend)
    first, last = _edge_of(start, middle), _edge_of(end, middle)
    path = f"M{first[0]:.1f} {first[1]:.1f}Q{middle[0]:.1f} {middle[1]:.1f} {last[0]:.1f} {last[1]:.1f}"
    at = tuple(0.25 * a + 0.5 * m + 0.25 * b for a, m, b in zip(first, middle, last, strict=True))
    turn = math.atan2(last[1] - middle[1], last[0] - middle[0])
    return _labelled(path, (at[0], at[1] + 3), last, turn, tip, relation)


def _edge_of(centre: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Where the line from a node's centre leaves its box, a pill of 116 x 38."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    scale = min(58 / abs(dx) if dx else math.inf, 19 / abs(dy) if dy else math.inf)
    return (centre[0] + dx * scale, centre[1] + dy * scale)


def _labelled(
    path: str, at: tuple[float, float], tip_of_arrow: tuple[float, float], turn: float, tip: str, relation: str
) -> Html:
    x, y = tip_of_arrow
    corners = [(x, y)]
    for side in (2.75, -2.75):
        corners.append((x + 9 * math.cos(turn + side), y + 9 * math.sin(turn + side)))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    return tag(
        "g",
        tag("path", d=path),
        tag("polygon", points=points),
        tag("text", cut(relation, 18), x=at[0], y=at[1], text_anchor="middle"),
        tag("title", tip),
        class_="edge",
    )


def picture(width: int, height: int, label: str, kind: str, parts: Sequence[Html], stretch: bool = False) -> Html:
    """An SVG. label: for who cannot see it; kind: its class in the style; stretch: it fills any width and height."""
    aspect = "none" if stretch else None
    box = f"0 0 {width} {height}"
    return tag("svg", join(parts), viewbox=box, preserveaspectratio=aspect, role="img", aria_label=label, class_=kind)


def short(value: int) -> str:
    """1,000 -> 1k"""
    for power, letter in ((9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.3g}{letter}"
    return str(value)


def cut(text: str, most: int) -> str:
    """At most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
