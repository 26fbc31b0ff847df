"""Weights & Biases, offline: its file, read back by its own reader."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.training.trackers.tracked import track

pytest.importorskip("wandb")
pytestmark = pytest.mark.slow  # it starts a process of its own


def records(file: Path) -> Iterator[Any]:
    """The records of a small file: 7 bytes that name the format, then per record a checksum, its length, and 1."""
    from wandb.proto import wandb_internal_pb2

    data, at = file.read_bytes(), 7
    assert data[:4] == b":W&B"
    assert len(data) < 32_768, "within one block"
    while at + 7 <= len(data):
        _, length, whole = struct.unpack_from("<IHB", data, at)
        if at + 7 + length > len(data):
            return  # still being written
        assert whole == 1
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data[at + 7 : at + 7 + length])
        yield record
        at += 7 + length


@pytest.mark.known_answer("trackers/wandb")
def test_numbers_and_settings_are_in_the_file(tmp_path: Path) -> None:
    assert track(tmp_path, "wandb", range(1, 4)) == []
    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    deadline = time.monotonic() + 20
    while not any(record.WhichOneof("record_type") == "exit" for record in records(file)):
        assert time.monotonic() < deadline, "W&B's own process writes the end"
        time.sleep(0.05)
    history, settings = [], {}
    for record in records(file):
        items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        history += [(items["_step"], items["valid/hits@10"])] if items else []
        settings |= {update.key: json.loads(update.value_json) for update in record.run.config.update}
    assert history == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert settings["train"] == {"lr": 0.01, "epochs": 3}
    run_id = json.loads((tmp_path / "wandb-run.json").read_text())["id"]
    assert file.name == f"run-{run_id}.wandb"
    assert list((tmp_path / "wandb").glob("offline-run-*/files/*")) == [], "neither code nor packages"
