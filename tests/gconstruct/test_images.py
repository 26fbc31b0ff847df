"""Images of node tables: bytes or paths -> pixels in the graph folder."""

from __future__ import annotations

import io
import time
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gconstruct import build_graph
from gconstruct.encoding import images
from gconstruct.partition import partition_graph
from gconstruct.problems import Problems
from gconstruct.spill.ordered import ordered_map
from gconstruct.tables.plan import plan_tables
from gconstruct.tables.read import read_table
from graphstorm_like.config.graph import GraphConfig, ImageConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph


def picture(
    colour: tuple[int, int, int], size: tuple[int, int] = (8, 4), kind: str = "PNG", mode: str = "RGB"
) -> bytes:
    """size: (width, height)."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(out, kind)
    return out.getvalue()


def config(folder: Path, column: pa.Array, **image: object) -> GraphConfig:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": [f"n{i}" for i in range(len(column))], "photo": column}), folder / "node.parquet")
    node = {"files": "node.parquet", "id": "id", "image": {"photo": {"column": "photo", "size": [4, 8], **image}}}
    data: dict[str, Any] = {"path": str(folder / "graph"), "base": str(folder), "nodes": {"node": node}}
    return GraphConfig.model_validate(data)


def read(folder: Path) -> np.ndarray:
    graph = LocalGraph(folder)
    count = graph.manifest.node("node").count
    return graph.begin_pixels("node", "photo", np.arange(count)).wait().reshape(count, 4, 8, 3)


def test_bytes(tmp_path: Path) -> None:
    exact = np.random.default_rng(0).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(exact).save(out, "PNG")
    rows = [
        out.getvalue(),
        picture((255, 0, 0), (16, 9), "JPEG"),
        picture((10, 20, 30), mode="RGBA"),
        picture((7, 7, 7), mode="L"),
    ]
    manifest = build_graph(config(tmp_path, pa.array(rows, pa.binary())))
    schema = manifest.node("node").image["photo"]
    assert (schema.height, schema.width) == (4, 8)
    pixels = read(tmp_path / "graph")
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[0], exact)
    assert np.abs(pixels[1].astype(int) - [254, 0, 0]).max() <= 3
    assert (pixels[2] == [10, 20, 30]).all()
    assert (pixels[3] == 7).all()


def test_paths_from_base(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/red.png").write_bytes(picture((255, 0, 0)))
    (tmp_path / "photos/blue.jpg").write_bytes(picture((0, 0, 255), kind="JPEG"))
    build_graph(config(tmp_path, pa.array(["photos/red.png", str(tmp_path / "photos/blue.jpg")])))
    assert read(tmp_path / "graph")[:, 0, 0].argmax(axis=1).tolist() == [0, 2]


def test_rows_keep_their_images_when_partitioned(tmp_path: Path) -> None:
    rows = [picture((10 * i, 0, 0)) for i in range(20)]
    build_graph(config(tmp_path, pa.array(rows, pa.large_binary())))
    partition_graph(tmp_path / "graph", tmp_path / "two", 2)
    graph = LocalGraph(tmp_path / "two")
    numbers = [int(name[1:]) for name in graph.ids("node").to_pylist()]
    assert sorted(numbers) == list(range(20))
    assert (read(tmp_path / "two")[:, 0, 0, 0] == 10 * np.array(numbers)).all()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [picture((0, 0, 0)), b"no image"],
            r"node.parquet row 2: column 'photo' must be an image of format PNG or JPEG \(got 8 bytes: cannot identify",
        ),
        (
            [picture((200, 9, 9), (640, 480), "JPEG")[:1500]],
            r"row 1: column 'photo' must be an image of format PNG or JPEG \(got 1,500 bytes: image file is truncated",
        ),
        ([picture((0, 0, 0), kind="GIF")], r"row 1: column 'photo' must be an image of format PNG or JPEG"),
        ([b""], r"row 1: column 'photo' must be an image of format PNG or JPEG \(got 0 bytes"),
        (
            [picture((0, 0, 0)), None],
            r"row 2: column 'photo' must be an image \(set graph.nodes.node.image.photo.missing: zero .*\(got null\)",
        ),
        (
            ["missing.png"],
            r"row 1: column 'photo' must be the path of a file that can be read, .* \(got 'missing.png': No such file",
        ),
        (
            ["node.parquet"],
            r"row 1: column 'photo' must be an image of format PNG or JPEG \(got 'node.parquet': ",
        ),
        ([5], r"node.parquet: column 'photo' must hold bytes of images, or paths of files \(got int64\)"),
    ],
)
def test_bad_images(tmp_path: Path, rows: list[object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        build_graph(config(tmp_path, pa.array(rows)))
    assert not (tmp_path / "graph").exists()


def test_missing_images_may_be_black(tmp_path: Path) -> None:
    build_graph(config(tmp_path, pa.array([None, picture((9, 9, 9))], pa.binary()), missing="zero"))
    assert read(tmp_path / "graph").mean(axis=(1, 2, 3)).tolist() == [0, 9]


def test_graphs_without_images_keep_their_fingerprint(tmp_path: Path) -> None:
    """Graph folders of before there were images are up to date still."""
    from gconstruct import construction as build

    own = config(tmp_path, pa.array([picture((0, 0, 0))]))
    node = own.nodes["node"].model_copy(update={"image": {}})
    hashed: list[dict[str, Any]] = []
    original = build.hash_facts
    try:
        build.hash_facts = lambda facts: hashed.append(facts) or original(facts)  # type: ignore[assignment, func-returns-value]
        build.fingerprint(own.model_copy(update={"nodes": {"node": node}}))
        build.fingerprint(own)
    finally:
        build.hash_facts = original
    assert ["image" in facts["config"]["nodes"]["node"] for facts in hashed] == [False, True]


def test_no_more_images_are_decoded_at_once_than_there_are_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces of a table are encoded in several threads."""
    lock, now, most = Lock(), 0, 0
    convert = Image.Image.convert

    def slowly(image: Image.Image, *args: Any, **options: Any) -> Image.Image:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return convert(image, *args, **options)

    column = pa.array([picture((i, 0, 0)) for i in range(12)], pa.large_binary())
    problems = Problems()
    plan = plan_tables(config(tmp_path, column), problems)[0]["node"]
    table = read_table(plan, problems)
    assert table is not None
    source = table.source("photo", "graph.nodes.node.image.photo", problems)
    monkeypatch.setattr(Image.Image, "convert", slowly)
    monkeypatch.setattr(images, "_POOLS", {})
    monkeypatch.setattr(images, "cores", lambda: 3)
    image = ImageConfig(column="photo", size=[4, 8])
    encoded = list(ordered_map(lambda _: images.encode_image(image, source, "."), range(6), 3))
    assert most == 3
    assert all(pixels is not None and pixels[:, 0].tolist() == list(range(12)) for pixels in encoded)
