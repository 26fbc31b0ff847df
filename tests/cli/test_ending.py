"""Whatever goes wrong ends in a message that names the cause, and an exit code."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import graphstorm_like.cli.main as main_module
from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import DataError
from graphstorm_like.launch import stages
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop_pipeline


@pytest.fixture
def end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """end(error, code): what `gsl` says when a command raises the error."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("GSL_TRACEBACK", raising=False)

    def run(error: BaseException, code: int) -> str:
        def fails() -> None:
            raise error

        monkeypatch.setattr(main_module, "app", fails)
        with pytest.raises(SystemExit) as caught:
            main_module.main()
        assert caught.value.code == code
        return capsys.readouterr().err

    return run


def test_our_own_errors(end: Callable[..., str]) -> None:
    assert end(DataError("a: must be b"), 3) == "error: a: must be b\n"


def test_errors_of_files_name_path_and_cause(end: Callable[..., str], tmp_path: Path) -> None:
    said = end(OSError(errno.ENOSPC, "No space left on device", "/some/cache/x"), 74)
    assert said.startswith("error: /some/cache/x: No space left on device (ENOSPC). Free space there. The traceback is")
    assert "(EACCES). Check its permissions" in end(PermissionError(errno.EACCES, "Permission denied", "/x"), 74)
    assert "a file or connection: Bad file descriptor (EBADF)" in end(OSError(errno.EBADF, "Bad file descriptor"), 74)


@pytest.mark.parametrize(
    "error", [MemoryError(), MemoryError("Unable to allocate 9 GiB"), RuntimeError("x: can't allocate memory: y")]
)
def test_memory(end: Callable[..., str], error: Exception) -> None:
    said = end(error, 71)
    assert said.startswith("error: memory: must suffice for this command")
    assert str(error) in said


def test_a_bug_keeps_its_traceback_in_a_file(end: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    said = end(KeyError("lost"), 70)
    assert said.startswith("error: gsl failed where it should not have: KeyError: 'lost'. The traceback is in ")
    assert "Traceback" not in said.replace("The traceback", "")
    match = re.search(r"is in (\S+)", said)
    assert match is not None
    assert "Traceback (most recent call last)" in Path(match[1]).read_text()
    monkeypatch.setenv("GSL_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in end(KeyError("lost"), 70)


def test_a_bug_on_a_full_disk(end: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")
    assert "GSL_TRACEBACK=1 shows the traceback" in end(KeyError("lost"), 70)


def test_an_error_elsewhere_is_not_blamed_on_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = load_pipeline(write_shop_pipeline(tmp_path))

    def fails(_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", "/elsewhere/item.parquet")

    monkeypatch.setattr(stages.Runner, "construct", fails)
    with pytest.raises(OSError, match="/elsewhere/item.parquet"):
        run_pipeline(pipeline, ["construct"], reporter=Reporter(quiet=True))
    path = f"{tmp_path}/run/train/x"

    def is_full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(stages.Runner, "construct", is_full)
    with pytest.raises(DataError, match=r"run: must be a folder that can be written to \(.*train/x"):
        run_pipeline(pipeline, ["construct"], reporter=Reporter(quiet=True))
