"""Weights & Biases, offline: its file, read back by its own reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.training.trackers.tracked import track

pytest.importorskip("wandb")
pytestmark = pytest.mark.slow  # it starts a process of its own


def test_numbers_and_settings_are_in_the_file(tmp_path: Path) -> None:
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    assert track(tmp_path, "wandb", range(1, 4)) == []
    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    store = DataStore()
    store.open_for_scan(str(file))
    history, settings = [], {}
    while data := store.scan_data():
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        history += [(items["_step"], items["valid/hits@10"])] if items else []
        settings |= {update.key: json.loads(update.value_json) for update in record.run.config.update}
    assert history == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert settings["train"] == {"lr": 0.01, "epochs": 3}
    run_id = json.loads((tmp_path / "wandb-run.json").read_text())["id"]
    assert file.name == f"run-{run_id}.wandb"
    assert list((tmp_path / "wandb").glob("offline-run-*/files/*")) == [], "neither code nor packages"
