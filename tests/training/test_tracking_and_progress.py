"""The metrics file after a kill, and what long work says on no terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphstorm_like.progress as progress
from graphstorm_like.progress import Reporter, duration
from graphstorm_like.training.tracking import Tracker, read_metrics


def test_lines_behind_the_resume_point_are_cut(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path)
    for update in (1, 2, 3):
        tracker.log("train", update, loss=1.0 / update)
    (tmp_path / "metrics.jsonl").open("a").write('{"kind": "train", "upd')
    Tracker(tmp_path, resume_from=2).log("train", 3, loss=7.0)
    assert [(r["update"], r["loss"]) for r in read_metrics(tmp_path)] == [(1, 1.0), (2, 0.5), (3, 7.0)]


@pytest.mark.parametrize(("seconds", "text"), [(12, "12 s"), (245, "4 min 05 s"), (7380, "2 h 03 min")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines_have_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv(progress.LOG_SECONDS, "0")
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.0)
    reporter = Reporter(quiet=True)
    monkeypatch.setattr(reporter, "line", said.append)
    with reporter.meter("work", 100) as meter:
        meter.update(0)
        meter.update(50, "loss 1.0")
    assert said[-2].startswith("work: 50 % (")
    assert "left) loss 1.0" in said[-2]
    assert said[-1] == "work: ended after 0 s"
    follow = reporter.follow()
    follow("a", 10, 10)
    follow("b", 5, 10)
    assert any(line.startswith("b: 50 %") for line in said)


def test_a_log_gets_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work of ten minutes that reports every second, then a series of 20 quick epochs."""
    said: list[str] = []
    now = [0.0]
    monkeypatch.setenv(progress.LOG_SECONDS, "60")
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    reporter = Reporter(quiet=True)
    monkeypatch.setattr(reporter, "line", said.append)
    with reporter.meter("work", 600) as meter:
        for second in range(601):
            now[0] = float(second)
            meter.update(second)
    assert len(said) == 11  # after 10 s, 70 s, ... 550 s; and the end
    assert said[0].startswith("work: 2 % (1.0/s, 9 min 50 s left)")
    assert said[-1] == "work: ended after 10 min 00 s"
    with reporter.meter("quick", 5) as meter:
        meter.update(5)
    now[0], said[:] = 700.0, []
    for epoch in range(1, 21):
        now[0] += 6.0
        reporter.now_and_then(f"epoch {epoch}", always=epoch in (1, 20))
    assert said == ["epoch 1", "epoch 11", "epoch 20"]


def test_a_log_that_says_nothing_sensible_gets_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.LOG_SECONDS, "often")
    assert progress.line_seconds() == 60.0
