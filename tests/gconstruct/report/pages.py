"""Reads pages as a browser does, and checks that they stand alone."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

EVIL = """<script>alert("1")</script><img src=x onerror='alert(2)'></style></svg>&amp;\x00\u202e"""


class Reader(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def assert_safe(page: str) -> Reader:
    """Whole, and with nothing that runs or loads."""
    seen = Reader(page)
    assert seen.open == []
    assert page.startswith("<!DOCTYPE html>")
    assert not {"script", "img", "iframe", "link", "object"} & set(seen.tags)
    assert seen.tags.count("style") == 1
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    links = [value or "" for name, value in seen.attributes if name in ("src", "href", "xlink:href", "data", "action")]
    assert links
    assert all(link.startswith("#") for link in links)
    style = "".join(seen.text)
    assert "url(" not in style
    assert "@import" not in style
    assert [value for _, value in seen.attributes if value and "default-src 'none'" in value]
    return seen
