"""A comparison as one HTML file that needs nothing else: scores with intervals, curves, cost, what differs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from gconstruct.report.html import Child, Html, details, document, table, tag
from gconstruct.report.svg import picture
from graphstorm_like.reports.compare import ComparedRun, Comparison, Interval
from graphstorm_like.reports.compare_text import best_line, cost_cells, metrics_of, shown
from graphstorm_like.reports.plots import Axes, ticks
from graphstorm_like.reports.style import STYLE as RUN_STYLE
from graphstorm_like.reports.wording import metric as number
from graphstorm_like.reports.wording import split_title

COLOURED, LISTED, KEYS_SHOWN, COLUMNS = 5, 20, 40, 6
"""Runs with a colour of their own in plots of curves; runs in plots; keys that differ, unfolded; and as columns"""
_ROW, _LEFT, _WIDTH = 38, 10, 560
_SPLITS = (("valid", 1), ("test", 2))
STYLE = (
    RUN_STYLE
    + """
main{max-width:1180px}
svg.scores{width:100%;max-width:680px;height:auto}
svg.scores text.name{font-size:11px;font-weight:400;fill:var(--text);paint-order:stroke;stroke:var(--card);
stroke-width:4px}
svg.scores line.whisker{stroke-width:2}
svg.scores .split-1{fill:var(--card);stroke:var(--p1);stroke-width:2}
svg.scores .split-2{fill:var(--p2);stroke:var(--p2)}
svg.scores line.split-1{stroke:var(--p1)}svg.scores line.split-2{stroke:var(--p2)}
svg.curves path{fill:none;stroke-width:1.8}svg.curves path.best{stroke-width:2.6;stroke-dasharray:none}
.stroke-0{stroke:var(--p0)}.stroke-1{stroke:var(--p1)}.stroke-2{stroke:var(--p2)}.stroke-3{stroke:var(--p3)}
.stroke-4{stroke:var(--p4)}.stroke-5{stroke:var(--p5)}
svg.costs circle{fill:var(--p1)}svg.costs circle.best{fill:var(--p2)}
tr.best td:first-child{font-weight:600}
td small{color:var(--soft);white-space:nowrap}
.runs td,.runs th{padding-right:18px}
.runs td:first-child{min-width:24px;white-space:nowrap;color:var(--soft)}
.runs td:nth-child(2){min-width:150px;overflow-wrap:break-word}
.runs code{white-space:nowrap}
.runs td{overflow-wrap:normal}
.keys td{min-width:90px}.keys td:first-child{color:inherit;white-space:normal}
.swatch{display:inline-block;width:14px;height:3px;vertical-align:middle;margin-right:6px}
.swatch.c0{background:var(--p0)}.swatch.c1{background:var(--p1)}.swatch.c2{background:var(--p2)}
.swatch.c3{background:var(--p3)}.swatch.c4{background:var(--p4)}.swatch.c5{background:var(--p5)}
.ring{display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:6px;border:2px solid var(--p1)}
.ring.full{background:var(--p2);border-color:var(--p2)}
"""
)


def compare_page(comparison: Comparison, title: str, command: str) -> str:
    """The whole page. command: what makes it again."""
    ordered = comparison.order()
    sections = [
        tag("h1", title),
        tag("p", best_line(comparison), class_="soft"),
        _notes(comparison.notes),
        *_section("Scores", _score_plot(comparison, ordered), _score_table(comparison, ordered)),
        *_section("What differs", _differences(comparison, ordered)),
        *_section("Validation over epochs", _curves(comparison, ordered)),
        *_section("Cost", _cost(comparison, ordered)),
        tag("footer", tag("p", "The best run is chosen by validation; test is shown and chooses nothing."),
            tag("p", "Made by: ", tag("code", command))),
    ]  # fmt: skip
    return document(title, STYLE, tag("main", *(section for section in sections if section is not None)))


def _section(title: str, *bodies: Html | None) -> list[Html]:
    present = [body for body in bodies if body is not None]
    return [tag("section", tag("h2", title), *present)] if present else []


def _notes(notes: Sequence[str]) -> Html | None:
    items = [tag("li", tag("span", "note", class_="level"), note, class_="note") for note in notes]
    return tag("ul", *items, class_="findings") if items else None


# ---------------------------------------------------------------------------------------------------------- scores


def _score_plot(comparison: Comparison, ordered: Sequence[ComparedRun]) -> Html | None:
    """A line for each run, a dot for each split, with its interval."""
    metric = comparison.metric
    shown_runs = list(ordered[:LISTED])
    points = [(run, split, run.score(split, metric or "")) for run in shown_runs for split, _ in _SPLITS]
    known = [(run, split, score) for run, split, score in points if score is not None and math.isfinite(score.value)]
    if metric is None or not known:
        return None
    bounds = [end for _, _, score in known for end in (score.value, score.low, score.high) if end is not None]
    low, high = min(bounds), max(bounds)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    height = _ROW * len(shown_runs) + 38
    parts: list[Html] = []
    span = (low - room, high + room)
    for tick in ticks(*span, 5):
        x = _across(tick, span)
        parts.append(tag("line", x1=x, x2=x, y1=4.0, y2=height - 30.0, class_="grid"))
        parts.append(tag("text", number(tick), x=x, y=height - 17.0, text_anchor="middle"))
    parts.append(tag("text", metric, x=_WIDTH / 2, y=height - 3.0, text_anchor="middle"))
    rows = {run.name: 14.0 + _ROW * i for i, run in enumerate(shown_runs)}
    for place, (name, y) in enumerate(rows.items(), 1):
        parts.append(tag("text", f"{place}  {_cut(name, 90)}", x=float(_LEFT), y=y, class_="name"))
    for run, split, score in known:
        y, colour = rows[run.name] + (16 if split == "test" else 8), dict(_SPLITS)[split]
        parts.append(_dot(score, y, colour, span, f"{run.name}, {split}"))
    plot = picture(_WIDTH, height, f"{metric} of each run", "plot scores", parts)
    key = tag("p", tag("span", tag("span", class_="ring"), "validation"),
              tag("span", tag("span", class_="ring full"), "test"), class_="legend")  # fmt: skip
    return tag("div", key, plot, _left_out(len(ordered), LISTED), class_="card")


def _across(value: float, span: tuple[float, float]) -> float:
    return _LEFT + (value - span[0]) / (span[1] - span[0]) * (_WIDTH - 2 * _LEFT)


def _dot(score: Interval, y: float, colour: int, span: tuple[float, float], what: str) -> Html:
    x = _across(score.value, span)
    parts: list[Html] = []
    tip = f"{what}: {number(score.value)}"
    if score.low is not None and score.high is not None:
        ends = _across(score.low, span), _across(score.high, span)
        parts.append(tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y, class_=f"whisker split-{colour}"))
        tip += f", 95 % interval {number(score.low)} to {number(score.high)}"
    parts.append(tag("circle", cx=x, cy=y, r=3.5, class_=f"split-{colour}"))
    return tag("g", *parts, tag("title", tip))


def _score_table(comparison: Comparison, ordered: Sequence[ComparedRun]) -> Html:
    columns = metrics_of(comparison)
    heads = ["", "run", *(f"{split_title(split)} {name}" for split, name in columns), "time", "CPU time", "peak memory"]
    rows: list[list[Child]] = []
    for place, run in enumerate(ordered, 1):
        name = tag("b", _name(run.name)) if run.name == comparison.best else _name(run.name)
        rows.append([str(place), name, *(_score(run.score(*column)) for column in columns), *cost_cells(run)])
    if (simple := comparison.simple) is not None:
        rows.append(["", simple.name, *(_score(simple.score(*column)) for column in columns), *cost_cells(simple)])
    whole = table(heads, rows, ".." + "#" * (len(heads) - 2))
    remarks = []
    if any(score.low is not None for run in ordered for of in run.scores.values() for score in of.values()):
        remarks.append("Small numbers: 95 % intervals, bootstrap over rows; they tell nothing of other seeds.")
    if any(run.resumed for run in ordered):
        remarks.append("+: the run was resumed, and its cost is that of the last attempt.")
    text = tag("p", tag("small", " ".join(remarks)), class_="soft") if remarks else None
    return tag("div", whole, text, class_="runs")


def _score(score: Interval | None) -> Html:
    if score is None:
        return tag("span", "-")
    if score.low is None or score.high is None:
        return tag("span", number(score.value))
    return tag("span", number(score.value), tag("br"), tag("small", f"{number(score.low)} – {number(score.high)}"))


# ------------------------------------------------------------------------------------------------------ differences


def _differences(comparison: Comparison, ordered: Sequence[ComparedRun]) -> Html:
    if not comparison.differences:
        return tag("p", "Nothing: the runs have the same configuration.")
    position = {run.name: i for i, run in enumerate(comparison.runs)}
    places = [(place, position[run.name]) for place, run in enumerate(ordered, 1)]
    keys, rows = comparison.differences, []
    if len(keys) <= COLUMNS:  # a row a run reads best where they differ in little, as in a sweep
        for place, run in places:
            name = _name(comparison.runs[run].name)
            rows.append([str(place), name, *(shown(values[run]) for values in keys.values())])
        return tag("div", table(["", "run", *(tag("code", key) for key in keys)], rows), class_="runs")
    for key, values in keys.items():
        rows.append([tag("code", key), *(shown(values[run]) for _, run in places)])
    heads = ["key", *(f"{place} {comparison.runs[run].name}" for place, run in places)]
    first, more = table(heads, rows[:KEYS_SHOWN]), rows[KEYS_SHOWN:]
    rest = details(f"{len(more)} more keys", table(heads, more)) if more else None
    return tag("div", first, rest, class_="runs keys")


# ----------------------------------------------------------------------------------------------------------- curves


def _curves(comparison: Comparison, ordered: Sequence[ComparedRun]) -> Html | None:
    with_curve = [run for run in ordered if len(_finite(run.curve)) > 1][:LISTED]
    if not with_curve or comparison.metric is None:
        return None
    points = [point for run in with_curve for point in _finite(run.curve)]
    low, high = min(y for _, y in points), max(y for _, y in points)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    axes = Axes((first, last), (low - room, high + room), width=480, height=240)
    whole = sorted({float(round(tick)) for tick in ticks(first, last, 8) if first <= round(tick) <= last})
    parts = list(axes.frame("epoch", ticks(low, high, 5), whole or [first]))
    for i, run in reversed(list(enumerate(with_curve))):
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (axes.at(*point) for point in _finite(run.curve)))
        line = tag("path", d=path, class_=f"stroke-{_colour(i)}")
        parts.append(tag("g", line, tag("title", run.name)))
    plot = picture(axes.width, axes.height, f"Validation {comparison.metric} by epoch", "plot curves", parts)
    places = {run.name: place for place, run in enumerate(ordered, 1)}
    names = []
    for i, run in enumerate(with_curve):
        names.append(tag("span", tag("span", class_=f"swatch c{_colour(i)}"), f"{places[run.name]}  {run.name}"))
    key = [tag("div", name) for name in names[:COLOURED]]
    if len(names) > COLOURED:
        key.append(tag("div", tag("span", class_="swatch c0"), "other runs"))
    what = tag("h4", f"Validation {comparison.metric}, last phase, as measured while training")
    return tag("div", what, tag("div", plot, tag("div", *key, class_="legend"), class_="plotted"), class_="card")


def _colour(position: int) -> int:
    """Colours 1 to 5 for the best runs, and 0 for all others."""
    return position + 1 if position < COLOURED else 0


def _finite(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in curve if math.isfinite(y)]


# ------------------------------------------------------------------------------------------------------------- cost


def _cost(comparison: Comparison, ordered: Sequence[ComparedRun]) -> Html | None:
    """Scores by CPU time."""
    metric = comparison.metric
    if metric is None:
        return None
    known = []
    for run in ordered:
        score = run.score("valid", metric)
        if run.cpu_seconds and score is not None and math.isfinite(score.value):
            known.append((run, run.cpu_seconds, score.value))
    if len(known) < 2:
        return None
    times, values = [time for _, time, _ in known], [value for _, _, value in known]
    places = {run.name: place for place, run in enumerate(ordered, 1)}
    room = 0.08 * (max(values) - min(values)) or 0.05 * abs(max(values)) or 1.0
    axes = Axes((0.0, 1.08 * max(times)), (min(values) - room, max(values) + room), width=480, height=220)
    parts = list(axes.frame("CPU seconds of training, scoring and export", ticks(*axes.y, 5), ticks(*axes.x, 6)))
    for run, time, value in known:
        x, y = axes.at(time, value)
        dot = tag("circle", cx=x, cy=y, r=5, class_="best" if run.name == comparison.best else None)
        label = tag("text", str(places[run.name]), x=x + 8, y=y + 3.5)
        parts.append(tag("g", dot, label, tag("title", f"{run.name}: {number(value)} in {time:,.1f} CPU s")))
    plot = picture(axes.width, axes.height, f"Validation {metric} by CPU seconds", "plot costs", parts)
    hint = "Numbers are those of the table; the best run has another colour."
    facts = [tag("h4", f"Validation {metric} by CPU time"), tag("p", hint, class_="soft")]
    return tag("div", tag("div", plot, tag("div", *facts), class_="plotted"), class_="card")


def _left_out(count: int, shown_count: int) -> Html | None:
    if count <= shown_count:
        return None
    return tag("p", f"The best {shown_count} of {count} runs; the table has all.", class_="soft")


def _name(name: str) -> Html:
    """A run's name, which may break behind its commas and slashes."""
    parts: list[Child] = []
    for piece in re.split(r"(?<=[,/])", name):
        parts += [piece, Html("<wbr/>")]
    return tag("span", *parts[:-1])


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"…{text[1 - length :]}"
