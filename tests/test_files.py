"""Locks that wait with words, and names that stay in their folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

import graphstorm_like.files as files
from graphstorm_like.errors import DataError
from graphstorm_like.files import exclusive, path_inside, read_object
from graphstorm_like.inference.writers import ResultFolder


def test_who_waits_says_for_whom_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SAY_SECONDS", 0.3)
    lines: list[str] = []
    taken = threading.Event()

    def hold() -> None:
        with exclusive(tmp_path / "x.lock", "training this stage"):
            taken.set()
            time.sleep(1.0)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    with exclusive(tmp_path / "x.lock", "training this stage", 60, lines.append):
        pass
    holder.join()
    assert 2 <= len(lines) <= 5
    since = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    waiting = rf"waiting for process {os.getpid()} on \S+ since {since}, which is training this stage"
    assert re.match(rf"{waiting} \(0 s so far; .*x\.lock\)", lines[0])


def test_without_patience_a_lock_is_an_error(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "x.lock", "working"),
        pytest.raises(DataError, match=r"is already working \(waited 0 s\)"),
        exclusive(tmp_path / "x.lock", "working"),
    ):
        pass


ORPHAN = """
import os, sys, time
from pathlib import Path
from graphstorm_like.files import exclusive
with exclusive(Path(sys.argv[1]), "working"):
    if os.fork() == 0:
        print("held", flush=True)
        time.sleep(60)
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_lock_that_outlives_its_holder_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ORPHAN_SECONDS", 0.5)
    job = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path / "x.lock")], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert job.stdout is not None
        assert job.stdout.readline() == b"held\n"
        job.wait()
        started = time.monotonic()
        with (
            pytest.raises(DataError, match=f"process {job.pid} on .* is already working"),
            exclusive(tmp_path / "x.lock", "working", 3600, lambda _: None),
        ):
            pass
        assert time.monotonic() - started < 30
    finally:
        os.killpg(job.pid, 9)
        assert job.stdout is not None
        job.stdout.close()


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "."])
def test_names_that_lead_out_of_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="names of files must stay inside of the folder"):
        path_inside(tmp_path / "in", name)
    table = pa.table({"a": [1]})
    with pytest.raises(DataError, match="must stay inside"), ResultFolder(tmp_path / "results") as results:
        results.write(name, [table])
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_link_that_leads_out_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    with pytest.raises(DataError, match="must stay inside"):
        path_inside(tmp_path / "in", "link/x")
    assert path_inside(tmp_path / "in", "a/b") == tmp_path / "in" / "a" / "b"


@pytest.mark.parametrize("content", [b"", b"[1]", b"3", b'{"a": ', b"[" * 100_000, b"\xff"])
def test_json_of_another_shape_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    assert read_object(tmp_path / "x.json") is None
    assert read_object(tmp_path / "none.json") is None


@pytest.mark.parametrize("content", ["[]", "null", "{", '{"a.bin": 3}'])
def test_a_damaged_note_of_checks_is_made_anew(tmp_path: Path, content: str) -> None:
    """JSON that is no object ended in a traceback."""
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"a")
    records = {"a.bin": [1, None, None, files.file_hash(folder / "a.bin")]}
    (tmp_path / ".saved.checked").write_text(content)
    files._verified.clear()
    files.check_files(folder, records, "Make it again")
    assert list(json.loads((tmp_path / ".saved.checked").read_text())) == ["a.bin"]
