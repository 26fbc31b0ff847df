"""Which files a table is made of: paths, globs, folders and URLs -> a list of files with format, size and age.

Files of one pattern come sorted, patterns in the order of the YAML, and no file comes twice. Local paths need no
fsspec; everything with '://' goes through it.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from typing import Any

from gconstruct.problems import Problems
from graphstorm_like.config.formats import format_of, listed_suffixes


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a table."""

    path: str
    """Absolute path or URL; this is what messages name."""
    format: str
    """Name of a format: parquet, csv, ..."""
    size: int
    stamp: str
    """Changes when the file's contents do: mtime in ns, or the store's etag."""

    @property
    def is_local(self) -> bool:
        """On a mounted file system, not behind a URL."""
        return "://" not in self.path

    def open(self) -> Any:
        """The bytes as a file object. Compression is left as it is."""
        if self.is_local:
            return open(self.path, "rb")
        import fsspec

        return fsspec.open(self.path, "rb").open()


def resolve(where: str, files: list[str], base: str | None, file_format: str, problems: Problems) -> list[InputFile]:
    """All files of a table. What cannot be found goes to `problems` under the name `where`."""
    by_path: dict[str, InputFile] = {}
    for pattern in files:
        full = _absolute(pattern, base)
        lookup = _remote if "://" in full else _local
        for path, size, stamp in lookup(f"{where}.files", full, file_format, problems):
            kind = format_of(path) if file_format == "auto" else file_format
            if kind is None:
                problems.add(
                    f"{path}: the file name must end with {listed_suffixes()} (got {os.path.basename(path)!r}). "
                    f"Rename it, or set {where}.format",
                    f"{where}.files",
                )
            else:
                by_path.setdefault(path, InputFile(path, kind, size, stamp))
    return list(by_path.values())


def _absolute(path: str, base: str | None) -> str:
    path = path.removeprefix("file://")
    if "://" in path:
        return path
    path = os.path.expanduser(path)
    if base is None or os.path.isabs(path):
        return os.path.abspath(path)
    if "://" in base and not base.startswith("file://"):
        return f"{base.rstrip('/')}/{path}"
    return os.path.normpath(os.path.join(os.path.abspath(base.removeprefix("file://")), path))


def _in_folder(paths: list[str], file_format: str) -> list[str]:
    """The data files of a folder, without hidden ones, '_SUCCESS' and the like."""
    names = sorted(p for p in paths if not os.path.basename(p).startswith((".", "_")))
    formats = {p: format_of(p, in_folder=True) for p in names}
    data_files = [p for p in names if formats[p] is not None and file_format in ("auto", formats[p])]
    if file_format == "auto" or data_files:
        return data_files
    return names  # of the format that the YAML names, whatever their endings


def _no_match(where: str, full: str, kind: str) -> str:
    return f"{where}: {full} must {kind}. Check the path; relative ones start at graph.base"


def _local(where: str, full: str, file_format: str, problems: Problems) -> list[tuple[str, int, str]]:
    if os.path.isdir(full):
        paths = _in_folder([e.path for e in os.scandir(full) if e.is_file()], file_format)
        rule = f"hold at least one data file (files that end with {listed_suffixes()})"
    elif os.path.exists(full):
        paths, rule = [full], ""
    elif glob.has_magic(full):
        paths = sorted(p for p in glob.glob(full, recursive=True) if os.path.isfile(p))
        rule = "match at least one file (got none)"
    else:
        paths, rule = [], "be a file, glob or folder that exists (got nothing there)"
    if not paths:
        problems.add(_no_match(where, full, rule), where)
    stats = [(p, os.stat(p)) for p in paths]
    return [(p, s.st_size, str(s.st_mtime_ns)) for p, s in stats]


def _remote(where: str, full: str, file_format: str, problems: Problems) -> list[tuple[str, int, str]]:
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(full)
        if glob.has_magic(path) and not fs.exists(path):
            paths, rule = sorted(p for p in fs.glob(path) if fs.isfile(p)), "match at least one file (got none)"
        elif fs.isdir(path):
            paths = _in_folder([e["name"] for e in fs.ls(path, detail=True) if e["type"] == "file"], file_format)
            rule = f"hold at least one data file (files that end with {listed_suffixes()})"
        else:
            paths, rule = [path] if fs.exists(path) else [], "be a file, glob or folder that exists (got nothing there)"
        if not paths:
            problems.add(_no_match(where, full, rule), where)
        infos = [(fs.unstrip_protocol(p), fs.info(p)) for p in paths]
    except ImportError as err:
        problems.add(f"{where}: {full} {_missing_package(full, err)}", where)
        return []
    except (OSError, ValueError) as err:
        reason = f"{type(err).__name__}: {err}"
        problems.add(f"{where}: {full} must be a URL that can be read (got {reason}). Check the URL", where)
        return []
    return [(p, int(info.get("size") or 0), _stamp(info)) for p, info in infos]


def _missing_package(full: str, err: ImportError) -> str:
    """What to install for a URL whose file system is a package of its own."""
    if full.startswith(("s3://", "s3a://")):
        return "needs the package 's3fs', which is not installed. Install it with: pip install 'graphstorm-like[aws]'"
    return f"needs a package that is not installed ({err}). Install it, or copy the files to a local disk"


_VERSION_KEYS = (
    "ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "updated", "created",
)  # fmt: skip


def _stamp(info: dict[str, Any]) -> str:
    """What a store tells about a file's version; stores differ in the key."""
    for key in _VERSION_KEYS:
        if info.get(key):
            return str(info[key])
    return ""
