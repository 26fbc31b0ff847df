"""What else can happen to a job on the way: killed helpers, frozen processes, full disks, a launcher that is killed."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from graphstorm_like.bench.campaign import last_update
from graphstorm_like.bench.disks import small_disk, why_no_disk
from graphstorm_like.bench.jobs import Watched, helpers, members, running
from graphstorm_like.bench.jobs import send as kill
from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.process import GSL
from graphstorm_like.launch.stages import read_scores
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.training.stopping import SAVED
from graphstorm_like.training.tracking import read_metrics
from tests.launch.faults import are_gone, descendants, record

pytestmark = [pytest.mark.slow, pytest.mark.dist]

COMMON = ["train.epochs=12", "train.early_stop=null", "train.checkpoint.every_steps=1", "launch.hosts=2"]
COMMON += ["launch.trainers=1", "launch.threads=1", "graph.partitions.count=2"]
RESULTS = ("run/train/best/model.safetensors", "run/evaluate/metrics.json")


@contextlib.contextmanager
def job(folder: Path, *changes: str, environment: Mapping[str, str] | None = None) -> Iterator[Watched]:
    """`gsl run` in a folder; shared memory in a folder beside it."""
    yaml = folder / "pipeline.yaml"
    if not yaml.exists():
        write_shop_pipeline(folder)
    memory = folder / "memory"
    memory.mkdir(exist_ok=True)
    command = [*GSL, "run", str(yaml), *COMMON, *changes]
    with running(command, {"GSL_SHM_ROOT": str(memory), **(environment or {})}) as one:
        yield one


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    with job(folder) as one:
        code, said = one.end()
    assert code == 0, said
    assert set(read_scores(load_pipeline(folder / "pipeline.yaml"))) == {"valid", "test"}
    assert pq.read_table(folder / "run" / "infer" / "embeddings" / "item").num_rows == 240
    return folder


def test_twice_is_up_to_date(undisturbed: Path) -> None:
    with job(undisturbed) as one:
        code, said = one.end()
    assert (code, said.count("up to date"), "[t0]" in said) == (0, 4, False), said


def assert_same(folder: Path, undisturbed: Path) -> None:
    for file in RESULTS:
        assert (folder / file).read_bytes() == (undisturbed / file).read_bytes(), file
    assert list((folder / "memory").iterdir()) == []


def test_a_killed_sampler_process(tmp_path: Path, undisturbed: Path) -> None:
    with job(tmp_path, "train.workers=1", "launch.max_restarts=1") as one:
        one.wait_for(r"epoch 3/")
        trainer, killed = members(one.pid)["trainer-1"], 0.0
        deadline = time.monotonic() + 120.0
        while not one.when("must run to its end") and time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # they live for an epoch; one at its very end is not missed
                if found := helpers(trainer):
                    kill(found, signal.SIGKILL)
                    killed = time.monotonic()
            time.sleep(0.002)
        code, said = one.end()
        noticed, resumed = one.when("must run to its end"), one.when("resuming at epoch")
    assert code == 0, said
    assert "sampler processes must deliver a batch" in said
    assert noticed is not None
    assert resumed is not None
    assert_same(tmp_path, undisturbed)
    record(
        "a sampler process (train.workers) is killed", "restart from the checkpoint", noticed - killed, resumed - killed
    )


@pytest.mark.parametrize("victim", ["trainer-0", "trainer-1", "server-0"])
def test_a_killed_process(tmp_path: Path, undisturbed: Path, victim: str) -> None:
    """The job starts again by itself, and ends with the same weights and the same scores."""
    with job(tmp_path, "launch.max_restarts=1") as one:
        one.wait_for(r"epoch 3/")
        killed = time.monotonic()
        kill([members(one.pid)[victim]], signal.SIGKILL)
        code, said = one.end()
        noticed, resumed = one.when("must run to its end"), one.when("resuming at epoch")
    assert code == 0, said
    role, _, number = victim.partition("-")
    assert f"{role} {number} on host {number}: must run to its end, but was killed by SIGKILL" in said
    assert "restarting from the last checkpoint (restart 1 of 1)" in said
    assert said.count("[t0] epoch 1/") == 1
    assert noticed is not None
    assert resumed is not None
    assert_same(tmp_path, undisturbed)
    record(f"{victim} is killed (SIGKILL)", "restart from the checkpoint", noticed - killed, resumed - killed)


def test_memory_has_a_newer_resume_point_than_the_disk(tmp_path: Path, undisturbed: Path) -> None:
    """On disk there is one an epoch, in shared memory one a step; the end is the same."""
    output = tmp_path / "run"
    changes = ["train.checkpoint.every_steps=null", "train.checkpoint.memory_steps=1", "train.track.every_steps=1"]
    with job(tmp_path, *changes, "launch.max_restarts=1") as one:
        one.wait_for(r"epoch 3/")
        steps = next(r["update"] for r in read_metrics(output / "train") if r["kind"] == "epoch")
        assert steps > 2, "the middle of an epoch is what this test is about"
        victim = members(one.pid)["trainer-1"]
        while (update := last_update(output)) % steps < 2:  # told before its resume point is written
            time.sleep(0.001)
        kill([victim], signal.SIGKILL)
        code, said = one.end()
    assert code == 0, said
    resumed = re.search(r"resuming at epoch (\d+), update (\d+)", said)
    assert resumed is not None, said
    assert int(resumed[2]) >= update - 1
    if int(resumed[2]) // steps == update // steps:  # the epoch's end did not come between the look and the kill
        assert int(resumed[2]) % steps, said
    assert_same(tmp_path, undisturbed)


@pytest.mark.parametrize("memory", [[], ["train.checkpoint.memory_steps=1"]])
def test_sigterm_at_the_launcher_saves(tmp_path: Path, undisturbed: Path, memory: list[str]) -> None:
    """All ranks stop after one update; the status says that nothing is lost, and the same command goes on."""
    changes = ["train.checkpoint.every_steps=null", *memory]
    with job(tmp_path, *changes) as one:
        one.wait_for(r"epoch 3/")
        every, asked = descendants(one.pid), time.monotonic()
        kill([one.pid], signal.SIGTERM)
        code, said = one.end()
        ended = time.monotonic()
    assert code == SAVED, said
    saved = re.search(r"asked to stop: wrote a resume point at update (\d+)", said)
    assert saved is not None, said
    assert are_gone(every)
    assert list((tmp_path / "memory").iterdir()) == []
    with job(tmp_path, *changes) as again:
        code, said = again.end()
    assert code == 0, said
    assert f"update {saved[1]}" in said
    assert_same(tmp_path, undisturbed)
    record("SIGTERM at the launcher", "a resume point, status 85; the same end", ended - asked)


def test_an_exception_on_one_rank_is_what_is_shown(tmp_path: Path) -> None:
    """The other rank loses the connection, and stays silent about it."""
    broken = tmp_path / "broken.py"
    broken.write_text(
        "import os, time\n"
        "from graphstorm_like.training.trainer import Trainer\n"
        "validate = Trainer.validate\n"
        "def fails(trainer):\n"
        "    if os.environ.get('RANK') == '1':\n"
        "        time.sleep(2)  # until the other rank waits\n"
        "        raise ValueError('the cause')\n"
        "    return validate(trainer)\n"
        "Trainer.validate = fails\n"
    )
    with job(tmp_path, f"plugins=[{broken}]", "launch.max_restarts=0") as one:
        code, said = one.end()
    assert code == 6, said
    assert said.rstrip().endswith("ValueError: the cause")
    assert "must hear from all ranks" not in said
    logs = "".join(log.read_text() for log in (tmp_path / "run" / "logs").rglob("trainer-h0-*.log"))
    assert "must hear from all ranks" in logs
    assert "gloo/" not in logs


@pytest.mark.parametrize("victim", ["trainer-1", "server-0"])
def test_a_process_that_is_slow(tmp_path: Path, undisturbed: Path, victim: str) -> None:
    with job(tmp_path, "launch.timeout_seconds=120.0") as one:
        one.wait_for(r"epoch 3/")
        pid, frozen = members(one.pid)[victim], time.monotonic()
        kill([pid], signal.SIGSTOP)
        time.sleep(5.0)
        kill([pid], signal.SIGCONT)
        code, said = one.end()
        after = [moment for moment, line in one.lines if "epoch" in line and moment > frozen + 5.0]
    assert code == 0, said
    assert "starting again" not in said
    assert_same(tmp_path, undisturbed)
    record(f"{victim} is frozen for 5 s (SIGSTOP)", "the job waits, and goes on", recovered=after[0] - frozen)


@pytest.mark.parametrize(
    ("victim", "waited_for"),
    [
        ("trainer-1", r"error: rank 0 of 2, (epoch \d+, step \d+|[a-z ]+).*: must hear from all ranks within 10 s"),
        ("server-0", r"error: graph server 127\.0\.0\.1:\d+: must answer within 10 s"),
    ],
)
def test_a_process_that_is_frozen_for_good(tmp_path: Path, victim: str, waited_for: str) -> None:
    with job(tmp_path, "launch.timeout_seconds=10.0") as one:
        one.wait_for(r"epoch 3/")
        every, frozen = descendants(one.pid), time.monotonic()
        kill([members(one.pid)[victim]], signal.SIGSTOP)
        code, said = one.end()
        ended = time.monotonic()
        noticed = one.when("error: ")
    assert code == 6, said
    assert re.search(waited_for, said), said
    assert noticed is not None
    assert are_gone(every)
    assert list((tmp_path / "memory").iterdir()) == []
    record(
        f"{victim} is frozen for good (launch.timeout_seconds: 10)",
        f"LaunchError that says who waited for whom; all is gone after {ended - frozen:.1f} s",
        noticed - frozen,
    )


def test_a_killed_launcher(tmp_path: Path, undisturbed: Path) -> None:
    """Nothing of it lives on; its shared memory is removed by the next launch, which goes on from the checkpoint."""
    with job(tmp_path, "train.workers=1") as one:
        one.wait_for(r"epoch 3/")
        trainers = [pid for name, pid in members(one.pid).items() if name.startswith("trainer")]
        deadline = time.monotonic() + 60.0
        while not any(helpers(trainer) for trainer in trainers) and time.monotonic() < deadline:
            time.sleep(0.01)
        every, killed = descendants(one.pid), time.monotonic()
        assert len(every) >= 4
        kill([one.pid], signal.SIGKILL)
        assert are_gone(every)
        gone = time.monotonic() - killed
    assert [p.name[-3:] for p in sorted((tmp_path / "memory").iterdir())] == ["-h0", "-h1"]
    with job(tmp_path) as again:
        started = time.monotonic()
        code, said = again.end()
        resumed = again.when("resuming at epoch")
    assert code == 0, said
    assert resumed is not None
    assert_same(tmp_path, undisturbed)
    record(
        "the launcher is killed (SIGKILL)",
        "its processes end at once; the same command goes on from the checkpoint and removes its shared memory",
        gone,
        resumed - started,
    )


# --------------------------------------------------------------------------------------------------------- no room


needs_disk = pytest.mark.skipif(bool(why_no_disk()), reason=why_no_disk())


@needs_disk
@pytest.mark.parametrize("size", ["4k", "20k", "64k"])
def test_shared_memory_that_is_full(tmp_path: Path, size: str) -> None:
    """At the very start, at the first table, and at one of many later: an error, and not a bus error."""
    with small_disk(tmp_path / "small", size) as memory:
        started = time.monotonic()
        with job(tmp_path, "launch.max_restarts=2", environment={"GSL_SHM_ROOT": str(memory)}) as one:
            code, said = one.end()
        assert code == (6 if size == "4k" else 3), said
        assert "GSL_SHM_ROOT" in said
        assert "No space left on device" in said
        assert "starting again" not in said
        assert "SIGBUS" not in said
        assert list(memory.iterdir()) == []
        kind = "LaunchError" if size == "4k" else "DataError"
        record(f"shared memory is full ({size})", f"{kind} that says what to do", time.monotonic() - started)


@needs_disk
def test_an_output_folder_that_is_full(tmp_path: Path, undisturbed: Path) -> None:
    """Training stops with an error; when there is room again it goes on."""
    with small_disk(tmp_path / "small", "8m") as disk:
        output = f"output={disk / 'run'}"
        with job(tmp_path, output, "launch.max_restarts=2") as one:
            one.wait_for(r"epoch 3/")
            with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(4096))
            filled = time.monotonic()
            code, said = one.end()
            noticed = one.when("error: ")
        assert code in (3, 5), said
        assert "Free space" in said
        assert "No space left on device" in said
        assert noticed is not None
        (disk / "filler").unlink()
        with job(tmp_path, output) as again:
            code, said = again.end()
        assert code == 0, said
        assert "resuming at epoch" in said
        for file in RESULTS:
            assert (disk / file).read_bytes() == (undisturbed / file).read_bytes(), file
        record("the output folder's disk is full", "TrainingError; goes on when there is room", noticed - filled)
