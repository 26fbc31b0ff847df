"""gsl cache: what is listed, what is deleted, and that nothing a run holds is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphstorm_like.cache_use import mark_used, users, using_cache
from graphstorm_like.cli.main import app
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.files import exclusive
from graphstorm_like.launch.caches import Wanted, entries, prune

DAY = 86_400.0


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two columns of tokens with their vectors, a phase and a note; two runs, of which one is gone."""
    folder = tmp_path / "cache"
    for key, size in (("a", 1000), ("b", 3000)):
        for name in (f"tokens-{key}", f"vectors-{key}"):
            (folder / name).mkdir(parents=True)
            (folder / name / "data.npy").write_bytes(b"x" * size)
            (folder / f"{name}.lock").touch()
        (folder / f"vectors-{key}" / "meta.json").write_text(json.dumps({"token_store": key}))
    (folder / "phase-lm-c" / "best").mkdir(parents=True)
    (folder / "phase-lm-c" / "best" / "model.safetensors").write_bytes(b"x" * 5000)
    (folder / "known-d.json").write_text('{"tokens": "tokens-a", "vectors": "vectors-a"}')
    (folder / ".writing-phase-gone").mkdir()
    (folder / "somebody.txt").write_text("not ours")
    for run, used in (("here", ("tokens-b", "vectors-b")), ("gone", ("tokens-a", "vectors-a", "phase-lm-c"))):
        with using_cache(folder, tmp_path / run):
            for name in used:
                mark_used(folder / name)
    (tmp_path / "here").mkdir()
    return folder


def names(cache: Path) -> set[str]:
    return {entry.path.name for entry in entries(cache)}


def test_what_is_listed(cache: Path, tmp_path: Path) -> None:
    found = {entry.path.name: entry for entry in entries(cache)}
    assert next(iter(found)) == "phase-lm-c", "the largest first"
    assert found["vectors-b"].used_by == (str(tmp_path / "here"),)
    assert found["vectors-a"].used_by == (), "its only run is gone"
    assert (found["tokens-b"].bytes, found["tokens-b"].kind) == (3000, "tokens")
    assert found[".writing-phase-gone"].kind == "leftovers"
    assert "somebody.txt" not in found
    listed = json.loads(CliRunner().invoke(app, ["cache", "list", str(cache), "--json"]).stdout)
    assert not listed["in_use"]
    assert [entry["name"] for entry in listed["entries"]] == list(found)


def test_what_no_run_uses_goes_with_its_notes(cache: Path) -> None:
    before = names(cache)
    dry = prune(cache, Wanted(unused=True), dry_run=True)
    assert names(cache) == before
    done = prune(cache, Wanted(unused=True))
    assert [entry.path.name for entry in done.deleted] == [entry.path.name for entry in dry.deleted]
    assert names(cache) == {"tokens-b", "vectors-b"}
    assert not (cache / "tokens-a.lock").exists()
    assert list(users(cache)) == [str(cache.parent / "here")]
    assert (cache / "somebody.txt").exists()


def test_tokens_stay_with_their_vectors(cache: Path) -> None:
    done = prune(cache, Wanted(kinds=["tokens"]))
    assert done.kept == {
        "tokens-a": "vectors-a is of use only with it",
        "tokens-b": "vectors-b is of use only with it",
    }
    assert {"tokens-a", "tokens-b"} <= names(cache)
    prune(cache, Wanted(kinds=["tokens", "vectors"]))
    assert names(cache) == {"phase-lm-c"}, "a note of what is gone goes too"


def test_age_is_that_of_the_last_use(cache: Path) -> None:
    for entry in entries(cache):
        os.utime(entry.path, (time.time() - 40 * DAY,) * 2)
    with using_cache(cache, cache.parent / "here"):
        mark_used(cache / "phase-lm-c")
    prune(cache, Wanted(older_than=30 * DAY))
    assert names(cache) == {"phase-lm-c"}


def test_what_a_running_job_holds_stays(cache: Path) -> None:
    hold = "import sys, time; from pathlib import Path; from graphstorm_like.cache_use import using_cache\n"
    hold += "with using_cache(Path(sys.argv[1]), Path('run')): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(cache)], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="must not be in use"):
            prune(cache, Wanted(unused=True))
        assert "vectors-a" in names(cache)
        job.kill()
    with exclusive(cache / "phase-lm-c.lock", "training this phase"):
        assert prune(cache, Wanted(unused=True)).kept == {"phase-lm-c": "another process holds its lock"}
    assert "phase-lm-c" in names(cache)
    assert "vectors-a" not in names(cache)


def test_mistakes_are_named(cache: Path) -> None:
    runner = CliRunner()
    for arguments, message in (
        ([], "must be told what may go"),
        (["--kind", "vector"], "Did you mean 'vectors'?"),
        (["--older-than", "30"], "must be a number with h, d or w: 12h, 30d, 8w"),
    ):
        error = runner.invoke(app, ["cache", "prune", str(cache), *arguments]).exception
        assert isinstance(error, ConfigError)
        assert message in str(error)
    assert isinstance(runner.invoke(app, ["cache", "list", str(cache / "no")]).exception, DataError)
