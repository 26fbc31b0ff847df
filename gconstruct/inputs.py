"""Which files a table is made of: paths, globs, folders and URLs -> a list of files with format, size and age. A
database counts as one file.

Files of one pattern come sorted, patterns in the order of the YAML, and no file comes twice. Of a folder the files and
those of its folders key=value count. Local paths need no fsspec; everything with '://' goes through it.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from gconstruct.held import SCHEME, held_table
from gconstruct.hive import hive_keys, is_hive_folder
from gconstruct.problems import Problems
from graphstorm_like.config.formats import format_of, listed_suffixes
from graphstorm_like.config.rows import Rows
from graphstorm_like.config.sql import SqlConfig
from graphstorm_like.mirror.stores import store_errors, store_of

ID_LIST = "ids"
"""Format of files that list ids, whatever the endings of their names: see splits.id_files."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a table."""

    path: str
    """Absolute path or URL; this is what messages name."""
    format: str
    """Name of a format: parquet, csv, ...; or ID_LIST"""
    size: int
    stamp: str
    """Changes when the file's contents do: mtime in ns, or the store's etag."""
    source: Any = field(default=None, compare=False)
    """What the reader asks instead of opening a file: a SqlConfig, or a pyarrow Table."""

    @property
    def keys(self) -> dict[str, str | None]:
        """Columns that the path names: {'year': '2024'} of .../year=2024/part-0.parquet."""
        return hive_keys(self.path)

    @property
    def is_local(self) -> bool:
        """On a mounted file system, not behind a URL."""
        return "://" not in self.path

    def open(self) -> Any:
        """The bytes as a file object. Compression is left as it is."""
        if self.is_local:
            return open(self.path, "rb")
        fs, path = store_of(self.path)
        return fs.open(path, "rb")


def inputs_of(where: str, table: Rows, base: str | None, problems: Problems) -> list[InputFile]:
    """All files of a table, or what stands for one. What cannot be found goes to `problems` under the name `where`."""
    if table.sql is not None:
        return [_of_database(table.sql, base)]
    return resolve(where, table.files, base, table.format, problems)


def _of_database(sql: SqlConfig, base: str | None) -> InputFile:
    """The URL with an absolute path. The state of a database in a file is that of the file."""
    kind, _, rest = sql.url.partition(":///")
    path, mark, options = rest.partition("?")
    sizes, stamps = [0], [sql.version]
    if path and kind.split("+")[0] in ("sqlite", "duckdb"):
        is_uri = path.startswith("file:")  # of SQLite, percent-encoded
        path = os.path.expandvars(unquote(path.removeprefix("file:").removeprefix("//")) if is_uri else path)
        path = _absolute(path, base)
        written = f"file:{quote(path)}" if is_uri else path
        sql = sql.model_copy(update={"url": f"{kind}:///{written}{mark}{options}"})
        for name in (path, f"{path}-wal", f"{path}.wal"):
            if os.path.exists(name):
                stat = os.stat(name)
                sizes.append(stat.st_size)
                stamps.append(str(stat.st_mtime_ns))
    what = f"table {sql.table}" if sql.table is not None else f"query {sql.query!r}"
    return InputFile(f"{sql.shown_url} {what}", "sql", sum(sizes), " ".join(stamps), sql)


def resolve(
    where: str, files: list[str], base: str | None, file_format: str, problems: Problems, key: str = "files"
) -> list[InputFile]:
    """All files of a table. What cannot be found goes to `problems` under the name `where`.`key`."""
    by_path: dict[str, InputFile | None] = {}
    for pattern in files:
        full = _absolute(pattern, base)
        if full.startswith(SCHEME):
            by_path[full] = _in_memory(full, f"{where}.{key}", problems)
            continue
        lookup = _remote if "://" in full else _local
        for path, size, stamp in lookup(f"{where}.{key}", full, file_format, problems):
            kind = format_of(path) if file_format == "auto" else file_format
            if kind is None:
                problems.add(
                    f"{path}: the file name must end with {listed_suffixes()} (got {os.path.basename(path)!r}). "
                    f"Rename it, or set {where}.format",
                    f"{where}.{key}",
                )
            else:
                by_path.setdefault(path, InputFile(path, kind, size, stamp))
    return [file for file in by_path.values() if file is not None]


def _in_memory(name: str, where: str, problems: Problems) -> InputFile | None:
    held = held_table(name)
    if held is None:
        problems.add(f"{where}: {name} must be a table in memory that gconstruct.construct was given (got none)", where)
        return None
    return InputFile(name, "memory", held.size, held.stamp, held.table)


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
        paths = _in_folder(_files_under(full), file_format)
        rule = f"hold at least one data file (files that end with {listed_suffixes()})"
    elif os.path.exists(full):
        paths, rule = [full], ""
    elif glob.has_magic(full):
        paths = _shown(full, sorted(p for p in glob.glob(full, recursive=True) if os.path.isfile(p)))
        rule = "match at least one file (got none)"
    else:
        paths, rule = [], "be a file, glob or folder that exists (got nothing there)"
    if not paths:
        problems.add(_no_match(where, full, rule), where)
    stats = [(p, os.stat(p)) for p in paths]
    return [(p, s.st_size, str(s.st_mtime_ns)) for p, s in stats]


def _shown(pattern: str, paths: list[str]) -> list[str]:
    """What a glob matches, without hidden files and folders, '_SUCCESS', '_temporary' and the like."""
    folders = pattern.split("/")
    first_magic = next(i for i, name in enumerate(folders) if glob.has_magic(name))
    if any(name.startswith((".", "_")) for name in folders[first_magic:]):
        return paths  # asked for
    return [path for path in paths if not any(n.startswith((".", "_")) for n in path.split("/")[first_magic:])]


def _files_under(folder: str) -> list[str]:
    """Files of a folder and of its folders key=value."""
    paths: list[str] = []
    for entry in os.scandir(folder):
        if entry.is_file():
            paths.append(entry.path)
        elif entry.is_dir() and is_hive_folder(entry.name):
            paths += _files_under(entry.path)
    return paths


def _remote_files_under(fs: Any, folder: str) -> list[str]:
    """Files of a folder and of its folders key=value. When there are such folders one request lists everything."""
    entries = fs.ls(folder, detail=True)
    paths = [entry["name"] for entry in entries if entry["type"] == "file"]
    if any(entry["type"] == "directory" and is_hive_folder(_base_name(entry["name"])) for entry in entries):
        start = len(folder.rstrip("/")) + 1
        everything = sorted(fs.find(folder))
        paths = [path for path in everything if all(map(is_hive_folder, path[start:].split("/")[:-1]))]
    return paths


def _base_name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _remote(where: str, full: str, file_format: str, problems: Problems) -> list[tuple[str, int, str]]:
    try:
        with store_errors():
            fs, path = store_of(full)
            fs.invalidate_cache()  # another process may have written since this one looked
            paths, rule = _remote_paths(fs, path, file_format)
            if not paths:
                problems.add(_no_match(where, full, rule), where)
            infos = [(fs.unstrip_protocol(p), fs.info(p)) for p in paths]
    except ImportError as err:
        problems.add(f"{where}: {full} {_missing_package(full, err)}", where)
        return []
    except (OSError, ValueError) as err:
        reason = f"{type(err).__name__}: {err}"
        fix = "Check the URL, the credentials and the network"
        problems.add(f"{where}: {full} must be a URL that can be read (got {reason}). {fix}", where)
        return []
    return [(p, int(info.get("size") or 0), _stamp(info)) for p, info in infos]


def _remote_paths(fs: Any, path: str, file_format: str) -> tuple[list[str], str]:
    """What a path, glob or folder stands for, and the rule that it breaks when that is nothing."""
    if glob.has_magic(path) and not fs.exists(path):
        found = fs.glob(path, detail=True)
        paths = sorted(p for p, info in found.items() if info["type"] == "file")
        return _shown(path, paths), "match at least one file (got none)"
    if fs.isdir(path):
        rule = f"hold at least one data file (files that end with {listed_suffixes()})"
        return _in_folder(_remote_files_under(fs, path), file_format), rule
    return [path] if fs.exists(path) else [], "be a file, glob or folder that exists (got nothing there)"


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
