"""One job writes at a time; one that vanished is replaced, and learns of it should it come back."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from graphstorm_like.errors import StoreError
from graphstorm_like.mirror import lock as lock_module
from graphstorm_like.mirror.lock import LOCK, StoreLock, locked
from graphstorm_like.mirror.transfer import Store

from .stores import memory


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lock_module, "STALE_SECONDS", 60.0)
    monkeypatch.setattr(lock_module, "SETTLE_SECONDS", 0.0)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Store:
    return memory(f"lock-{request.node.name}")


def taken(store: Store, say: Any = lambda _: None) -> StoreLock:
    lock = StoreLock(store)
    lock.acquire(say)
    return lock


def test_the_second_is_refused_and_told_by_whom(store: Store) -> None:
    said: list[str] = []
    with (
        locked(store, said.append) as first,
        pytest.raises(StoreError, match=r"must be written by one job at a time \(held by process \d+ on .* alive\)"),
    ):
        taken(store, said.append)
    first_lines = [line for line in said if "waiting for a sign of life" in line]
    assert len(first_lines) == 1
    assert store.read(LOCK) is None, "given back"
    with locked(store, said.append) as second:
        assert second.mark != first.mark
        assert list(store.listing("")) == [LOCK], "no probes are left"


def test_a_holder_that_vanished_is_replaced(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another machine: nobody can ask whether its process lives."""
    monkeypatch.setattr(lock_module, "STALE_SECONDS", 0.3)
    gone = taken(store)
    gone._stopped.set()
    gone._beating.join()
    holder = json.loads(store.read(LOCK) or b"")
    store.write(LOCK, json.dumps({**holder, "process": ["another machine", 1]}).encode())
    said: list[str] = []
    with locked(store, said.append):
        assert "is silent: taking over" in said[-1]
        with pytest.raises(StoreError, match="must be held by this job until it ends"):
            gone.check()
        gone.release()
        assert store.read(LOCK) is not None, "it is not its own any longer"


def test_a_dead_process_of_this_machine_is_not_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    monkeypatch.setattr(lock_module, "STALE_SECONDS", 1000.0)
    store.write(LOCK, json.dumps({"mark": "m", "process": [lock_module._processes_here(), child.pid]}).encode())
    taken(store).release()


def test_a_lock_that_is_given_back_meanwhile(store: Store) -> None:
    first = taken(store)
    threading.Timer(0.1, first.release).start()
    lock = StoreLock(store)
    lock.acquire(lambda _: None, wait=5.0)
    lock.check()
    lock.release()


@pytest.mark.aws
def test_s3(s3: Any) -> None:
    """A conditional write, and the age by the clock of the store, whose seconds are whole."""
    store = Store("s3://bucket/run")
    with locked(store, print) as lock:
        assert lock.md5_etags
        assert not store.create(LOCK, b"{}")
        with pytest.raises(StoreError, match="one job at a time"):
            taken(store)
    assert store.listing("") == {}
