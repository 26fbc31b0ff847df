"""Reads Debian control files (Packages, Translation-en) into `Package` records.

In: the two lists as text. Out: one `Package` a name, in the list's order; of several versions the newest is kept.
The one-line description stands in Packages, the long text in Translation-en; both carry the same Description-md5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

# Table name of each package-to-package relation -> its field in Packages.
RELATIONS = {
    "depends": "Depends",
    "pre_depends": "Pre-Depends",
    "recommends": "Recommends",
    "suggests": "Suggests",
    "enhances": "Enhances",
    "breaks": "Breaks",
    "replaces": "Replaces",
    "conflicts": "Conflicts",
}
_TEXT_FIELDS = ("Description", "Description-md5", "Description-en")
_SINGLE_FIELDS = (
    "Version",
    "Source",
    "Maintainer",
    "Homepage",
    "Section",
    "Priority",
    "Installed-Size",
    "Tag",
    "Provides",
)
_FIELDS = frozenset(("Package", *_SINGLE_FIELDS, *_TEXT_FIELDS, *RELATIONS.values()))


@dataclass(frozen=True, slots=True)
class Package:
    """One binary package. `relations` maps a table name (`depends`) to the field's text as it stands in the list."""

    name: str
    version: str
    source: str
    maintainer: str
    homepage_host: str | None
    short: str
    long: str
    section: str
    priority: str
    installed_size: int | None
    tags: tuple[str, ...]
    provides: str
    relations: dict[str, str]


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yields the fields we use of each stanza; continuation lines are kept, each after a newline."""
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        current: str | None = None
        for line in block.split("\n"):
            if line.startswith((" ", "\t")):
                if current is not None:
                    fields[current] += "\n" + line
                continue
            key, _, value = line.partition(":")
            current = key if key in _FIELDS else None
            if current is not None:
                fields[current] = value.strip()
        if "Package" in fields:
            yield fields


def read_packages(packages: str, translations: str) -> tuple[list[Package], int]:
    """Returns the packages, names unique, and how many older versions of a name were left out."""
    descriptions = {
        (fields["Package"], fields.get("Description-md5", "")): fields["Description-en"]
        for fields in stanzas(translations)
        if "Description-en" in fields
    }
    kept: dict[str, Package] = {}
    older = 0
    for fields in stanzas(packages):
        package = _package(fields, descriptions)
        known = kept.get(package.name)
        if known is not None:
            older += 1
            if version_key(known.version) >= version_key(package.version):
                continue
        kept[package.name] = package
    return list(kept.values()), older


def _package(fields: dict[str, str], descriptions: dict[tuple[str, str], str]) -> Package:
    name = fields["Package"]
    description = fields.get("Description", "")
    # Third-party lists and very old ones carry the long text in Packages itself; Translation-en wins where it has it.
    full = descriptions.get((name, fields.get("Description-md5", "")), description)
    size = fields.get("Installed-Size", "")
    return Package(
        name=name,
        version=fields.get("Version", ""),
        source=fields.get("Source", name).split(" ", 1)[0],  # `Source: linux (6.12.1-1)` when the versions differ
        maintainer=" ".join(fields.get("Maintainer", "").split()),
        homepage_host=homepage_host(fields.get("Homepage")),
        short=(description or full).split("\n", 1)[0].strip(),
        long=long_text(full),
        section=fields.get("Section", "").rsplit("/", 1)[-1],  # `universe/admin` -> `admin`
        priority=fields.get("Priority", ""),
        installed_size=int(size) if size.isdigit() else None,
        tags=tuple(dict.fromkeys(tag.strip() for tag in fields.get("Tag", "").split(",") if tag.strip())),
        provides=fields.get("Provides", ""),
        relations={table: fields[field] for table, field in RELATIONS.items() if field in fields},
    )


def long_text(description: str) -> str:
    """The text after the one-line summary: lines of a paragraph joined by spaces, paragraphs by an empty line."""
    paragraphs: list[list[str]] = [[]]
    for line in description.split("\n")[1:]:
        line = line.strip()
        if line == ".":
            paragraphs.append([])
        elif line:
            paragraphs[-1].append(line)
    return "\n\n".join(" ".join(lines) for lines in paragraphs if lines)


def homepage_host(url: str | None) -> str | None:
    """`https://www.Example.org/x` -> `example.org`; None without a web address (ftp, gopher, malformed)."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:  # e.g. an unclosed bracket of an IPv6 address
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    return host.removeprefix("www.")


def mail_key(maintainer: str) -> str:
    """What makes two spellings of a maintainer one: the mail address in lower case, or the whole text without one."""
    match = re.search(r"<([^<>]+)>", maintainer)
    return (match[1] if match else maintainer).strip().lower()


def version_key(version: str) -> tuple[object, ...]:
    """A sort key with Debian's order of versions: epoch, upstream, revision (Debian policy, section 5.6.12)."""
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdigit():
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "0"
    return (int(epoch), _part_key(upstream), _part_key(revision))


def _part_key(part: str) -> list[tuple[list[int], int]]:
    # Runs of non-digits and digits in turn. `~` sorts before the end of the run, letters before all else.
    return [
        ([-1 if char == "~" else ord(char) + (0 if char.isalpha() else 256) for char in text] + [0], int(digits or "0"))
        for text, digits in re.findall(r"(\D*)(\d*)", part)
    ]
