"""The tables of the Debian package graph, from lists small enough to check by eye; no network, no apt."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SCRIPTS = Path(__file__).parents[2] / "training_scripts" / "debian_packages"
sys.path.insert(0, str(SCRIPTS))

import build_tables  # noqa: E402
import debian_tables  # noqa: E402
from debian_control import homepage_host, long_text, read_packages, version_key  # noqa: E402
from debian_lists import AptLists, AptSource, TablesError  # noqa: E402
from debian_relations import Target, link_split, parse_relation, split_of, split_share  # noqa: E402

PACKAGES = """\
Package: app
Source: app-src (1.0-2)
Version: 1.0-2+b1
Installed-Size: 120
Maintainer: The  Games Team <Games@Lists.example.org>
Depends: libone (>= 1.2) | libtwo, libone (<< 2), mail-agent, gone, python3:any (>= 3.9~)
Recommends: app-data (= 1.0), libone
Suggests: libtwo
Breaks: app (<< 1), libtwo (< 5)
Conflicts: mail-agent
Description: A game
Description-md5: aaa
Homepage: https://www.Example.org/app
Tag: role::program, game::strategy,
 use::gameplaying
Section: universe/games
Priority: optional

Package: app-data
Source: app-src
Version: 1.0-1
Installed-Size: 0
Maintainer: Games Team <games@lists.example.org>
Description: Data of a game
Homepage: ftp://example.org/data
Section: games
Priority: optional

Package: libone
Version: 1:0.9
Installed-Size: 7
Maintainer: Games Team <games@lists.example.org>
Section: libs
Priority: optional
Description: An older libone

Package: libone
Version: 1:1.0~rc1
Installed-Size: 8
Maintainer: Games Team <games@lists.example.org>
Description: The newer libone
Section: libs
Priority: optional

Package: libtwo
Version: 2
Maintainer: Somebody
Provides: mail-agent (= 3), libone, nobody-wants-it
Recommends: libone
Enhances: app
Section: libs
Description: Another library
 Its long text stands in Packages.

Package: python3
Version: 3.13
Provides: mail-agent
Recommends: libone
Section: python
Description: A language
"""
TRANSLATIONS = """\
Package: app
Description-md5: old
Description-en: A game
 The text of another version.

Package: app
Description-md5: aaa
Description-en: A game
 You rule a village
 and trade.
 .
 It has:
  * sheep
"""
RELEASE = {"Origin": "Debian", "Suite": "stable", "Codename": "trixie", "Version": "13.8", "Date": "Sat, 21 Nov 2026"}


@pytest.fixture
def tables() -> dict[str, pa.Table]:
    packages, _ = read_packages(PACKAGES, TRANSLATIONS)
    return debian_tables.make_tables(packages)[0]


def edges(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


def row(tables: dict[str, pa.Table], name: str) -> dict[str, Any]:
    return next(row for row in tables["package"].to_pylist() if row["name"] == name)


# -------------------------------------------------------------------------------------------------------- control files


def test_description_joins_lines_and_keeps_paragraphs(tables: dict[str, pa.Table]) -> None:
    app = row(tables, "app")
    assert app["short"] == "A game"
    assert app["long"] == "You rule a village and trade.\n\nIt has: * sheep"
    assert row(tables, "libtwo")["long"] == "Its long text stands in Packages."
    assert row(tables, "python3")["long"] == ""
    assert long_text("Short only") == ""


def test_package_columns(tables: dict[str, pa.Table]) -> None:
    app = row(tables, "app")
    assert app["source"] == "app-src"
    assert app["section"] == "games"
    assert app["homepage_host"] == "example.org"
    assert app["installed_size"] == 120
    assert app["log_installed_size"] == pytest.approx(4.7958, abs=1e-4)
    data = row(tables, "app-data")
    assert (data["installed_size"], data["log_installed_size"], data["homepage_host"]) == (0, 0.0, None)
    assert data["size_split"] == split_of("nc|", "app-src")
    unknown = row(tables, "libtwo")
    assert (unknown["source"], unknown["installed_size"], unknown["log_installed_size"], unknown["size_split"]) == (
        "libtwo",
        None,
        None,
        None,
    )


def test_maintainer_spellings_are_one_node(tables: dict[str, pa.Table]) -> None:
    assert row(tables, "app")["maintainer"] == "Games Team <games@lists.example.org>"
    assert row(tables, "libtwo")["maintainer"] == "Somebody"
    assert row(tables, "python3")["maintainer"] is None
    assert tables["maintained_by"].num_rows == 4


def test_newest_version_of_a_name_is_kept_in_place() -> None:
    packages, older = read_packages(PACKAGES, TRANSLATIONS)
    assert older == 1
    assert [package.name for package in packages] == ["app", "app-data", "libone", "libtwo", "python3"]
    assert packages[2].short == "The newer libone"


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("1.0~rc1", "1.0"), ("1.9", "1.10"), ("9", "1:0"), ("1.0-1", "1.0-1+b1"), ("1.0a", "1.0+"), ("1.0", "1.0.1")],
)
def test_version_order(smaller: str, larger: str) -> None:
    assert version_key(smaller) < version_key(larger)


@pytest.mark.parametrize("url", [None, "", "https:/one-slash.org", "http://[broken", "gopher://a.org", "no address"])
def test_homepage_without_a_host(url: str | None) -> None:
    assert homepage_host(url) is None


def test_small_section_has_no_label(tables: dict[str, pa.Table], monkeypatch: pytest.MonkeyPatch) -> None:
    assert row(tables, "app")["section_label"] is None
    assert row(tables, "app")["section_split"] is None
    monkeypatch.setattr(debian_tables, "MIN_SECTION", 2)
    labelled = debian_tables.make_tables(read_packages(PACKAGES, TRANSLATIONS)[0])[0]
    assert row(labelled, "app")["section_label"] == "games"
    assert row(labelled, "app")["section_split"] == split_of("nc|", "app-src")
    assert row(labelled, "python3")["section_label"] is None


# ------------------------------------------------------------------------------------------------------------ relations


def test_relation_grammar() -> None:
    assert list(parse_relation("a (>= 1:2) | b:any, c [amd64] <!nocheck>, g++-14:native(>>1), d (< 3), ,${x}")) == [
        Target("a", True, ">="),
        Target("b", True, None),
        Target("c", False, None),
        Target("g++-14", False, ">>"),
        Target("d", False, "<="),
    ]


def test_repeated_target_keeps_its_first_mention(tables: dict[str, pa.Table]) -> None:
    assert edges(tables["depends"]) == [
        ("app", "libone", 1, ">="),
        ("app", "libtwo", 1, None),
        ("app", "python3", 0, ">="),
    ]


def test_virtual_packages(tables: dict[str, pa.Table]) -> None:
    assert edges(tables["depends_virtual"]) == [("app", "mail-agent", 0, None)]
    assert edges(tables["conflicts_virtual"]) == [("app", "mail-agent", 0, None)]
    # `libone` is a package of its own, and nobody asks for the third name.
    assert edges(tables["provides"]) == [("libtwo", "mail-agent"), ("python3", "mail-agent")]


def test_dropped_targets_are_counted() -> None:
    _, counts = debian_tables.make_tables(read_packages(PACKAGES, TRANSLATIONS)[0])
    assert counts["dropped"]["resolve_to_nothing"]["depends"] == 1  # `gone`
    assert counts["dropped"]["to_itself"]["breaks"] == 1
    assert counts["nodes"] == {"package": 5, "source": 4, "maintainer": 2, "host": 1, "tag": 3, "virtual": 1}


def test_tags_and_sources(tables: dict[str, pa.Table]) -> None:
    assert edges(tables["tagged"]) == [("app", tag) for tag in ("role::program", "game::strategy", "use::gameplaying")]
    assert ("app-data", "app-src") in edges(tables["built_from"])
    assert edges(tables["hosted_at"]) == [("app", "example.org")]


def test_relation_type_keeps_pairs_of_one_relation(tables: dict[str, pa.Table]) -> None:
    pairs = {edge[:3] for edge in edges(tables["relation_type"])}
    # app -> libone is depends and recommends, app -> libtwo depends and suggests, app -> app-data within one source.
    assert pairs == {
        ("app", "python3", "depends"),
        ("libtwo", "libone", "recommends"),
        ("python3", "libone", "recommends"),
        ("libtwo", "app", "enhances"),
    }
    splits = {edge[:2]: edge[3] for edge in edges(tables["relation_type"])}
    assert splits["libtwo", "app"] == split_of("ec|", "libtwo|app-src")


# --------------------------------------------------------------------------------------------------------------- splits


def test_split_is_a_big_endian_hash() -> None:
    digest = hashlib.blake2b(b"nc|0ad", digest_size=8).digest()
    by_hand = sum(byte << (8 * (7 - i)) for i, byte in enumerate(digest)) / 2**64
    assert split_share("nc|", "0ad") == by_hand
    assert split_of("nc|", "0ad") == ("train" if by_hand < 0.8 else "valid" if by_hand < 0.9 else "test")


def test_split_values_never_move() -> None:
    known = {"0ad": "train", "bash": "train", "emacs": "train", "linux": "valid", "vim": "test"}
    assert {name: split_of("nc|", name) for name in known} == known


def test_same_source_edges_are_never_evaluated() -> None:
    for i in range(60):  # enough keys for all three splits
        head, tail = f"head{i}", f"tail{i}"
        split = split_of("lp|recommends|", f"src{i}|{tail}")
        assert link_split("recommends", (head, tail), {head: f"src{i}", tail: "other"}) == split
        same = link_split("recommends", (head, tail), {head: f"src{i}", tail: f"src{i}"})
        assert same == ("train" if split == "train" else None)


def test_only_predicted_relations_have_a_split(tables: dict[str, pa.Table]) -> None:
    assert [name for name in tables if "split" in tables[name].column_names] == [
        "recommends",
        "suggests",
        "relation_type",
        "triples",
    ]
    assert tables["suggests"]["split"].to_pylist() == [split_of("lp|suggests|", "app-src|libtwo")]


# ---------------------------------------------------------------------------------------------------------- the command


class FakeApt:
    """Stands for `PrivateApt`: serves the lists above and counts how often they are fetched."""

    release_fields = RELEASE
    fetches = 0
    offline = False

    def __init__(self, root: Path, source: AptSource, arch: str) -> None:
        assert root.is_dir()

    def release(self) -> dict[str, str]:
        if FakeApt.offline:
            raise TablesError("apt-get update: no network")
        return FakeApt.release_fields

    def fetch(self) -> AptLists:
        FakeApt.fetches += 1
        return AptLists(PACKAGES, TRANSLATIONS)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the fake in apt's place; returns where the tables go."""
    for name, value in (("release_fields", RELEASE), ("fetches", 0), ("offline", False)):
        monkeypatch.setattr(FakeApt, name, value)
    monkeypatch.setattr(build_tables, "PrivateApt", FakeApt)
    monkeypatch.setattr(build_tables, "system_sources", lambda: [AptSource("http://a.example", "trixie", ("main",))])
    return tmp_path / "new" / "tables"


def test_build_writes_tables_and_meta(command: Path) -> None:
    assert build_tables.main(["--output", str(command)]) == 0
    meta = json.loads((command / "meta.json").read_text())
    assert meta["release"]["version"] == "13.8"
    assert meta["dropped"]["older_versions"] == 1
    for name, rows in meta["rows"].items():
        assert pq.read_table(command / f"{name}.parquet").num_rows == rows
        assert meta["sha256"][name] == hashlib.sha256((command / f"{name}.parquet").read_bytes()).hexdigest()
    assert [path.name for path in command.parent.iterdir()] == ["tables"]
    assert "a.example" not in (command / "meta.json").read_text()


def test_second_run_ends_at_once(command: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--output", str(command)]
    assert build_tables.main(arguments) == 0
    assert build_tables.main(arguments) == 0
    assert FakeApt.fetches == 1
    assert "up to date" in capsys.readouterr().out
    build_tables.main([*arguments, "--force"])
    assert FakeApt.fetches == 2
    FakeApt.release_fields = {**RELEASE, "Version": "13.9"}
    build_tables.main(arguments)
    assert FakeApt.fetches == 3
    build_tables.main([*arguments, "--arch", "arm64"])
    assert FakeApt.fetches == 4
    (command / "depends.parquet").unlink()
    build_tables.main([*arguments, "--arch", "arm64"])
    assert FakeApt.fetches == 5


def test_tables_are_kept_without_network(command: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FakeApt.offline = True
    assert build_tables.main(["--output", str(command)]) == 1
    assert not command.exists()
    FakeApt.offline = False
    build_tables.main(["--output", str(command)])
    FakeApt.offline = True
    assert build_tables.main(["--output", str(command)]) == 0
    assert "kept as they are" in capsys.readouterr().err


def test_failure_leaves_nothing_half_written(command: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(table: pa.Table, path: Path, **_: object) -> None:
        if path.name == "suggests.parquet":
            raise OSError("no space left on device")
        path.touch()

    with monkeypatch.context() as patch:
        patch.setattr(debian_tables.pq, "write_table", fail)
        assert build_tables.main(["--output", str(command)]) == 1
    assert list(command.parent.iterdir()) == []
    build_tables.main(["--output", str(command)])
    before = (command / "depends.parquet").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(debian_tables.pq, "write_table", fail)
        assert build_tables.main(["--output", str(command), "--force"]) == 1
    assert (command / "depends.parquet").read_bytes() == before
    assert [path.name for path in command.parent.iterdir()] == ["tables"]


def test_folder_of_the_users_is_not_replaced(command: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.mkdir(parents=True)
    (command / "thesis.tex").touch()
    assert build_tables.main(["--output", str(command), "--force"]) == 1
    assert (command / "thesis.tex").exists()
    assert "--output: must be a new folder" in capsys.readouterr().err


def test_help_runs_as_a_script() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "build_tables.py", "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "--keyring" in done.stdout
