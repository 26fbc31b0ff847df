"""Features on the page: a plot each when they are few; lists of the remarkable ones and a folded table when many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gconstruct.report import svg, wording
from gconstruct.report.html import Child, Html, details, join, pairs, plotted, table, tag
from gconstruct.report.model import FeatureProfile

FEW = 12
"""Features with a plot of their own"""
LISTED, IN_TABLE, CATEGORIES = 8, 200, 8
"""Lines of lists of remarkable ones, of the folded table, and categories of one feature"""
_ALL_COUNT = ("value", "numbers")
"""Lists of which every member is remarkable; others are the first of a ranking"""
Named = tuple[str, FeatureProfile]


def features(profiles: Mapping[str, FeatureProfile]) -> Html | None:
    """All features of a type."""
    if not profiles:
        return None
    title = tag("h4", f"Features ({len(profiles):,})" if len(profiles) > 1 else "Feature")
    if len(profiles) <= FEW:
        plots = [_plotted(name, profile) for name, profile in profiles.items()]
        return join([title, tag("div", *plots, class_="grid")])
    named = list(profiles.items())
    return join([title, _summary(named), _remarkable(named), _all(named)])


def _plotted(name: str, feature: FeatureProfile) -> Html:
    made = tag("small", _made(feature), class_="soft")
    parts: list[Child] = [tag("div", tag("span", name, class_="name"), " ", made)]
    if feature.categories is not None and feature.dimensions is not None:
        parts.append(_categories(feature.categories, feature.dimensions.mean, feature.width))
    elif feature.histogram is not None:
        fitted = ", ".join(f"{key} {wording.number(value)}" for key, value in feature.fitted.items())
        before = tag("small", f"before scaling: {fitted}", class_="soft") if fitted else None
        facts = join([pairs(_numbers(feature)), before])
        several = len(feature.histogram.counts) > 1
        parts.append(plotted(svg.histogram(feature.histogram, f"Histogram of {name}"), facts) if several else facts)
    if feature.dimensions is not None and feature.constant:
        parts.append(tag("p", f"{feature.constant:,} dimensions have one value only", class_="soft"))
    return tag("div", *parts)


def _made(feature: FeatureProfile) -> str:
    words = [feature.encode] if feature.encode else []
    words += [f"{feature.width:,} numbers a row"] if feature.width != 1 else []
    return ", ".join([*words, feature.dtype])


def _numbers(feature: FeatureProfile) -> list[tuple[Child, Child]]:
    numbers = feature.numbers
    middle = [("median", feature.median), ("mean", numbers.mean), ("std", numbers.std)]
    out: list[tuple[Child, Child]] = []
    for name, value in [("min", numbers.min), *middle, ("max", numbers.max)]:
        out.append((name, wording.number(value, _largest(feature))))
    if numbers.zeros is not None:
        out.append(("zeros", wording.share(numbers.zeros)))
    if numbers.not_finite:
        out.append(("NaN or infinite", f"{numbers.not_finite:,}"))
    return out


def _categories(names: Sequence[str], shares: Sequence[float | None], width: int) -> Html:
    """The most frequent ones of so many columns."""
    ranked = sorted(zip(names, shares, strict=True), key=lambda entry: -(entry[1] or 0.0))
    rows = []
    for name, part in ranked[:CATEGORIES]:
        rows.append([_short(name), svg.meter(part or 0.0), wording.share(part or 0.0)])
    more = width - min(CATEGORIES, len(ranked))
    tail = tag("small", wording.count(more, "more column"), class_="soft") if more > 0 else None
    return join([table(["category", "", "share of rows"], rows, "..#"), tail])


def _summary(named: Sequence[Named]) -> Html:
    """How many there are of each kind."""
    kinds: dict[str, int] = {}
    for _, feature in named:
        kinds[feature.encode or "imported"] = kinds.get(feature.encode or "imported", 0) + 1
    numbers = sum(feature.width for _, feature in named)
    made = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return tag("p", f"{made}; {numbers:,} numbers a row in all.")


def _remarkable(named: Sequence[Named]) -> Html:
    """Lists of those that stand out."""
    lists = [
        ("One value only", _ranked(named, lambda f: float(f.constant == f.width and f.width > 0)), "value", _first),
        ("Most zeros", _ranked(named, _zeros), "zeros", lambda f: wording.share(f.numbers.zeros or 0.0)),
        ("Largest numbers", _ranked(named, _largest), "largest", lambda f: wording.number(_largest(f))),
        ("Longest tails", _ranked(named, _tail), "std from mean", lambda f: wording.number(round(_tail(f), 1))),
        ("NaN or infinite", _ranked(named, lambda f: f.numbers.not_finite), "numbers", _bad),
    ]
    cards = []
    for title, found, column, show in lists:
        if found:
            rows = [[name, show(feature)] for name, feature in found[:LISTED]]
            more = len(found) - LISTED if column in _ALL_COUNT else 0
            tail = tag("small", f"{more:,} more", class_="soft") if more > 0 else None
            cards.append(tag("div", tag("span", title, class_="name"), table(["feature", column], rows, ".#"), tail))
    return tag("div", *cards, class_="grid")


def _ranked(named: Sequence[Named], score: Callable[[FeatureProfile], float]) -> list[Named]:
    """Those with a score above 0, the highest first."""
    scored = [(name, feature) for name, feature in named if score(feature) > 0]
    return sorted(scored, key=lambda entry: -score(entry[1]))


def _first(feature: FeatureProfile) -> str:
    return wording.number(feature.numbers.min)


def _zeros(feature: FeatureProfile) -> float:
    constant = feature.constant == feature.width
    return 0.0 if constant or feature.categories is not None else feature.numbers.zeros or 0.0


def _largest(feature: FeatureProfile) -> float:
    return max(abs(feature.numbers.min or 0.0), abs(feature.numbers.max or 0.0))


def _tail(feature: FeatureProfile) -> float:
    numbers = feature.numbers
    if not numbers.std or numbers.mean is None or feature.width != 1:
        return 0.0
    ends = (numbers.min or 0.0, numbers.max or 0.0)
    return max(abs(end - numbers.mean) for end in ends) / numbers.std


def _bad(feature: FeatureProfile) -> str:
    return f"{feature.numbers.not_finite:,}"


def _all(named: Sequence[Named]) -> Html:
    """The folded table."""
    rows = []
    for name, feature in named[:IN_TABLE]:
        numbers = feature.numbers
        values, scale = (numbers.min, numbers.mean, numbers.std, numbers.max), _largest(feature)
        shown = [wording.number(value, scale) for value in values]
        zeros = "-" if numbers.zeros is None else wording.share(numbers.zeros)
        plot = None if feature.histogram is None else svg.spark(feature.histogram, f"Histogram of {name}")
        rows.append([name, _made(feature), plot, *shown, zeros])
    head = ["feature", "made", "histogram", "min", "mean", "std", "max", "zeros"]
    more = len(named) - IN_TABLE
    tail = tag("p", f"{more:,} more are in report.json.", class_="soft") if more > 0 else None
    title = f"All {len(named):,} features" if more <= 0 else f"The first {IN_TABLE:,} of {len(named):,} features"
    return details(title, table(head, rows, "...#####"), tail)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
