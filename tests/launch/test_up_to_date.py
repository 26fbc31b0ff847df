"""A stage is up to date when all that it depends on is, and its results are whole; no training is lost to a typo."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.errors import ConfigError, DataError, GslError, TrainingError
from graphstorm_like.launch.show.plan import show_plan
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.launch.state import STAGES, is_done, stage_problem
from graphstorm_like.testing.graphs import write_shop_pipeline

from .test_stages import Lines


def run(pipeline: Pipeline, *stages: str, fresh: bool = False) -> list[str]:
    lines = Lines()
    run_pipeline(pipeline, stages or STAGES, fresh=fresh, reporter=lines)
    return lines.said


def state(pipeline: Pipeline) -> list[bool]:
    return [is_done(pipeline, stage) for stage in STAGES]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended, one epoch long."""
    folder = tmp_path_factory.mktemp("finished")
    run(load_pipeline(write_shop_pipeline(folder), ["train.epochs=1", f"output={folder}/run"]))
    return folder


@pytest.fixture(scope="module")
def folder_and_copy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run, tables included, and a copy of its folder as it was when the run ended."""
    folder, copy = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("copy") / "shop"
    write_shop_pipeline(folder)
    run(of(folder))
    shutil.copytree(folder, copy)
    return folder, copy


@pytest.fixture
def shop_run(folder_and_copy: tuple[Path, Path]) -> Path:
    """A run, tables included, for the test to change: the same folder as it was when the run ended."""
    folder, copy = folder_and_copy
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    return folder


def of(folder: Path, *overrides: str) -> Pipeline:
    return load_pipeline(folder / "pipeline.yaml", ["train.epochs=1", f"output={folder}/run", *overrides])


def change_table(folder: Path) -> None:
    path = folder / "tables" / "item.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, len(table)), path, compression="none")


def test_nothing_is_up_to_date_when_the_tables_have_changed(shop_run: Path) -> None:
    assert state(of(shop_run)) == [True] * 4
    change_table(shop_run)
    assert state(of(shop_run)) == [False] * 4
    assert "up to date" not in "\n".join(show_plan(of(shop_run), "p.yaml"))
    for stage in ("train", "evaluate", "infer"):
        with pytest.raises(DataError, match=r"must be of the present tables .*Run: gsl construct"):
            run(of(shop_run), stage)


def test_without_tables_results_stay_up_to_date(shop_run: Path) -> None:
    (shop_run / "tables" / "item.parquet").unlink()
    assert state(of(shop_run)) == [False, True, True, True]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [Path.unlink, cut, flip])
@pytest.mark.parametrize(
    ("pattern", "stale"),
    [
        ("graph/part-0/nodes/*.arrow", [0, 1, 2, 3]),
        ("train/best/model.safetensors", [1, 2, 3]),
        ("train/best/config.json", [1, 2, 3]),
        ("evaluate/metrics.json", [2]),
        ("infer/embeddings/item/*.parquet", [3]),
        ("infer/manifest.json", [3]),
    ],
)
def test_results_that_were_deleted_or_damaged(
    shop_run: Path, pattern: str, stale: list[int], damage: Callable[[Path], object]
) -> None:
    pipeline = of(shop_run)
    (path, *_) = sorted((shop_run / "run").glob(pattern))
    damage(path)
    assert [i for i, done in enumerate(state(pipeline)) if not done] == stale
    problem = stage_problem(pipeline, STAGES[stale[0]])
    if stale[0] != 1:
        run(pipeline)  # made again
        assert state(pipeline) == [True] * 4
        return
    assert problem is not None
    assert str(path) in problem.text
    for stage in ("train", "evaluate"):  # hours of work are not spent without being asked for
        with pytest.raises(TrainingError, match=rf"{path.name}: .*--fresh"):
            run(pipeline, stage)
    run(pipeline, "train", fresh=True)
    assert state(pipeline) == [True] * 4  # the same bits


@pytest.mark.parametrize("content", ["[1]", "3", '"x"', "{}", '{"fingerprint": 3, "files": [1]}', "{"])
@pytest.mark.parametrize(
    "name",
    [
        "graph/graph.json",
        "train/done.json",
        "train/fingerprint.json",
        "train/best/hashes.json",
        "train/best/text_models.json",
        "evaluate/done.json",
        "evaluate/metrics.json",
        "infer/done.json",
        "infer/manifest.json",
    ],
)
def test_json_of_another_shape_ends_in_no_traceback(finished: Path, tmp_path: Path, name: str, content: str) -> None:
    """Messages or a run that goes on; an AttributeError would fail the test."""
    target = tmp_path / "copy"
    shutil.copytree(finished, target)
    (target / "run" / name).write_text(content)
    pipeline = of(target)
    list(show_plan(pipeline, "p.yaml"))
    state(pipeline)
    for action in (lambda: run(pipeline, "evaluate"), lambda: read_scores(pipeline)):
        with suppress(GslError):
            action()


def test_a_typo_moves_nothing(shop_run: Path) -> None:
    before = json.loads((shop_run / "run" / "train" / "done.json").read_text())
    wrong = {
        "model.text_encoder={name: /no/such/folder}": ConfigError,
        "model.inputs={item: {features: [prise]}}": GslError,
    }
    for override, error in wrong.items():
        with pytest.raises(error):
            run(of(shop_run, override))
        assert json.loads((shop_run / "run" / "train" / "done.json").read_text()) == before
        assert not (shop_run / "run" / "train.1").exists()


def test_a_training_that_fails_at_its_start_gives_the_folder_back(
    shop_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphstorm_like.training.trainer import Trainer

    def fails(_: object) -> None:
        raise TrainingError("no good")

    before = json.loads((shop_run / "run" / "train" / "done.json").read_text())
    lines = Lines()
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", fails)
        with pytest.raises(TrainingError, match="no good"):
            run_pipeline(of(shop_run, "train.lr=0.1"), reporter=lines)
    assert any("nothing was trained: train.1 is train again" in line for line in lines.said)
    assert json.loads((shop_run / "run" / "train" / "done.json").read_text()) == before
    assert not (shop_run / "run" / "train.1").exists()
    assert state(of(shop_run)) == [True] * 4


def test_an_earlier_configuration_finds_its_run(shop_run: Path) -> None:
    out = shop_run / "run"
    weights = (out / "train" / "best" / "model.safetensors").read_bytes()
    run(of(shop_run, "train.lr=0.1"))
    assert (out / "train.1" / "best" / "model.safetensors").read_bytes() == weights
    assert any("to take from train.1" in line for line in show_plan(of(shop_run), "p.yaml"))
    lines = run(of(shop_run))
    assert (
        f"{out}/train.1 holds a training of this configuration: it is train again, and what was there is train.2"
        in lines
    )
    assert any(line.startswith("train: up to date") for line in lines)
    assert (out / "train" / "best" / "model.safetensors").read_bytes() == weights
    assert state(of(shop_run)) == [True] * 4
    assert run(of(shop_run, "train.lr=0.1"), "evaluate")[0].startswith(f"{out}/train.2 holds a training")


def test_a_kill_between_the_two_renames_loses_nothing(shop_run: Path) -> None:
    out = shop_run / "run"
    (out / "train").rename(out / "train.3")
    assert any("is train again" in line for line in run(of(shop_run), "train"))
    assert state(of(shop_run)) == [True] * 4
