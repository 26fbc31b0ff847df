"""Fetches apt's package lists into a private folder and hands them back as text.

The system's own lists, caches and update hooks stay as they are: apt runs with a configuration file of ours, in which
the folders of lists and caches, the sources and the languages are replaced. Where to fetch from (mirror, suite,
keyring) comes from the system's own apt sources unless the caller says otherwise, so no host name stands here.

In: /etc/apt/sources.list, /etc/apt/sources.list.d/*.{list,sources}, /etc/os-release. Out: `AptLists` (plain texts).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

APT_ETC = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
APT_HELPER = Path("/usr/lib/apt/apt-helper")
TIMEOUT_S = 600  # the lists are some 16 MB: a fetch that takes longer than this has stalled

# Suites that hold corrections to a release, not the release; "/" also leaves out flat repositories such as "./".
_NOT_A_RELEASE = re.compile(r"/|-(security|updates|proposed|proposed-updates|backports|backports-sloppy)$")
_LOCAL_SCHEMES = ("file:", "copy:", "cdrom:")
_ONE_LINE = re.compile(
    r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>(?:\s+\S+)*)$"
)


class TablesError(Exception):
    """What the user has to know to get the tables built; shown without a traceback."""


@dataclass(frozen=True, slots=True)
class AptSource:
    """One suite of one repository. `signed_by` is a keyring path or an embedded key; None means apt's trusted keys."""

    mirror: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None = None
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class AptLists:
    """`packages` and `translations` are control files (stanzas); translations is empty where the mirror has none."""

    packages: str
    translations: str


# ------------------------------------------------------------------------------------------------- the system's sources


def parse_deb822_sources(text: str) -> Iterator[AptSource]:
    """Yields each (URI, suite) of the enabled `Types: deb` stanzas of a *.sources file."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for block in re.split(r"\n[ \t]*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line[:1] in (" ", "\t") and key:
                fields[key] += "\n" + line
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield AptSource(
                    mirror=uri,
                    suite=suite,
                    components=tuple(fields.get("components", "").split()),
                    signed_by=fields.get("signed-by") or None,
                    trusted=fields.get("trusted", "no").lower() in ("yes", "true", "1"),
                )


def parse_one_line_sources(text: str) -> Iterator[AptSource]:
    """Yields the sources of a *.list file, e.g. `deb [signed-by=/k.gpg] http://mirror/debian trixie main`."""
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0].strip())
        if match is None:
            continue
        pairs = (option.partition("=") for option in (match["options"] or "").split())
        options = {key.lower(): value for key, _, value in pairs}
        yield AptSource(
            mirror=match["uri"],
            suite=match["suite"],
            components=tuple(match["components"].split()),
            signed_by=options.get("signed-by", "").replace(",", " ") or None,
            trusted=options.get("trusted", "no").lower() in ("yes", "true", "1"),
        )


def system_sources(etc: Path = APT_ETC) -> list[AptSource]:
    """All sources that apt itself would read, in apt's order."""
    found: list[AptSource] = []
    parts = etc / "sources.list.d"
    for path in [etc / "sources.list", *(sorted(parts.iterdir()) if parts.is_dir() else [])]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            found.extend(parse_deb822_sources(text))
        elif path.suffix == ".list":
            found.extend(parse_one_line_sources(text))
    return found


def release_codenames(os_release: Path = OS_RELEASE) -> set[str]:
    """The release's names: VERSION_CODENAME, and the parent's for derivatives (UBUNTU_CODENAME, DEBIAN_CODENAME)."""
    text = os_release.read_text(encoding="utf-8") if os_release.is_file() else ""
    return set(re.findall(r'^(?:VERSION|UBUNTU|DEBIAN)_CODENAME="?([^"\n]+)"?$', text, flags=re.MULTILINE))


def choose_source(
    sources: Sequence[AptSource],
    codenames: set[str],
    components: Sequence[str],
    *,
    suite: str | None = None,
    mirror: str | None = None,
    keyring: str | None = None,
) -> AptSource:
    """Picks the release's main suite from `sources`; `suite`, `mirror` and `keyring` override what was found.

    Raises:
        TablesError: the system names no release suite and the caller gave no mirror and suite.
    """
    candidates = [
        source
        for source in sources
        if not source.mirror.startswith(_LOCAL_SCHEMES)
        and not _NOT_A_RELEASE.search(source.suite)
        and set(components) <= set(source.components)
    ]
    # Third-party repositories often call their component `main` too, but seldom carry the release's codename first.
    candidates.sort(key=lambda source: (source.suite != suite, source.suite not in codenames))
    if candidates:
        chosen = candidates[0]
    elif mirror and suite:
        chosen = AptSource(mirror=mirror, suite=suite, components=tuple(components))
    else:
        raise TablesError(
            f"apt sources: a release suite with component '{' '.join(components)}' must be configured (got none among "
            f"{len(sources)} sources in {APT_ETC}). Pass --mirror and --suite (and --keyring if the release is signed "
            "by a key that apt does not trust)"
        )
    if mirror and mirror != chosen.mirror:
        # `Trusted: yes` was said of another mirror; it must not be carried over to this one.
        chosen = replace(chosen, mirror=mirror, trusted=False)
    if keyring and not Path(keyring).is_file():
        raise TablesError(f"--keyring: must be an existing file (got '{keyring}'). Give the release's archive keyring")
    return replace(
        chosen, suite=suite or chosen.suite, components=tuple(components), signed_by=keyring or chosen.signed_by
    )


# ------------------------------------------------------------------------------------------------------------- fetching


class PrivateApt:
    """apt over a folder of our own: `root` holds lists, caches, one sources file and the configuration."""

    def __init__(self, root: Path, source: AptSource, arch: str) -> None:
        if shutil.which("apt-get") is None or not APT_HELPER.exists():
            raise TablesError(
                "apt-get: must be installed, the package lists are fetched with it (got no apt-get). Run this on "
                "Debian or Ubuntu, or in a container of either"
            )
        self.source, self.arch = source, arch
        self.lists = root / "lists"
        self._sources = root / "release.sources"
        self._config = root / "apt.conf"
        root.chmod(0o755)  # apt downloads as the user `_apt` when root runs it
        for folder in (self.lists / "partial", root / "cache" / "archives" / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            # #clear: with -c our file is read last, and lists in apt's configuration append instead of replacing.
            # The hooks would update other programs' databases; the languages may be "none" in container images.
            "#clear APT::Update::Pre-Invoke;\n"
            "#clear APT::Update::Post-Invoke;\n"
            "#clear APT::Update::Post-Invoke-Success;\n"
            '#clear Acquire::Languages;\nAcquire::Languages { "en"; };\n'
            f'Dir::State::lists "{self.lists}/";\nDir::Cache "{root / "cache"}/";\n'
            f'Dir::Etc::sourcelist "{self._sources}";\nDir::Etc::sourceparts "/dev/null";\n'
            'Acquire::Retries "3";\nAcquire::http::Timeout "30";\nAcquire::https::Timeout "30";\n'
            'APT::Update::Error-Mode "any";\n',  # else a mirror that cannot be reached is only a warning
            encoding="utf-8",
        )

    def release(self) -> dict[str, str]:
        """Fetches only the signed Release file (140 kB) and returns its fields: Version, Date, Suite, Codename ..."""
        self._update("none")
        return parse_release(self._read("*Release"))

    def fetch(self) -> AptLists:
        """Fetches Packages and Translation-en and returns them decompressed (some 55 and 35 MB for Debian main)."""
        output = self._update("Packages Translations")
        packages = self._read("*_Packages*")
        if not packages.strip():
            raise TablesError(
                f"apt-get update: must fetch a Packages list of suite '{self.source.suite}', component "
                f"'{' '.join(self.source.components)}', architecture '{self.arch}' (got none). Check these against the "
                f"mirror.\n{_last_lines(output)}"
            )
        return AptLists(packages=packages, translations=self._read("*_Translation-en*"))

    def _update(self, targets: str) -> str:
        stanza = (
            f"Types: deb\nURIs: {self.source.mirror}\nSuites: {self.source.suite}\n"
            f"Components: {' '.join(self.source.components)}\nArchitectures: {self.arch}\nTargets: {targets}\n"
        )
        if self.source.signed_by:
            stanza += f"Signed-By: {self.source.signed_by}\n"
        if self.source.trusted:
            stanza += "Trusted: yes\n"
        self._sources.write_text(stanza, encoding="utf-8")
        code, output = _run(["apt-get", "-q", "-c", str(self._config), "update"])
        if code != 0:
            raise TablesError(
                f"apt-get update: must fetch suite '{self.source.suite}' (got exit code {code}). Check the network, "
                f"and --mirror, --suite and --keyring. apt's last lines:\n{_last_lines(output)}"
            )
        return output

    def _read(self, pattern: str) -> str:
        texts = []
        for path in sorted(self.lists.glob(pattern)):
            # apt keeps its lists plain, or as .lz4, .gz ...: its own helper reads them all.
            done = subprocess.run([APT_HELPER, "cat-file", path], capture_output=True, timeout=TIMEOUT_S, check=False)
            if done.returncode != 0:
                raise TablesError(f"{path.name}: must be readable by apt-helper (got: {done.stderr.decode().strip()})")
            texts.append(done.stdout.decode("utf-8", errors="replace"))
        return "\n\n".join(texts)


def parse_release(text: str) -> dict[str, str]:
    """The one-line fields of a Release or InRelease file, without the signature and the file hashes."""
    return dict(re.findall(r"^([A-Z][A-Za-z-]*): (.+)$", text, flags=re.MULTILINE))


def _run(command: list[str]) -> tuple[int, str]:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TablesError(
            f"{command[0]}: must end within {TIMEOUT_S} s (got no end). The mirror or a proxy does not answer; try "
            "again or pass another --mirror"
        ) from error
    return done.returncode, done.stdout.decode("utf-8", errors="replace")


def _last_lines(output: str, count: int = 6) -> str:
    return "\n".join(f"  {line}" for line in output.strip().splitlines()[-count:])
