"""Images of nodes as inputs of the model: learnt from pixels alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from graphstorm_like.config import build_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch.launcher import launch
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 40, 210)}


def write_squares(folder: Path, count: int = 240) -> None:
    """Squares of a colour somewhere on grey noise; edges tell nothing."""
    rng, names = np.random.default_rng(0), list(COLOURS)
    photos, colours = [], rng.integers(3, size=count)
    for colour in colours:
        pixels = rng.integers(90, 160, (16, 16, 3), dtype=np.uint8)
        top, left = rng.integers(0, 10, size=2)
        pixels[top : top + 6, left : left + 6] = COLOURS[names[colour]]
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        photos.append(out.getvalue())
    folder.mkdir(exist_ok=True)
    splits = np.array(["train", "valid", "test"])[np.arange(count) % 3]
    table = {"id": [f"s{i}" for i in range(count)], "photo": photos, "colour": [names[c] for c in colours]}
    pq.write_table(pa.table({**table, "split": splits}), folder / "square.parquet")
    ends = rng.integers(count, size=(2, count))
    source, target = ([f"s{i}" for i in numbers] for numbers in ends)
    pq.write_table(pa.table({"source": source, "target": target}), folder / "e.parquet")


def squares(folder: Path, **changes: Any) -> dict[str, Any]:
    label = {"column": "colour", "split": {"column": "split"}}
    node = {
        "files": "square.parquet",
        "id": "id",
        "image": {"photo": {"column": "photo", "size": [16, 16]}},
        "labels": {"colour": label},
    }
    edge = {"source": "square", "relation": "near", "target": "square", "files": "e.parquet"}
    return {
        "output": str(folder / "run"),
        "graph": {"base": str(folder), "nodes": {"square": node}, "edges": [edge]},
        "model": {
            "image_encoder": {"type": "pixel_patch", "patch": 4, "width": 32},
            "gnn": {"type": "rgcn", "hidden": 32, "layers": 1, "dropout": 0.0},
        },
        "task": {"type": "node_classification", "node_type": "square", "label": "colour"},
        "train": {"epochs": 30, "batch_size": 40, "fanouts": [3], "lr": 0.005, "workers": 0},
        **changes,
    }


def pipeline(folder: Path, data: dict[str, Any]) -> Pipeline:
    return build_pipeline(data, plugins=True).with_absolute_paths(folder)


@pytest.mark.slow
@pytest.mark.parametrize("layers", [0, 1])
def test_colours_are_learnt_from_pixels_alone(tmp_path: Path, layers: int) -> None:
    write_squares(tmp_path)
    data = squares(tmp_path)
    data["model"]["image_encoder"]["layers"] = layers
    own = pipeline(tmp_path, data)
    run_pipeline(own, reporter=Reporter(quiet=True))
    assert read_scores(own)["test"]["accuracy"] > 0.95


def test_what_is_checked_before_anything_runs(tmp_path: Path) -> None:
    data = squares(tmp_path)
    del data["model"]["image_encoder"]
    data["model"]["inputs"] = {"square": {"image": ["foto"]}}
    with pytest.raises(ConfigError, match=r"model.inputs.square.image\[0\]: unknown image 'foto' .*photo"):
        pipeline(tmp_path, data)
    data["model"]["inputs"] = {}
    with pytest.raises(ConfigError, match=r"image_encoder: must be given, for the model reads the images of 'square'"):
        pipeline(tmp_path, data)
    data["model"]["image_encoder"] = {"type": "pixel_patch", "patch": 5}
    with pytest.raises(ConfigError, match=r"image.photo.size: must be multiples of .*patch, 5 \(got \[16, 16\]\)"):
        pipeline(tmp_path, data)
    data["model"]["inputs"] = {"square": {"image": []}}
    pipeline(tmp_path, data)


def test_an_image_encoder_of_the_users_own(tmp_path: Path) -> None:
    write_squares(tmp_path)
    data = squares(tmp_path, plugins=[str(Path(__file__).with_name("mean_colour.py"))])
    data["model"]["image_encoder"] = {"type": "mean_colour"}
    own = pipeline(tmp_path, data)
    run_pipeline(own, ["construct", "train", "evaluate"], reporter=Reporter(quiet=True))
    assert read_scores(own)["test"]["accuracy"] > 0.95


@pytest.mark.slow
@pytest.mark.dist
def test_two_partitions_and_two_ranks(tmp_path: Path) -> None:
    """Two simulated hosts, each with one of the partitions: pixels of the other's nodes come over the wire."""
    write_squares(tmp_path)
    data = squares(tmp_path, launch={"on": "local", "hosts": 2, "trainers": 1})
    data["graph"]["partitions"] = {"count": 2}
    own = pipeline(tmp_path, data)
    launch(own, ["construct", "train", "evaluate"], quiet=True)
    assert read_scores(own)["test"]["accuracy"] > 0.95
