"""TensorBoard, read back by its own reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.trackers.tracked import track

pytest.importorskip("tensorboard")


@pytest.mark.known_answer("trackers/tensorboard")
def test_numbers_arrive_and_those_behind_a_resume_point_are_hidden(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert track(tmp_path, "tensorboard", range(1, 4)) == []
    assert track(tmp_path, "tensorboard", range(3, 5), resume_from=2) == []
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    scalars = [(event.step, round(event.value, 4)) for event in read.Scalars("valid/hits@10")]
    assert scalars == [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]
