"""Which of the system's apt sources the Debian tables come from, and how apt is called; no network."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "training_scripts" / "debian_packages"
sys.path.insert(0, str(SCRIPTS))

import debian_lists  # noqa: E402
from debian_lists import AptSource, TablesError, choose_source  # noqa: E402


def test_deb822_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(
        "# the archive\nTypes: deb deb-src\nURIs: http://one.example/debian\nSuites: trixie trixie-updates\n"
        "# between fields\nComponents: main contrib\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n\n"
        "Types: deb-src\nURIs: http://src.example\nSuites: trixie\nComponents: main\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.example\nSuites: trixie\nComponents: main\n"
    )
    sources = debian_lists.system_sources(tmp_path)
    assert [(source.mirror, source.suite) for source in sources] == [
        ("http://one.example/debian", "trixie"),
        ("http://one.example/debian", "trixie-updates"),
    ]
    assert sources[0].components == ("main", "contrib")
    assert sources[0].signed_by == "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc"


def test_one_line_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "# deb http://off.example/debian trixie main\n"
        "deb [arch=amd64 signed-by=/keys/a.gpg] http://one.example/ubuntu noble main universe # archive\n"
        "deb-src http://one.example/ubuntu noble main\n"
        "deb file:/srv/flat ./\n"
    )
    assert debian_lists.system_sources(tmp_path) == [
        AptSource("http://one.example/ubuntu", "noble", ("main", "universe"), "/keys/a.gpg"),
        AptSource("file:/srv/flat", "./", ()),
    ]


def test_choose_the_release_among_sources(tmp_path: Path) -> None:
    main = AptSource("http://one.example/debian", "trixie", ("main",), "/keys/a.gpg", trusted=True)
    others = [
        AptSource("file:/srv/mirror", "trixie", ("main",)),
        AptSource("http://third-party.example", "stable", ("main",)),
        AptSource("http://one.example/debian", "trixie-updates", ("main",)),
        AptSource("http://one.example/security", "trixie-security", ("main",)),
    ]
    assert choose_source([*others, main], {"trixie"}, ["main"]) == main
    older = choose_source([*others, main], {"trixie"}, ["main"], suite="bookworm", mirror="http://two.example")
    assert older == AptSource("http://two.example", "bookworm", ("main",), "/keys/a.gpg", trusted=False)
    free = choose_source([], set(), ["main"], suite="noble", mirror="http://two.example")
    assert free == AptSource("http://two.example", "noble", ("main",))


def test_errors_say_what_to_do() -> None:
    with pytest.raises(TablesError, match=r"must be configured .*Pass --mirror and --suite"):
        choose_source([AptSource("http://a.example", "trixie", ("main",))], set(), ["universe"])
    with pytest.raises(TablesError, match="--keyring: must be an existing file"):
        choose_source([AptSource("http://a.example", "trixie", ("main",))], set(), ["main"], keyring="/no/such/file")


def test_codenames(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text('NAME="Linux Mint"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME="noble"\n')
    assert debian_lists.release_codenames(path) == {"wilma", "noble"}
    assert debian_lists.release_codenames(tmp_path / "none") == set()


@pytest.fixture
def private_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> debian_lists.PrivateApt:
    """`PrivateApt` on a machine that need not have apt: nothing is run before `release` or `fetch`."""
    monkeypatch.setattr(debian_lists.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(debian_lists, "APT_HELPER", tmp_path)
    return debian_lists.PrivateApt(tmp_path, AptSource("http://a.example", "trixie", ("main",), "/keys/a.gpg"), "amd64")


def test_apt_runs_in_a_private_folder(
    private_apt: debian_lists.PrivateApt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian_lists, "_run", lambda _command: (0, "Reading package lists...\nW: odd mirror"))
    with pytest.raises(TablesError, match=r"must fetch a Packages list of suite 'trixie'(?s:.)*W: odd mirror"):
        private_apt.fetch()
    config = (tmp_path / "apt.conf").read_text()
    assert f'Dir::State::lists "{tmp_path}/lists/";' in config
    assert 'Dir::Etc::sourceparts "/dev/null";' in config
    assert 'Acquire::Languages { "en"; };' in config
    assert (tmp_path / "lists" / "partial").is_dir()
    assert (tmp_path / "release.sources").read_text() == (
        "Types: deb\nURIs: http://a.example\nSuites: trixie\nComponents: main\nArchitectures: amd64\n"
        "Targets: Packages Translations\nSigned-By: /keys/a.gpg\n"
    )


def test_failed_fetch_shows_apts_last_lines(
    private_apt: debian_lists.PrivateApt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian_lists, "_run", lambda _command: (100, "Err:1 InRelease\nE: no Release file"))
    with pytest.raises(TablesError, match=r"exit code 100(?s:.)*E: no Release file"):
        private_apt.release()


def test_missing_apt_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_lists.shutil, "which", lambda _name: None)
    with pytest.raises(TablesError, match="apt-get: must be installed"):
        debian_lists.PrivateApt(tmp_path, AptSource("http://a.example", "trixie", ("main",)), "amd64")


def test_release_fields() -> None:
    text = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: stable\nVersion: 13.8\nSHA256:\n 12ab 34 main/x\n"
    )
    assert debian_lists.parse_release(text) == {"Hash": "SHA256", "Suite": "stable", "Version": "13.8"}
