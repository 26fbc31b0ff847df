"""Runs that share a cache: the second waits for the first, and damaged results in it are not taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from graphstorm_like.config import Pipeline
from graphstorm_like.files import exclusive
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.training.strategies.plan import phase_plan

from .test_strategies import train


def held(lock: Path, seconds: float) -> threading.Thread:
    """A thread that holds a lock, as another run would."""
    taken = threading.Event()

    def hold() -> None:
        with exclusive(lock, "training this phase"):
            taken.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    return thread


def test_the_second_run_waits_and_a_damaged_phase_is_trained_again(
    configured: Callable[..., Pipeline], capfd: pytest.CaptureFixture[str]
) -> None:
    pipeline = configured("staged", "train.lm.epochs=1", "train.epochs=1")
    train(pipeline, "construct")
    first, _ = phase_plan(pipeline, Path(pipeline.output) / "train", read_manifest(str(pipeline.graph.path)))
    thread = held(first.lock, 1.0)
    lines = train(pipeline)
    thread.join()
    assert any(line.startswith("waiting for process ") and "is training this phase" in line for line in lines)
    assert (first.cached / "phase.json").is_file()

    weights = first.cached / "best" / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    other = configured("staged", "train.lm.epochs=1", "train.epochs=1", output="second")
    lines = train(other)
    assert any(line.startswith("phase lm is trained again: ") and "model.safetensors" in line for line in lines)
    assert weights.read_bytes() == before

    (vectors,) = Path(pipeline.cache).glob("vectors-*.lock")
    (vectors.with_suffix("") / "meta.json").unlink()
    for note in Path(pipeline.cache).glob("known-*.json"):
        note.unlink()
    thread = held(vectors, 1.0)
    train(configured("staged", "train.lm.epochs=1", "train.epochs=2", output="third"))
    thread.join()
    assert "waiting for process " in capfd.readouterr().err
