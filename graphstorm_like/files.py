"""File-system operations that every stage shares.

A folder is either complete or absent: it is written under another name, fsynced and renamed. An old folder is renamed
first and deleted last, so a kill at any moment leaves the old or the new one; `recover` (for everything in an output
folder, under its lock) and `recover_target` (for one folder) clean up afterwards. A build holds a kernel
lock, which the kernel drops when the process dies, so no stale lock ever needs cleaning by hand.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from graphstorm_like.errors import DataError

SAY_SECONDS, ORPHAN_SECONDS = 60.0, 600.0
"""Time between messages while waiting for another process; how long a lock may outlive the process that took it."""

TEMPORARY, SET_ASIDE, SCRATCH = ".writing-", ".old-", ".vectors-"
"""Prefixes of a folder that is being written, of one that is being replaced, and of scratch space."""

try:
    import fcntl
except ImportError:  # not a POSIX system: the user must not let two processes fill one cache
    fcntl = None  # type: ignore[assignment]


def fsync_path(path: Path) -> None:
    """Force a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve(path: Path, size: int) -> None:
    """Make a file of `size` bytes with all its disk blocks: writing to a memory map of a file with holes kills the
    process when the disk is full. Raises DataError when there is too little space."""
    try:
        with open(path, "wb") as file:
            if hasattr(os, "posix_fallocate") and size:
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
    except OSError as err:
        raise DataError(
            f"{path}: needs {size / 1e9:,.2f} GB on disk ({err}). Free space or choose another folder"
        ) from err


def replace_folder(new: Path, target: Path) -> None:
    """Replace the folder `target` by `new`; if that fails, `target` is restored. `recover` completes a killed swap."""
    fsync_path(new)
    old = target.parent / f"{SET_ASIDE}{target.name}"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    fsync_path(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path) -> None:
    """Clean up after a kill: a folder that a swap set aside is restored if its successor is missing; the rest goes."""
    for leftover in [*folder.glob(f"{SET_ASIDE}*"), *folder.glob(f"{TEMPORARY}*")]:
        original = folder / leftover.name.removeprefix(SET_ASIDE)
        if leftover.name.startswith(SET_ASIDE) and not original.exists():
            leftover.rename(original)
        else:
            shutil.rmtree(leftover, ignore_errors=True)


def check_target(path: Path, key: str, kind: str, mark: str, *, partitioned: bool = True) -> None:
    """Refuse a target that is not a folder of this kind, one with the file `mark`: it would be deleted. key: its key in
    the configuration. partitioned: whether it may have several partitions."""
    if path.is_dir() and (path / mark).is_file() and (partitioned or not (path / "part-1").exists()):
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise DataError(
            f"{path}: {key} must be a {kind} folder or not exist yet (got something else there). "
            f"It would be overwritten: remove it, or set {key} to another folder"
        )


def recover_target(path: Path) -> None:
    """Clean up after a killed `new_folder`: the old folder is restored if the new one is not there, and partial folders
    of processes that have ended are deleted. Other processes may be working in the same parent folder."""
    old = path.parent / f"{SET_ASIDE}{path.name}"
    if old.exists():
        if path.exists():
            shutil.rmtree(old)
        else:
            old.rename(path)
    if path.parent.is_dir():
        for entry in path.parent.glob(f".{glob_safe(path.name)}.tmp-*"):
            if _is_abandoned(entry.name):
                shutil.rmtree(entry, ignore_errors=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Gives an empty folder to fill; it replaces `path` at the end, and is deleted after an error.

    Its files must be synced by whoever writes them; the entries of its folders are synced here.
    """
    parents = _make_parents(path.parent)
    temporary = path.parent / f".{path.name}.tmp-{socket.gethostname()}-{os.getpid()}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        for folder, _, _ in os.walk(temporary):
            fsync_path(Path(folder))
        replace_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process may have put something there
            for parent in parents:
                parent.rmdir()
        raise


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder; returns those that did not exist, innermost first."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def glob_safe(name: str) -> str:
    """A name for use in a glob."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _is_abandoned(name: str) -> bool:
    """Whether it was left by a process of this machine that has ended."""
    host, _, pid = name.rpartition(".tmp-")[2].rpartition("-")
    if host != socket.gethostname() or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def open_own(path: Path, mode: str) -> IO[str]:
    """Open a text file that only this library writes. A link in its place, which somebody else's folder may hold and
    which may lead to any file of the user's, is not followed: OSError (ELOOP)."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)

    return open(path, mode, encoding="utf-8", opener=opener)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace `path` in one step: a reader sees the old content or the new, never half of it.

    Keys keep their order: a configuration that is read back has its node types in the user's order.
    """
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    with open_own(temporary, "w") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    fsync_path(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace `path` in one step by a text that can be made again: it is not forced to disk."""
    new = path.with_name(f".{path.name}.new")
    try:
        with open_own(new, "w") as file:
            file.write(text)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def read_meta(folder: Path, kind: str, version: int, keys: tuple[str, ...]) -> dict[str, Any]:
    """The meta.json of `folder`, checked; raises DataError when it is absent, broken or of another kind or version."""
    path = folder / "meta.json"
    remedy = f"Delete the folder {folder} and run again; it will be rebuilt."
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing, so this is no {kind}. {remedy}") from None
    except (OSError, ValueError) as problem:
        raise DataError(f"{path}: meta.json must be readable JSON (got: {problem}). {remedy}") from problem
    if not isinstance(content, dict) or content.get("kind") != kind:
        actual = content.get("kind") if isinstance(content, dict) else type(content).__name__
        raise DataError(f"{path}: kind must be '{kind}' (got {actual!r}). {remedy}")
    if content.get("version") != version:
        raise DataError(f"{path}: version must be {version} (got {content.get('version')!r}). {remedy}")
    missing = [key for key in keys if key not in content]
    if missing:
        raise DataError(f"{path}: the keys {', '.join(missing)} are missing. {remedy}")
    return content


def print_waiting(text: str) -> None:
    """Print a line on standard error, flushed."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def exclusive(
    lock_file: Path, doing: str, wait_s: float = 0.0, say: Callable[[str], None] = print_waiting
) -> Iterator[None]:
    """Hold `lock_file` while the body runs; raise DataError when another process still has it after `wait_s`.

    While it waits it reports the holder, first immediately and then every SAY_SECONDS. The kernel releases the lock of
    a process that died; if one of its child processes keeps it, waiting ends ORPHAN_SECONDS after the death.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with open_own(lock_file, "a+") as file:
        started = time.monotonic()
        say_at, orphaned_at = started, 0.0
        while not try_lock(file.fileno()):
            now = time.monotonic()
            file.seek(0)
            holder = file.read().strip() or "another process"
            orphaned_at = (orphaned_at or now) if _is_dead(holder) else 0.0
            if now - started >= wait_s or (orphaned_at and now - orphaned_at > ORPHAN_SECONDS):
                raise DataError(
                    f"{lock_file}: {holder} is already {doing} (waited {now - started:.0f} s). "
                    "Wait until it ends, then run again: finished work is reused."
                )
            if now >= say_at:
                say(f"waiting for {holder}, which is {doing} ({now - started:.0f} s so far; {lock_file})")
                say_at = now + SAY_SECONDS
            time.sleep(0.2)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        file.flush()
        yield  # closing the file releases the lock


def _is_dead(holder: str) -> bool:
    """Whether the holder that is written in a lock file was a process of this machine that has ended."""
    match holder.split():
        case ["process", number, "on", machine, *_] if machine == socket.gethostname() and number.isdigit():
            try:
                os.kill(int(number), 0)
            except ProcessLookupError:
                return True
            except OSError:
                return False
    return False


def try_lock(descriptor: int) -> bool:
    """Take the kernel lock of an open file; False when another process has it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# ------------------------------------------------------------------------------------------------- contents of files

FileRecord = Sequence[Any]
"""[bytes, modification time in ns, inode, blake2b] of a file; None for what is unknown."""
HASH_THREADS = 4
HASHES_FILE = "hashes.json"
"""In folders of models and resume points: records of the other files."""
_verified: dict[str, list[Any]] = {}
"""Records of the files that this process has read and verified, by path."""


def file_hash(path: Path) -> str:
    """blake2b (16 bytes, hex) of a file's contents: 0.8 to 1.0 GB/s a core, when the disk is as fast."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def files_below(folder: Path, leave_out: Iterable[str] = ()) -> list[str]:
    """Names of all files below a folder, relative to it, sorted. leave_out: names at its top."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(set(names).difference(leave_out))


def record_files(folder: Path, names: Iterable[str], hashes: Mapping[str, str] | None = None) -> dict[str, FileRecord]:
    """Records of files, for `check_files` to compare with. hashes: those that are already known, by name."""
    hash_of = hashes or {}
    records: dict[str, FileRecord] = {}
    for name in names:
        path = folder / name
        records[name] = [*_stamp(path), hash_of.get(name) or file_hash(path)]
    return records


def check_files(
    folder: Path, records: Mapping[str, FileRecord], remedy: str, look: Callable[[str], None] | None = None
) -> None:
    """Raise DataError with the file's name and `remedy` unless all files exist and hold what was written into them.

    Existence and size are checked at every call. Contents are read when a file's size, modification time and inode
    match neither its record nor an earlier check, and then `look` is called with its name. Checks are remembered in a
    small file beside the folder, or in one of the user's temporary files if the parent folder is read-only; of several
    processes of a host one reads and the others wait for it. Reading takes about one second per GB on each of up to 4
    cores.
    """
    todo = [name for name, record in records.items() if not _is_known(folder / name, record, remedy)]
    if not todo:
        return
    with _earlier_checks(folder, todo, records) as checks:
        todo = [name for name in todo if not _is_checked(folder / name, records[name], checks.get(name))]
        checked: dict[str, list[Any]] = {}
        with ThreadPoolExecutor(HASH_THREADS) as pool:
            stamps = [_stamp(folder / name) for name in todo]
            hashed = [records[name][3] is not None for name in todo]
            jobs = [pool.submit(file_hash, folder / n) if h else None for n, h in zip(todo, hashed, strict=True)]
            for name, stamp, job in zip(todo, stamps, jobs, strict=True):
                content = None if job is None else job.result()
                if content != records[name][3]:
                    raise DataError(
                        f"{folder / name}: must hold what was written into it (its contents have changed). {remedy}"
                    )
                checked[name] = [*stamp, content]
        if look is not None:
            for name in todo:  # after all checks, because a structure may consist of several files
                look(name)
        for name, check in checked.items():
            checks[name] = _verified[_key(folder / name)] = check


def content_records(folder: Path) -> dict[str, FileRecord]:
    """Records of the files in a complete folder, for its meta.json."""
    names = (path.name for path in folder.iterdir() if path.is_file())
    return record_files(folder, sorted(set(names) - {"meta.json", "done.npy"}))


def check_contents(folder: Path, meta: Mapping[str, Any]) -> None:
    """Raise DataError, which names the file, unless all files match the records of `content_records` in
    `meta["files"]`; folders of an older version have none."""
    check_files(folder, meta.get("files", {}), f"Delete the folder {folder} and run again; it will be rebuilt.")


def write_hashes(folder: Path, records: Mapping[str, FileRecord]) -> None:
    """Write the records of a saved folder's files into it."""
    write_json(folder / HASHES_FILE, {"files": dict(records)})


def read_hashes(folder: Path) -> dict[str, FileRecord]:
    """The records that `write_hashes` wrote; none if an older version saved the folder. DataError when damaged."""
    path = folder / HASHES_FILE
    return file_records(path, read_object(path) or {"files": None}) if path.exists() else {}


def check_saved(folder: Path, remedy: str) -> dict[str, str]:
    """Hashes of a saved folder's files by name, after checking that the files are unchanged; DataError names the one
    that is not. Contents are read once even if this process wrote them: see `check_files`."""
    records = {name: [size, None, None, content] for name, (size, _, _, content) in read_hashes(folder).items()}
    check_files(folder, records, remedy)
    return {name: str(record[3]) for name, record in records.items()}


def file_records(path: Path, content: Mapping[str, Any]) -> dict[str, FileRecord]:
    """The records in a JSON file of ours; none if an older version wrote it. DataError when they are malformed."""
    records = content.get("files", {})
    if not isinstance(records, dict) or not all(isinstance(r, list) and len(r) == 4 for r in records.values()):
        raise DataError(f"{path}: must hold the hashes of files (got something else). Make the folder again")
    return records


def _key(path: Path) -> str:
    return os.path.abspath(path)


def _stamp(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ino]


def _is_known(path: Path, record: FileRecord, remedy: str) -> bool:
    """Whether this process need not read the file. DataError when it is missing or of another size."""
    try:
        stamp = _stamp(path)
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing. {remedy}") from None
    except OSError as err:
        raise DataError(f"{path}: must be a file that can be read ({err.strerror}). {remedy}") from None
    if record[0] is not None and record[0] != stamp[0]:
        raise DataError(f"{path}: must have {record[0]:,} bytes (got {stamp[0]:,}). {remedy}")
    return stamp == list(record[:3]) or _verified.get(_key(path)) == [*stamp, record[3]]


def _is_checked(path: Path, record: FileRecord, check: Any) -> bool:
    """Whether an earlier check verified the file as it is now; remembered for this process too."""
    if check != [*_stamp(path), record[3]]:
        return False
    _verified[_key(path)] = check
    return True


@contextlib.contextmanager
def _earlier_checks(folder: Path, names: Iterable[str], records: Mapping[str, FileRecord]) -> Iterator[dict[str, Any]]:
    """Records of verified files by name; those that the body adds are saved. One process of a host at a time."""
    path = _checks_file(folder)
    if path is None:
        yield {}
        return
    earlier, all_checked = read_object(path) or {}, False
    with contextlib.suppress(OSError):
        all_checked = all(_is_checked(folder / name, records[name], earlier.get(name)) for name in names)
    if all_checked:  # if nothing is new, no lock is needed
        yield earlier
        return
    with contextlib.ExitStack() as stack:
        try:
            file: IO[str] = stack.enter_context(open_own(path, "a+"))
            while not try_lock(file.fileno()):
                time.sleep(0.05)
        except OSError:  # somebody else's file, or a file system without locks: each process reads by itself
            yield {}
            return
        file.seek(0)
        try:
            checks = dict(json.load(file))
        except (ValueError, TypeError):  # a new file, or its writer was killed
            checks = {}
        before = dict(checks)
        try:
            yield checks
        finally:
            if checks != before:
                file.truncate(0)
                json.dump(checks, file)


def _checks_file(folder: Path) -> Path | None:
    """The file for checks of a folder's files; None: there is no place for it."""
    absolute = Path(os.path.abspath(folder))
    if os.access(absolute.parent, os.W_OK):
        return absolute.parent / f".{absolute.name}.checked"
    user = getattr(os, "getuid", lambda: 0)()
    root = Path(tempfile.gettempdir()) / f"gsl-checked-{user}"
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        state = root.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != user:  # somebody else's
        return None
    return root / f"{hashlib.blake2b(str(absolute).encode(), digest_size=16).hexdigest()}.json"


def path_inside(folder: Path, name: str) -> Path:
    """The path of `name` below `folder`; DataError when the name leads out of it."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or path.resolve() == folder.resolve():
        raise DataError(f"{folder}: names of files must stay inside of the folder (got {name!r}). Rename the type")
    return path


def read_object(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file of ours; None when the file is missing, truncated, or holds something else."""
    try:
        if not path.is_file():  # reading a pipe or a device would never end
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
