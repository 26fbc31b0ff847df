"""What can be done to a running job, each kind by its name. A kind is struck, and some are undone later: a full disk is
cleared, a network comes back. What cannot be done on this machine, or to this job, says why.
"""

from __future__ import annotations

import random
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphstorm_like.bench.deadlock import HOLD_GIL
from graphstorm_like.bench.disks import fill, why_no_disk
from graphstorm_like.bench.jobs import Watched, helpers, members, send
from graphstorm_like.bench.netns import LonelyMachine, why_no_machine, why_no_trouble
from graphstorm_like.config.pipeline import Pipeline

Undo = Callable[[], None]
PAUSE_SECONDS = 5.0
"""How long what passes by itself lasts."""
_SAMPLER_SECONDS = 20.0
"""How long a sampler process is looked for: they live for an epoch."""


@dataclass(frozen=True)
class Victim:
    """A job as its faults see it. disk: its output folder's file system; memory: that of its shared memory."""

    job: Watched
    disk: Path
    memory: Path
    machine: LonelyMachine | None
    rng: random.Random

    def pids(self, role: str) -> list[int]:
        """Processes of a role, trainer or server, in the order of their numbers."""
        found = members(self.job.pid)
        return [found[name] for name in sorted(found) if name.startswith(role)]

    def one(self, role: str) -> list[int]:
        """One process of a role, any of them."""
        found = self.pids(role)
        return [self.rng.choice(found)] if found else []


class Fault(ABC):
    """One kind."""

    name: str
    seconds: float | None = None
    """When it is undone; None: it needs no undoing. It is undone earlier when the job has ended."""

    def why_not(self, pipeline: Pipeline) -> str:
        """Why it cannot happen here, or to this job; '' when it can."""
        return ""

    @abstractmethod
    def strike(self, victim: Victim) -> Undo | None:
        """Do it; returns what undoes it. None when there was nobody to strike."""


def _nothing() -> None:
    pass


class Kill(Fault):
    """SIGKILL, or another signal, to one process of a role."""

    def __init__(self, name: str, role: str, number: int = signal.SIGKILL) -> None:
        self.name, self._role, self._number = name, role, number

    def why_not(self, pipeline: Pipeline) -> str:
        """See Fault."""
        no_servers = pipeline.launch.hosts == 1
        return "a job of one host has no servers" if self._role == "server" and no_servers else ""

    def strike(self, victim: Victim) -> Undo | None:
        """See Fault."""
        pids = victim.one(self._role)
        send(pids, self._number)
        return _nothing if pids else None


class KillSampler(Fault):
    """SIGKILL to a sampler process of a trainer."""

    name = "sampler killed"

    def why_not(self, pipeline: Pipeline) -> str:
        """See Fault."""
        return "" if pipeline.train.workers else "train.workers: 0 has no sampler processes"

    def strike(self, victim: Victim) -> Undo | None:
        """See Fault."""
        deadline = time.monotonic() + _SAMPLER_SECONDS
        while time.monotonic() < deadline and victim.job.ended() is None:
            for trainer in victim.one("trainer"):
                if pids := helpers(trainer):
                    send(pids[:1], signal.SIGKILL)
                    return _nothing
            time.sleep(0.01)
        return None


class KillLauncher(Fault):
    """SIGKILL to the launcher, as when a machine's memory runs out; the same command is given again."""

    name = "launcher killed"

    def strike(self, victim: Victim) -> Undo | None:
        """See Fault."""
        send([victim.job.pid], signal.SIGKILL)
        return _nothing


class Pause(Fault):
    """SIGSTOP to a trainer or server, and SIGCONT after a while."""

    name, seconds = "process frozen for a while", PAUSE_SECONDS

    def strike(self, victim: Victim) -> Undo | None:
        """See Fault."""
        pids = victim.rng.choice([victim.pids("trainer"), victim.pids("server") or victim.pids("trainer")])[:1]
        send(pids, signal.SIGSTOP)
        return (lambda: send(pids, signal.SIGCONT)) if pids else None


class NetworkTrouble(Fault):
    """Packets between the processes are lost, or late, for a while."""

    seconds = PAUSE_SECONDS

    def __init__(self, name: str, what: Sequence[str]) -> None:
        self.name, self._what = name, what

    def why_not(self, pipeline: Pipeline) -> str:
        """See Fault."""
        return why_no_trouble()

    def strike(self, victim: Victim) -> Undo | None:
        """See Fault."""
        machine = victim.machine
        if machine is None:
            return None
        machine.trouble(*self._what)
        return machine.trouble


class NetworkGone(Fault):
    """No packet comes through for a while."""

    name, seconds = "network away", PAUSE_SECONDS

    def why_not(self, pipeline: Pipeline) -> str:
        """See Fault."""
        return why_no_machine()

    def strike(self, victim: Victim) -> Undo | None:
        """See Fault."""
        machine = victim.machine
        if machine is None:
            return None
        machine.unplug()
        return machine.plug


class FullDisk(Fault):
    """The disk of the output folder is full until the job has ended, or a while has passed."""

    name, seconds = "disk full", 6 * PAUSE_SECONDS

    def why_not(self, pipeline: Pipeline) -> str:
        """See Fault."""
        return why_no_disk()

    def strike(self, victim: Victim) -> Undo | None:
        """See Fault."""
        filler = fill(victim.disk)
        return lambda: filler.unlink(missing_ok=True)


class FullMemory(Fault):
    """Shared memory is full, and then a trainer is killed, so that the job must start again without room."""

    name, seconds = "shared memory full", 6 * PAUSE_SECONDS

    def why_not(self, pipeline: Pipeline) -> str:
        """See Fault."""
        return why_no_disk()

    def strike(self, victim: Victim) -> Undo | None:
        """See Fault."""
        filler = fill(victim.memory)
        send(victim.one("trainer"), signal.SIGKILL)
        return lambda: filler.unlink(missing_ok=True)


FAULTS: Sequence[Fault] = (
    Kill("trainer killed", "trainer"),
    Kill("server killed", "server"),
    KillSampler(),
    KillLauncher(),
    Pause(),
    Kill("trainer frozen for good", "trainer", signal.SIGSTOP),
    Kill("trainer deadlocked with the GIL", "trainer", HOLD_GIL),
    NetworkGone(),
    NetworkTrouble("packets lost", ("loss", "5%")),
    NetworkTrouble("packets late", ("delay", "50ms", "20ms")),
    FullDisk(),
    FullMemory(),
)
