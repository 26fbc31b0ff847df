"""Resume points in a host's shared memory, which the supervisor keeps over restarts of the job's processes.

Each host has a whole copy of the model and the rows of its own ranks. A point is written beside and renamed; the one
before stays until all hosts have the new one. `write_behind` copies a point to disk in a thread, without collectives:
each host copies its files and leaves a mark, and the first waits for the marks and gives the folder its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from graphstorm_like.errors import TrainingError
from graphstorm_like.files import TEMPORARY, fsync_path, record_files, replace_folder, write_hashes
from graphstorm_like.ranks.group import Group

FOLDER_VARIABLE = "GSL_POINTS"
"""Names the folder that a supervisor keeps; not set where nobody would start a crashed process again."""
_COPIED, _POLL_SECONDS = ".copied-", 0.05


def memory_folder(disk: Path) -> Path | None:
    """Where the resume points of a folder on disk lie in shared memory; None without a supervisor that keeps it."""
    root = os.environ.get(FOLDER_VARIABLE)
    return None if not root else Path(root) / blake2b(str(disk.absolute()).encode(), digest_size=8).hexdigest()


class MemoryPoints:
    """The resume points in `folder`. disk: where `write_behind` puts them. write: writes one file of a resume point.
    All ranks call the same methods in the same order."""

    def __init__(
        self,
        folder: Path,
        disk: Path,
        group: Group,
        write: Callable[[Path, Any], None],
        say: Callable[[str], None],
        wait_seconds: float,
    ) -> None:
        self.folder, self.disk, self.group = folder, disk, group
        self._write, self._say, self._wait_seconds = write, say, wait_seconds
        self._records: list[dict[str, Any]] = []
        """Of the newest point, the files that each rank has written."""
        self._copying = ""
        self._copier: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._was_short = False

    def all(self) -> list[Path]:
        """Resume points of this host, oldest first."""
        return sorted(self.folder.glob("step-*"))

    def save(self, name: str, files: Mapping[str, Any], parts: Mapping[str, Any]) -> bool:
        """Write a point on every host: `files` by its first rank, `parts` by each. False, and a line, when a host has
        too little room; the point before stays then."""
        self._raise_failure()
        what, temporary = f"writing {name} to shared memory", self.folder / f"{TEMPORARY}{name}"
        if self.group.leads_host:
            shutil.rmtree(temporary, ignore_errors=True)
            with contextlib.suppress(OSError):  # writing into it tells all ranks
                temporary.mkdir(parents=True)
        self.group.barrier(what)
        own = {**(files if self.group.leads_host else {}), **parts}
        told = [json.loads(text) for text in self.group.collect(json.dumps(self._write_all(temporary, own)), what)]
        problem = next((text for _, text in told if text), "")
        if not problem:
            self._records = [records for records, _ in told]
            problem = self._finish(temporary, name)
        is_written = bool(self.group.total(np.array([float(not problem)]), what)[0] == self.group.size)
        if is_written:
            self._drop(keep=name)
        else:
            shutil.rmtree(temporary, ignore_errors=True)
            self._tell_once(problem)
        return is_written

    def _write_all(self, folder: Path, files: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """Records of the written files, and what went wrong."""
        try:
            for file, content in files.items():
                self._write(folder / file, content)
            return dict(record_files(folder, files)), ""
        except (OSError, RuntimeError, SafetensorError) as err:
            return {}, f"{folder}: {err}"

    def _finish(self, temporary: Path, name: str) -> str:
        """The first rank of a host gives the folder its name; returns what went wrong."""
        if not self.group.leads_host:
            return ""
        try:
            write_hashes(temporary, _of_host(self._records, self.group))
            replace_folder(temporary, self.folder / name)
        except OSError as err:
            return f"{temporary}: {err}"
        return ""

    def _drop(self, keep: str) -> None:
        if self.group.leads_host:
            for old in self.all():
                if old.name not in (keep, self._copying):
                    shutil.rmtree(old, ignore_errors=True)

    def _tell_once(self, problem: str) -> None:
        if problem and not self._was_short:
            self._say(
                f"shared memory has no room for a resume point ({problem}): they go to disk only. Free space there, or "
                f"set GSL_SHM_ROOT"
            )
        self._was_short = True

    # --------------------------------------------------------------------------------------------------- to disk

    def write_behind(self, name: str, done: Callable[[], None]) -> None:
        """Copy the newest point, `name`, to disk in the background; `done` is called where one process writes for all.
        Waits for the copy before it."""
        self.settle()
        token = self.group.from_first(secrets.token_hex(4), f"writing {name}")
        if self.group.leads_host:
            self._copying = name
            self._copier = threading.Thread(
                target=self._copy, args=(name, token, self._records, done), daemon=True, name=f"copying {name}"
            )
            self._copier.start()

    def settle(self) -> None:
        """Wait until this host's part of the last copy is on disk. Raises TrainingError when it could not be
        written."""
        if self._copier is not None:
            self._copier.join()
            self._copier, self._copying = None, ""
        self._raise_failure()

    def forget(self) -> None:
        """Remove all points of this host: training is done."""
        self.settle()
        if self.group.leads_host:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise TrainingError(
                f"{self.disk}: must be writable ({self._failure}). Free space or choose another output"
            ) from self._failure

    def _copy(self, name: str, token: str, records: list[dict[str, Any]], done: Callable[[], None]) -> None:
        """In the thread. The token in the name tells apart what an attempt that was killed has left."""
        partial, group = self.disk / f"{TEMPORARY}{name}-{token}", self.group
        try:
            partial.mkdir(parents=True, exist_ok=True)
            for file in _of_host(records, group):
                if group.host == 0 or file not in records[0]:  # the model is the same on all hosts
                    shutil.copyfile(self.folder / name / file, partial / file)
                    fsync_path(partial / file)
            (partial / f"{_COPIED}{group.host}").touch()
            if group.leads_output:
                self._await_hosts(partial)
                hashes: dict[str, Any] = {}
                for of_rank in records:
                    hashes |= of_rank
                write_hashes(partial, hashes)
                replace_folder(partial, self.disk / name)
                done()
        except OSError as err:
            shutil.rmtree(partial, ignore_errors=True)
            self._failure = err

    def _await_hosts(self, partial: Path) -> None:
        deadline = time.monotonic() + self._wait_seconds
        while len(marks := list(partial.glob(f"{_COPIED}*"))) < self.group.hosts:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not all hosts had copied their part of {partial} in {self._wait_seconds:g} s")
            time.sleep(_POLL_SECONDS)
        for mark in marks:
            mark.unlink()


def _of_host(records: list[dict[str, Any]], group: Group) -> dict[str, Any]:
    """Records of all files that the ranks of this host have written."""
    first, of_host = group.host * group.local_size, dict[str, Any]()
    for of_rank in records[first : first + group.local_size]:
        of_host |= of_rank
    return of_host
