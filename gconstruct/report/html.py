"""Markup that cannot be broken by what it shows: a plain string becomes escaped text wherever it is put."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

_CAMEL = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio"}
_EMPTY = frozenset({"meta", "br", "rect", "circle", "path", "line", "polygon"})
"""Elements that are written without an end."""


class Html(str):
    """Markup; every other string is text."""

    __slots__ = ()


Child = Html | str | int | None
"""A None is left out."""


def tag(element: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """An element. Attributes: `class_` is class, `stroke_width` is stroke-width; None or False leaves one out."""
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if element in _EMPTY:
        return Html(f"<{element}{written}/>")
    return Html(f"<{element}{written}>{join(children)}</{element}>")


def join(children: Iterable[Child]) -> Html:
    """One after another."""
    return Html("".join(_text(child) for child in children if child is not None))


def _text(child: Child) -> str:
    return child if isinstance(child, Html) else html.escape(_visible(str(child)))


def _visible(text: str) -> str:
    """Control characters, and those that turn the direction of writing, as codes: they would hide what is there."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == " " else f"\\u{ord(c):04x}" for c in text)


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    name = _CAMEL.get(name, name)
    if value is True:
        return f" {name}"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else html.escape(_visible(str(value)))
    return f' {name}="{text}"'


def table(head: Sequence[Child], rows: Iterable[Sequence[Child]], numeric: str = "") -> Html:
    """A table that scrolls sideways on narrow screens. numeric: '.' for each column of text, '#' for one of numbers."""
    kinds = ["number" if kind == "#" else None for kind in numeric.ljust(len(head), ".")]
    heads = [tag("th", cell, class_=kind, scope="col") for cell, kind in zip(head, kinds, strict=True)]
    lines = []
    for row in rows:
        cells = [tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)]
        lines.append(tag("tr", *cells))
    whole = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *lines))
    return tag("div", whole, class_="scroll")


def details(summary: Child, *children: Child, open_: bool = False) -> Html:
    """A part that is folded until it is wanted."""
    return tag("details", tag("summary", summary), *children, open=open_)


def pairs(entries: Iterable[tuple[Child, Child]]) -> Html:
    """Names and values, in a line that wraps."""
    cells = [tag("div", tag("dt", name), tag("dd", value)) for name, value in entries if value is not None]
    return tag("dl", *cells)


def plotted(plot: Html, *facts: Child) -> Html:
    """A plot, and what is to be said of it: beside it, or below where there is no room."""
    return tag("div", plot, tag("div", *facts), class_="plotted")


def document(title: str, style: str, *body: Child) -> Html:
    """A page that stands alone: nothing is loaded, nothing is run."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}"/>'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        Html(f"<style>{style}</style>"),
    )
    return Html(f'<!DOCTYPE html>\n<html lang="en">{head}{tag("body", *body)}</html>\n')
