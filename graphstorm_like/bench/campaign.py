"""`gsl bench faults`: the same training twice, undisturbed and under faults, and what the faults cost.

Faults come one after the other, at a rate, each after recovery from the one before. Goodput is the time from the first
step to the end undisturbed over that under faults: the share of fault-free steps that were done in the time. A job that
has ended is started again by the same command, as a scheduler would.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from graphstorm_like.bench.disks import small_disk, why_no_disk
from graphstorm_like.bench.faults import FAULTS, Fault, Undo, Victim
from graphstorm_like.bench.folder import start_folder
from graphstorm_like.bench.jobs import Watched, running
from graphstorm_like.bench.netns import LonelyMachine, why_no_machine
from graphstorm_like.config.load import load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import ConfigError, LaunchError
from graphstorm_like.files import file_hash
from graphstorm_like.launch.host import memory_root
from graphstorm_like.launch.process import GSL
from graphstorm_like.launch.show.table import table
from graphstorm_like.launch.state import stage_folder
from graphstorm_like.progress import Reporter, duration
from graphstorm_like.training.artifacts import BEST
from graphstorm_like.training.tracking import METRICS_FILE, read_metrics

POLL_SECONDS, SETTLE_SECONDS, LOOK_SECONDS = 0.05, 1.0, 0.5
PROBE_EPOCHS = 2
DEADLOCK = "graphstorm_like.bench.deadlock"
RESTARTS = 100_000
_ROOM = 64 << 20
_PATIENCE = 10.0
"""How many times longer than undisturbed a disturbed training may take, beside ten minutes."""


@dataclass(frozen=True)
class Plan:
    """What to do. minutes: how long the undisturbed training takes, about; epochs: of it, instead. names: kinds of
    faults, by default all. timeout_seconds: the job's timeouts, which decide when something frozen is noticed. most:
    how many faults at most."""

    yaml: Path
    overrides: Sequence[str]
    folder: Path
    minutes: float = 30.0
    per_minute: float = 1.0
    epochs: int | None = None
    names: Sequence[str] = ()
    timeout_seconds: float = 20.0
    seed: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Strike:
    """One fault: its kind, and the seconds until a step beyond those before it was done; None: training ended first."""

    fault: str
    recovered: float | None


@dataclass
class Result:
    """What came out. skipped: kinds of faults, and why. equal: whether the best weights have the same bytes."""

    store: str
    steps: int
    undisturbed_seconds: float
    disturbed_seconds: float = 0.0
    strikes: list[Strike] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    equal: bool = False

    @property
    def goodput(self) -> float:
        """Share of fault-free steps."""
        return self.undisturbed_seconds / self.disturbed_seconds

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {**asdict(self), "goodput": self.goodput}

    def lines(self) -> Iterator[str]:
        """For people."""
        rows = []
        for name in dict.fromkeys(strike.fault for strike in self.strikes):
            of_kind = [strike.recovered for strike in self.strikes if strike.fault == name]
            times = [seconds for seconds in of_kind if seconds is not None] or [float("nan")]
            rows.append([name, str(len(of_kind)), f"{statistics.median(times):.1f}", f"{max(times):.1f}"])
        yield from table(["fault", "times", "recovered after s, median", "longest"], rows)
        for name, reason in self.skipped.items():
            yield f"skipped: {name}: {reason}"
        rate = 60.0 * len(self.strikes) / self.disturbed_seconds
        yield (
            f"store {self.store}: {self.steps:,} steps in {duration(self.undisturbed_seconds)} undisturbed, in "
            f"{duration(self.disturbed_seconds)} with {len(self.strikes)} faults, {rate:.1f} a minute"
        )
        yield f"goodput: {100.0 * self.goodput:.1f} % of fault-free steps"
        yield f"final weights: {'equal, byte for byte' if self.equal else 'NOT equal'}"


def bench_faults(plan: Plan, reporter: Reporter) -> Result:
    """Construct, train undisturbed, train under faults. Raises ConfigError and LaunchError."""
    pipeline = load_pipeline(plan.yaml, plan.overrides)
    faults, skipped = _choose(pipeline, plan.names)
    start_folder(plan.folder)
    with tempfile.TemporaryDirectory(prefix="gsl-bench-", dir=memory_root()) as memory:
        bench = _Bench(plan, pipeline, Path(memory), reporter)
        bench.construct()
        epochs = plan.epochs or bench.epochs_of(60.0 * plan.minutes)
        result = bench.undisturbed(epochs)
        result.skipped = skipped
        bench.disturbed(epochs, faults, result)
    return result


def _choose(pipeline: Pipeline, names: Sequence[str]) -> tuple[list[Fault], dict[str, str]]:
    launch = pipeline.launch
    if launch.on != "local" or launch.in_process:
        raise ConfigError(
            f"launch: must start several processes on this machine for faults (got on: {launch.on}, "
            f"{launch.hosts} x {launch.trainers} trainers). Set launch.on=local launch.hosts=2, or launch.trainers=2"
        )
    known = [fault.name for fault in FAULTS]
    if unknown := sorted(set(names) - set(known)):
        raise ConfigError(f"--fault: must be of {', '.join(known)} (got '{unknown[0]}')")
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    skipped = {fault.name: reason for fault in chosen if (reason := fault.why_not(pipeline))}
    faults = [fault for fault in chosen if fault.name not in skipped]
    if not faults:
        raise LaunchError(f"--fault: must leave a kind that can happen here (got {skipped})")
    return faults, skipped


class _Bench:
    def __init__(self, plan: Plan, pipeline: Pipeline, memory: Path, reporter: Reporter) -> None:
        self.plan, self.pipeline, self.memory, self.reporter = plan, pipeline, memory, reporter
        self.folder = plan.folder.absolute()
        self.graph = ""
        self.memory_bytes = self.output_bytes = 0

    # ---------------------------------------------------------------------------------------------------- commands

    def command(self, verb: str, output: Path, epochs: int = 1, memory: Path | None = None) -> list[str]:
        """A command of `gsl` with the pipeline as the benchmark needs it."""
        seconds = self.plan.timeout_seconds
        changes = [
            *self.plan.overrides,
            f"output={output}",
            f"cache={output}/cache",
            f"plugins={json.dumps([*self.pipeline.plugins, DEADLOCK])}",
            f"train.epochs={epochs}",
            "train.early_stop=null",
            "train.track.every_steps=1",
            f"train.timeout_seconds={seconds}",
            f"launch.timeout_seconds={seconds}",
            f"launch.max_restarts={RESTARTS}",
            *([f"graph.path={self.graph}"] if self.graph else []),
        ]
        return [*GSL, verb, str(self.plan.yaml), *changes]

    def construct(self) -> None:
        """The graph, once for all runs."""
        if not self.pipeline.graph.nodes:
            self.graph = str(stage_folder(self.pipeline, "construct"))
            return
        self.graph = str(self.folder / "graph")
        self._to_the_end(self.command("construct", self.folder / "undisturbed"))

    def _to_the_end(self, command: Sequence[str]) -> None:
        with running(command, {"GSL_SHM_ROOT": str(self.memory)}) as job:
            while (code := job.ended()) is None:
                time.sleep(POLL_SECONDS)
        if code != 0:
            raise LaunchError(f"{' '.join(command[:4])}: must succeed without faults, but said:\n{job.said[-2000:]}")

    def epochs_of(self, seconds: float) -> int:
        """How many epochs take about so long, by a short training."""
        output = self.folder / "probe"
        self._to_the_end(self.command("train", output, PROBE_EPOCHS))
        last = [record for record in read_metrics(output / "train") if record["epoch"] == PROBE_EPOCHS - 1]
        one = sum(record["seconds"] for record in last if record["kind"] in ("epoch", "valid"))
        shutil.rmtree(output)
        return max(PROBE_EPOCHS, round(seconds / float(one)))

    # -------------------------------------------------------------------------------------------------------- runs

    def undisturbed(self, epochs: int) -> Result:
        """The reference, and how much room it takes."""
        output = self.folder / "undisturbed"
        with running(self.command("train", output, epochs), {"GSL_SHM_ROOT": str(self.memory)}) as job:
            started = look_at = 0.0
            while (code := job.ended()) is None:
                if not started and last_update(output):
                    started = time.monotonic()
                if time.monotonic() >= look_at:
                    self.memory_bytes = max(self.memory_bytes, _size(self.memory))
                    self.output_bytes = max(self.output_bytes, _size(output))
                    look_at = time.monotonic() + LOOK_SECONDS
                time.sleep(POLL_SECONDS)
            seconds = time.monotonic() - started
        if code != 0 or not started:
            raise LaunchError(f"gsl train: must succeed without faults, but said:\n{job.said[-2000:]}")
        self.reporter.line(f"undisturbed: {last_update(output):,} steps in {duration(seconds)}, {epochs} epochs")
        return Result(self.pipeline.launch.store, last_update(output), seconds)

    def disturbed(self, epochs: int, faults: Sequence[Fault], result: Result) -> None:
        """The same under faults; fills in the result."""
        with contextlib.ExitStack() as stack:
            disk, memory, machine = self.folder / "disturbed", self.memory / "small", None
            memory.mkdir()
            if not why_no_disk():
                stack.enter_context(small_disk(disk, str(_ROOM + 4 * self.output_bytes)))
                stack.enter_context(small_disk(memory, str(_ROOM + 2 * self.memory_bytes)))
            if not why_no_machine():
                machine = LonelyMachine()
                stack.callback(machine.close)
            command = self.command("train", disk / "run", epochs)
            if machine is not None:
                command = machine.command(command)
            longest = 600.0 + _PATIENCE * result.undisturbed_seconds
            campaign = _Campaign(self.plan, faults, disk, memory, machine, longest, self.reporter.line)
            result.disturbed_seconds = campaign.run(command)
            result.strikes = campaign.strikes
            result.equal = weights(disk / "run") == weights(self.folder / "undisturbed")


class _Campaign:
    """Faults against one training, until it has ended well."""

    def __init__(
        self,
        plan: Plan,
        faults: Sequence[Fault],
        disk: Path,
        memory: Path,
        machine: LonelyMachine | None,
        longest: float,
        say: Callable[[str], None],
    ) -> None:
        self.faults, self.disk, self.memory, self.machine = list(faults), disk, memory, machine
        self.interval, self.rng, self.longest, self.say = 60.0 / plan.per_minute, random.Random(plan.seed), longest, say
        self.strikes: list[Strike] = []
        self._most = float("inf") if plan.most is None else plan.most
        self._waiting: list[Fault] = []
        self._undo: Undo | None = None
        self._undo_at = self._next_at = float("inf")
        self._struck: tuple[str, float, int] | None = None

    def run(self, command: Sequence[str]) -> float:
        """Seconds from the first step to the end."""
        deadline, started = time.monotonic() + self.longest, 0.0
        while True:
            with running(command, {"GSL_SHM_ROOT": str(self.memory)}) as job:
                while (code := job.ended()) is None:
                    if time.monotonic() > deadline:
                        raise LaunchError(f"job: must end within {self.longest:,.0f} s of faults. {job.said[-2000:]}")
                    if not started and last_update(self.disk / "run"):
                        started = time.monotonic()
                        self._next_at = started + self.interval / 2
                    self._look(job)
                    time.sleep(POLL_SECONDS)
            ended = time.monotonic()
            self._finish_undo()
            if code == 0:
                self._note(None)
                if not self.strikes:
                    raise LaunchError("job: must last until a fault, but ended first. Raise --minutes or --epochs")
                return ended - (started or ended)
            if self._struck is None:
                raise LaunchError(f"job: must not fail without a fault, but said:\n{job.said[-2000:]}")

    def _look(self, job: Watched) -> None:
        now = time.monotonic()
        if now >= self._undo_at:
            self._finish_undo()
        if self._struck is not None:
            name, moment, update = self._struck
            if now - moment < SETTLE_SECONDS:  # an update that was under way may still end
                self._struck = name, moment, last_update(self.disk / "run")
            elif self._undo is None and last_update(self.disk / "run") > update:
                self._note(now - moment)
                self._next_at = max(self._next_at, now + self.interval / 2)  # some steps between slow recoveries
        elif now >= self._next_at and len(self.strikes) < self._most:
            self._strike(job)

    def _strike(self, job: Watched) -> None:
        if not self._waiting:
            self._waiting = self.rng.sample(self.faults, len(self.faults))
        fault = self._waiting.pop()
        update = last_update(self.disk / "run")
        victim = Victim(job, self.disk, self.memory, self.machine, self.rng)
        undo, now = fault.strike(victim), time.monotonic()
        if undo is None:
            return
        self.say(f"{fault.name}, at update {update:,}")
        self._struck, self._next_at = (fault.name, now, update), now + self.interval
        if fault.seconds is not None:
            self._undo, self._undo_at = undo, now + fault.seconds

    def _finish_undo(self) -> None:
        if self._undo is not None:
            self._undo()
        self._undo, self._undo_at = None, float("inf")

    def _note(self, seconds: float | None) -> None:
        if self._struck is not None:
            self.strikes.append(Strike(self._struck[0], seconds))
            self.say("the end came first" if seconds is None else f"recovered after {seconds:.1f} s")
        self._struck = None


def last_update(output: Path) -> int:
    """Optimizer steps that a training has told of; 0 before the first."""
    try:
        with (output / "train" / METRICS_FILE).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().split(b"\n")[:-1]
        return int(json.loads(lines[-1])["update"]) if lines else 0
    except (OSError, ValueError, KeyError):
        return 0


def weights(output: Path) -> dict[str, str]:
    """Hashes of the best model's weights by file."""
    best = output / "train" / BEST
    return {path.relative_to(best).as_posix(): file_hash(path) for path in sorted(best.rglob("*.safetensors"))}


def _size(folder: Path) -> int:
    """Bytes of the files below a folder, which others write and remove."""
    total = 0
    for place, _, names in os.walk(folder):  # unlike rglob it passes over what has gone
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total
