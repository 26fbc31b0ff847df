"""Builds the tables of the Debian package graph from the package lists that apt fetches.

    python training_scripts/debian_packages/build_tables.py --output training_scripts/debian_packages/tables

Out: one Parquet file a node or edge table, and meta.json (release, counts, hashes). Works on Debian and Ubuntu as root
and as an ordinary user, downloads some 16 MB, and leaves the system's own lists alone. A second run asks the mirror
for the release's date only, and ends when the tables are up to date. Ubuntu spreads what Debian has in `main` over
two components: `--component main universe`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from debian_control import read_packages
from debian_lists import AptLists, AptSource, PrivateApt, TablesError, choose_source, release_codenames, system_sources
from debian_tables import check_replaceable, make_tables, read_meta, write_folder

BUILDER_VERSION = 2  # raise it when the same lists would give other tables
RELEASE_FIELDS = ("Origin", "Suite", "Codename", "Version", "Date")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Build the tables of the Debian package graph from apt's package lists."
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "tables", help="folder of the tables")
    parser.add_argument("--suite", help="release, e.g. trixie (default: the system's own)")
    parser.add_argument("--mirror", help="address of the archive (default: from the system's apt sources)")
    parser.add_argument("--keyring", help="file of the keys that sign the release (default: from the apt sources)")
    parser.add_argument("--component", nargs="+", default=["main"], help="parts of the archive (default: main)")
    parser.add_argument("--arch", default="amd64", help="architecture (default: amd64)")
    parser.add_argument("--force", action="store_true", help="build even when the tables are up to date")
    return parser.parse_args(arguments)


def build(options: argparse.Namespace) -> dict[str, Any]:
    """Builds the tables, or finds them up to date; returns what meta.json says of them."""
    output: Path = options.output.resolve()
    check_replaceable(output)
    source = choose_source(
        system_sources(),
        release_codenames(),
        options.component,
        suite=options.suite,
        mirror=options.mirror,
        keyring=options.keyring,
    )
    request = {
        "builder_version": BUILDER_VERSION,
        "suite": source.suite,
        "component": " ".join(options.component),
        "arch": options.arch,
    }
    known = None if options.force else read_meta(output)
    if known is not None and any(known.get(key) != value for key, value in request.items()):
        known = None  # built by another version of this script, or from another part of the archive
    with tempfile.TemporaryDirectory(prefix="debian_lists_") as folder:
        found = _lists_newer_than(known, PrivateApt(Path(folder), source, options.arch), source)
    if found is None:
        assert known is not None
        return known
    release, lists = found
    with _Step("parse the lists"):
        packages, older = read_packages(lists.packages, lists.translations)
    if not packages:
        raise TablesError(
            f"Packages list of '{source.suite}': must hold packages (got none). Check --mirror and --suite"
        )
    with _Step(f"make the tables of {len(packages):,} packages"):
        tables, counts = make_tables(packages)
    counts["dropped"]["older_versions"] = older
    with _Step(f"write {options.output}"):
        write_folder(output, tables, {**request, "release": release, **counts})
    meta = read_meta(output)
    assert meta is not None
    return meta


def _lists_newer_than(
    known: dict[str, Any] | None, apt: PrivateApt, source: AptSource
) -> tuple[dict[str, str | None], AptLists] | None:
    """The release and its lists; None when `known` tables were built from this very release."""
    try:
        fields = apt.release()
    except TablesError as error:
        if known is None:
            raise
        print(
            f"the mirror cannot be asked for a newer release; the tables are kept as they are.\n  {error}",
            file=sys.stderr,
        )
        return None
    release = {name.lower(): fields.get(name) for name in RELEASE_FIELDS}
    if known is not None and known.get("release") == release and release["date"]:
        print(f"up to date: {source.suite} {release['version'] or ''} of {release['date']} (build anew with --force)")
        return None
    with _Step(f"fetch the lists of {source.suite} {release['version'] or ''} of {release['date']}"):
        lists = apt.fetch()
    if not lists.translations:
        print("  warning: the mirror has no Translation-en; the column `long` will be empty", file=sys.stderr)
    return release, lists


class _Step:
    """Prints what is being done, then the seconds it took."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        self.start = time.perf_counter()
        print(f"{self.what} ...", flush=True)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            print(f"  {time.perf_counter() - self.start:.1f} s", flush=True)


def print_counts(meta: dict[str, Any]) -> None:
    print(f"\n{'table':<20} {'rows':>9}")
    for name, rows in meta["rows"].items():
        print(f"{name:<20} {rows:>9,}")
    print("\nnodes: " + ", ".join(f"{count:,} {name}" for name, count in meta["nodes"].items()))
    print(
        f"relation targets that resolve to nothing: {sum(meta['dropped']['resolve_to_nothing'].values()):,} (dropped)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        print_counts(build(options))
    except (TablesError, OSError) as error:  # OSError: no right to write, no space left
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
