"""Plots of a run's report as inline SVG, in the manner of a graph's report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gconstruct.report import wording
from gconstruct.report.html import Html, tag
from gconstruct.report.svg import HEIGHT, WIDTH, bars, picture
from graphstorm_like.reports.model import Bin, Bucket, CalibrationBin, EmbeddingMap

Point = tuple[float, float]

_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 8, 8, 26


@dataclass(frozen=True, slots=True)
class Axes:
    """Maps numbers into a picture of some width and height."""

    x: Point
    y: Point
    width: int = WIDTH
    height: int = 170

    def at(self, x: float, y: float) -> Point:
        """Where a point lies; points outside are put at the border."""
        across = _share(x, *self.x) * (self.width - _LEFT - _RIGHT)
        up = _share(y, *self.y) * (self.height - _TOP - _BOTTOM)
        return _LEFT + across, self.height - _BOTTOM - up

    def frame(self, x_name: str, y_ticks: Sequence[float], x_ticks: Sequence[float]) -> Iterator[Html]:
        """Lines and numbers."""
        for tick in y_ticks:
            _, y = self.at(self.x[0], tick)
            yield tag("line", x1=float(_LEFT), x2=float(self.width - _RIGHT), y1=y, y2=y, class_="grid")
            yield tag("text", short_number(tick), x=_LEFT - 5.0, y=y + 3, text_anchor="end")
        for tick in x_ticks:
            x, _ = self.at(tick, self.y[0])
            yield tag("text", short_number(tick), x=x, y=self.height - 13.0, text_anchor="middle")
        middle = (_LEFT + self.width - _RIGHT) / 2
        yield tag("text", x_name, x=middle, y=self.height - 1.0, text_anchor="middle")


def _share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5


def short_number(value: float) -> str:
    """'0.25', '-12', '3.5k', '2M', '1e+12'"""
    size = abs(value)
    if size >= 1e12 or (size and size < 1e-3):
        return f"{value:.1g}"
    for bound, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= bound:
            return f"{value / (1e3 if letter == 'k' else bound):.3g}{letter}"
    return f"{value:.4g}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two bounds."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def line(points: Sequence[Point], label: str, best: float | None = None) -> Html:
    """A curve over epochs. best: the epoch that was chosen."""
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    if not finite:
        return tag("p", "No finite numbers.", class_="soft")
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    first, last = finite[0][0], max(finite[-1][0], finite[0][0] + 1e-9)
    axes = Axes((first, last), (low - room, high + room))
    whole = sorted({float(round(tick)) for tick in ticks(first, last, 6) if first <= round(tick) <= last})
    parts = list(axes.frame("epoch", ticks(low, high, 4), whole or [first]))
    if best is not None:
        x, _ = axes.at(best, low)
        parts.append(tag("line", x1=x, x2=x, y1=float(_TOP), y2=float(axes.height - _BOTTOM), class_="best"))
    places = [axes.at(x, y) for x, y in finite]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    parts.append(tag("path", d=path, class_="line"))
    for (epoch, value), (x, y) in zip(finite, places, strict=True):
        if len(finite) <= 60:
            dot = tag("circle", cx=x, cy=y, r=2.5)
            parts.append(tag("g", dot, tag("title", f"epoch {wording.number(epoch)}: {wording.number(value)}")))
    return picture(axes.width, axes.height, label, "plot curve", parts)


def reliability(bins: Sequence[CalibrationBin]) -> Html:
    """Share that is right by probability, beside the diagonal where both are equal."""
    axes = Axes((0.0, 1.0), (0.0, 1.0), height=220)
    steps = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    parts = list(axes.frame("probability of the predicted class", steps, steps))
    base = axes.at(0, 0)[1]
    for each in bins:
        if each.right is None or each.confidence is None:
            continue
        left, top = axes.at(each.low, each.right)
        right, _ = axes.at(each.high, 0)
        bar = tag("rect", x=left + 1, y=top, width=right - left - 2, height=max(0.5, base - top))
        tip = (
            f"{each.low:.1f} to {each.high:.1f}: {wording.count(each.rows, 'row')}, mean probability "
            f"{each.confidence:.3f}, {wording.share(each.right)} right"
        )
        parts.append(tag("g", bar, tag("title", tip)))
    (x1, y1), (x2, y2) = axes.at(0, 0), axes.at(1, 1)
    parts.append(tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="diagonal"))
    return picture(axes.width, axes.height, "Share that is right by probability", "plot", parts)


def scatter(points: Sequence[Point], x: Point, y: Point, x_name: str, label: str, zero: float | None = 0.0) -> Html:
    """Dots; those outside of the bounds lie on the border. zero: a line at this height."""
    axes = Axes(x, y, height=220)
    parts = list(axes.frame(x_name, ticks(*y, 5), ticks(*x, 5)))
    if zero is not None and y[0] <= zero <= y[1]:
        (x1, height), (x2, _) = axes.at(x[0], zero), axes.at(x[1], zero)
        parts.append(tag("line", x1=x1, x2=x2, y1=height, y2=height, class_="diagonal"))
    parts.append(_dots([axes.at(*point) for point in points], 1))
    return picture(axes.width, axes.height, label, "plot dots", parts)


def _dots(places: Sequence[Point], colour: int) -> Html:
    """One path for all: lines without length, with round ends."""
    return tag("path", d="".join(f"M{x:.1f} {y:.1f}h0" for x, y in places), class_=f"dot-{colour}")


def embedding(data: EmbeddingMap) -> Html:
    """The map of embeddings, both axes in the same scale; large groups first, so that small ones stay visible."""
    xs, ys = [x for x, _, _ in data.points], [y for _, y, _ in data.points]
    size, edge = 480, 10
    reach = max(max(xs) - min(xs), max(ys) - min(ys), 1e-12)
    scale = (size - 2 * edge) / reach
    height = round((max(ys) - min(ys)) * scale + 2 * edge)
    parts = []
    for group in reversed(range(len(data.groups))):
        places = [
            (edge + (x - min(xs)) * scale, height - edge - (y - min(ys)) * scale)
            for x, y, g in data.points
            if g == group
        ]
        if places:
            parts.append(_dots(places, map_colour(group)))
    return picture(size, height, f"Embeddings of {data.node_type}", "map", parts)


def map_colour(group: int) -> int:
    """Colours 1 to 5, and 0 for all others."""
    return group + 1 if group < 5 else 0


def bins(data: Sequence[Bin], label: str, what: str, marks: int = 11) -> Html:
    """A histogram with named bins of any width, at most so many of them with a name below."""
    names = [_bounds(each) for each in data]
    tips = [f"{what} {name}: {each.rows:,}" for each, name in zip(data, names, strict=True)]
    every = -(-len(names) // marks)
    shown = {i: short_number(each.low) for i, each in enumerate(data) if i % every == 0}
    return bars([float(each.rows) for each in data], tips, label, shown, gap=1.0, centred=True)


def _bounds(each: Bin) -> str:
    return (
        wording.number(each.low)
        if each.low == each.high
        else f"{wording.number(each.low)} to {wording.number(each.high)}"
    )


def intervals(buckets: Sequence[Bucket], top: float) -> list[Html]:
    """For each bucket a bar with its interval, for a line of a table. top: the longest bar's value."""
    return [_with_interval(bucket, top or 1.0) for bucket in buckets]


def _with_interval(bucket: Bucket, top: float) -> Html:
    parts = [tag("rect", x=0, y=3, width=100, height=6, class_="track")]
    parts.append(tag("rect", x=0, y=3, width=_share(bucket.value, 0.0, top) * 100, height=6))
    if bucket.low is not None and bucket.high is not None:
        low, high = (_share(end, 0.0, top) * 100 for end in (bucket.low, bucket.high))
        parts.append(tag("rect", x=low, y=5, width=max(0.6, high - low), height=2, class_="spread"))
    return picture(100, 12, wording.number(bucket.value), "interval", parts, stretch=True)


__all__ = ["HEIGHT", "WIDTH", "Axes", "bins", "embedding", "intervals", "line", "map_colour", "reliability", "scatter"]
