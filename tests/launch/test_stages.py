"""One command from tables to results; a second one skips; a changed configuration loses nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphstorm_like.config import build_pipeline, load_pipeline
from graphstorm_like.errors import ConfigError, TrainingError
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.fingerprints import stage_fingerprint
from graphstorm_like.launch.show.batch import show_batch
from graphstorm_like.launch.show.graph import show_graph
from graphstorm_like.launch.show.plan import show_plan
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.launch.state import is_done
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import shop_pipeline, write_shop_pipeline


class Lines(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def line(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize(
    "task",
    [
        "node_classification",
        *(pytest.param(task, marks=pytest.mark.slow) for task in ("link_prediction", "edge_classification")),
        pytest.param("graph_pretraining", marks=pytest.mark.slow),
    ],
)
def test_run_then_skip_then_change(tmp_path: Path, task: str) -> None:
    yaml = write_shop_pipeline(tmp_path, task)
    pipeline = load_pipeline(yaml, ["train.epochs=2"])
    run_pipeline(pipeline, reporter=Lines())
    scores = read_scores(pipeline)
    assert set(scores) == {"valid", "test"}
    out = tmp_path / "run"
    assert pq.read_table(out / "infer" / "embeddings" / "item").num_rows == 240
    assert json.loads((out / "train" / "best" / "config.json").read_text())["train"]["epochs"] == 2
    assert json.loads((out / "train" / "versions.json").read_text())["torch"]

    def times() -> dict[Path, int]:
        return {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != ".gsl.lock"}

    before = times()

    again = Lines()
    run_pipeline(pipeline, reporter=again)
    assert [line.split(" (")[0] for line in again.said] == [
        f"{s}: up to date" for s in ("construct", "train", "evaluate", "infer")
    ]
    assert times() == before

    # Only inference changes: nothing else runs.
    wider = load_pipeline(yaml, ["train.epochs=2", "infer.dtype=float16"])
    assert [is_done(wider, s) for s in ("construct", "train", "infer")] == [True, True, False]

    # Another training: the old run is set aside, not overwritten.
    other, lines = load_pipeline(yaml, ["train.epochs=1"]), Lines()
    run_pipeline(other, reporter=lines)
    assert any("it is now train.1" in line for line in lines.said)
    assert json.loads((out / "train.1" / "done.json").read_text())["epochs"] == 2
    assert json.loads((out / "train" / "done.json").read_text())["epochs"] == 1


@pytest.mark.parametrize(("task", "rows"), [("node_regression", 240), ("edge_regression", None)])
def test_numbers_from_tables_to_results(tmp_path: Path, task: str, rows: int | None) -> None:
    pipeline, lines = load_pipeline(write_shop_pipeline(tmp_path, task), ["train.epochs=2"]), Lines()
    run_pipeline(pipeline, reporter=lines)
    scores = read_scores(pipeline)
    assert [(split, list(found)) for split, found in scores.items()] == [
        (split, ["rmse", "mae", "r2"]) for split in ("valid", "test")
    ]
    best = json.loads((tmp_path / "run" / "train" / "done.json").read_text())["best"]
    assert any(line.startswith(f"best validation rmse {best:.4f} in epoch ") for line in lines.said)
    if rows is None:
        rows = pq.read_table(tmp_path / "tables" / "similar.parquet").num_rows
    assert pq.read_table(tmp_path / "run" / "infer" / "predictions").num_rows == rows


def test_changed_tables_make_everything_stale(tmp_path: Path) -> None:
    pipeline = load_pipeline(write_shop_pipeline(tmp_path), ["train.epochs=1"])
    run_pipeline(pipeline, reporter=Lines())
    table = pq.read_table(tmp_path / "tables" / "item.parquet")
    prices = pa.array([float(i) for i in range(len(table))])
    pq.write_table(
        table.set_column(table.schema.get_field_index("price"), "price", prices), tmp_path / "tables" / "item.parquet"
    )
    assert not is_done(pipeline, "construct")
    run_pipeline(pipeline, ["construct"], reporter=Lines())
    assert is_done(pipeline, "construct")
    assert not is_done(pipeline, "train")


def test_text_to_results(tmp_path: Path) -> None:
    """The whole path with a (tiny) language model: text alone tells the classes apart."""
    pytest.importorskip("transformers")
    from graphstorm_like.testing.text import tiny_text_model

    model = tiny_text_model(tmp_path / "lm")
    yaml = write_shop_pipeline(tmp_path, text_model=str(model))
    common = ["train.epochs=10", "train.lr=0.02", "train.early_stop=null"]
    pipeline = load_pipeline(yaml, [*common, "model.gnn={type: none, hidden: 16}", "train.fanouts=[5]"])
    run_pipeline(pipeline, ["construct", "train", "evaluate"], reporter=Lines())
    assert read_scores(pipeline)["test"]["accuracy"] > 0.85
    # The cache is reused by another run of the same text and model.
    cached = sorted(p.name for p in (tmp_path / "run" / "cache").iterdir())
    with_graph = load_pipeline(yaml, common)
    run_pipeline(with_graph, ["train"], reporter=Lines())
    assert sorted(p.name for p in (tmp_path / "run" / "cache").iterdir()) == cached


def test_number_of_embedding_processes_makes_nothing_stale(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path, text_model="some/model")
    run_pipeline(load_pipeline(yaml), ["construct"], reporter=Lines())
    manifest = read_manifest(tmp_path / "run" / "graph")
    changes = ["model.text_encoder.workers=3", "model.text_encoder.long_texts=chunk"]
    plain, workers, chunk = (
        stage_fingerprint(load_pipeline(yaml, some), "train", manifest) for some in ([], changes[:1], changes[1:])
    )
    assert plain == workers != chunk


def test_stages_need_what_comes_before(tmp_path: Path) -> None:
    pipeline = load_pipeline(write_shop_pipeline(tmp_path))
    run_pipeline(pipeline, ["construct"], reporter=Lines())
    with pytest.raises(
        TrainingError, match=r"must hold a finished training of this configuration and graph\. Run: gsl train"
    ):
        run_pipeline(pipeline, ["infer"], reporter=Lines())
    with pytest.raises(ConfigError, match="unknown stage 'trian' .* Did you mean 'train'"):
        run_pipeline(pipeline, ["trian"], reporter=Lines())


def test_show(tmp_path: Path) -> None:
    pipeline = load_pipeline(write_shop_pipeline(tmp_path, "link_prediction"))
    assert any("to do" in line for line in show_plan(pipeline, "p.yaml"))
    run_pipeline(pipeline, ["construct"], reporter=Lines())
    text = "\n".join(show_graph(str(pipeline.graph.path)))
    assert "item:similar_rev:item" in text
    assert "3 classes: book, game, tool" in text
    pipeline = load_pipeline(tmp_path / "pipeline.yaml", ['model.edge_inputs={"item:similar:item": {}}'])
    batch = "\n".join(show_batch(pipeline, Lines()))
    assert re.search(r"item:similar:item: (\d+) edges into \d+ nodes; weight \(\1, 1\)\n", batch)
    assert re.search(r"item:similar_rev:item: \d+ edges into \d+ nodes\n", batch)
    for stage in ("LinkSeeder", "SampleNeighbors", "FetchFeatures", "forward", "backward"):
        assert stage in batch
    plan = "\n".join(show_plan(pipeline, "p.yaml"))
    assert plan.count("up to date") == 1
    assert "trainer: gsl run p.yaml" in plan


def test_show_of_edge_labels(tmp_path: Path) -> None:
    pipeline = load_pipeline(write_shop_pipeline(tmp_path, "edge_classification"))
    run_pipeline(pipeline, ["construct"], reporter=Lines())
    text = "\n".join(show_graph(str(pipeline.graph.path)))
    assert "label item:similar:item.trend: none" in text
    assert "2 classes: down, up" in text
    assert "similar_rev:item.trend" not in text
    batch = "\n".join(show_batch(pipeline, Lines()))
    assert "EdgeSeeder" in batch
    assert "edges: 32 of item:similar:item" in batch


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    from graphstorm_like.errors import DataError
    from graphstorm_like.files import exclusive

    pipeline = load_pipeline(write_shop_pipeline(tmp_path))
    with (
        exclusive(tmp_path / "run" / ".gsl.lock", "running"),
        pytest.raises(DataError, match="already running in this"),
    ):
        run_pipeline(pipeline, ["construct"], reporter=Lines())


def test_scores_belong_to_weights_not_to_a_configuration(tmp_path: Path) -> None:
    """A, then B, then A again: the scores and exports of B's weights are never taken for A's."""
    yaml = write_shop_pipeline(tmp_path)
    one, two = load_pipeline(yaml, ["train.epochs=2"]), load_pipeline(yaml, ["train.epochs=1"])
    run_pipeline(one, reporter=Lines())
    run_pipeline(two, ["train"], reporter=Lines())
    assert not is_done(two, "evaluate")
    (tmp_path / "run" / "train").rename(tmp_path / "run" / "two")
    run_pipeline(one, ["train"], reporter=Lines())
    assert is_done(one, "evaluate")  # the same bits again
    weights = tmp_path / "run" / "train" / "best" / "model.safetensors"
    weights.write_bytes((tmp_path / "run" / "two" / "best" / "model.safetensors").read_bytes())
    assert not is_done(one, "evaluate")
    assert not is_done(one, "infer")


def test_an_interrupted_stage_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import graphstorm_like.inference.export as module

    pipeline = load_pipeline(write_shop_pipeline(tmp_path), ["train.epochs=1"])
    run_pipeline(pipeline, reporter=Lines())

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "prediction_tables", fails)
    (tmp_path / "run" / "infer" / "done.json").unlink()
    with pytest.raises(ZeroDivisionError):
        run_pipeline(pipeline, ["infer"], reporter=Lines())
    assert not is_done(pipeline, "infer")
    assert pq.read_table(tmp_path / "run" / "infer" / "predictions").num_rows == 240  # the old results are still there


def test_one_stage_on_a_stale_graph_is_refused(tmp_path: Path) -> None:
    from graphstorm_like.errors import DataError

    yaml = write_shop_pipeline(tmp_path)
    run_pipeline(load_pipeline(yaml), ["construct"], reporter=Lines())
    changed = load_pipeline(yaml, ["graph.nodes.item.features.price.log1p=false"])
    with pytest.raises(DataError, match=r"graph: must be of the present tables .* Run: gsl construct"):
        run_pipeline(changed, ["train"], reporter=Lines())
    # Without its tables a graph folder is taken as it is: it may have been copied to another machine.
    (tmp_path / "tables" / "buys.parquet").rename(tmp_path / "away.parquet")
    lines = Lines()
    run_pipeline(load_pipeline(yaml, ["train.epochs=1"]), ["train"], reporter=lines)
    assert "the tables of the graph are not here: taking the graph folder as it is" in lines.said


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    from graphstorm_like.errors import DataError

    (tmp_path / "file").write_text("")
    pipeline = load_pipeline(write_shop_pipeline(tmp_path), [f"output={tmp_path}/file/run"])
    with pytest.raises(DataError, match="must be a folder that can be written to"):
        run_pipeline(pipeline, reporter=Lines())


def test_what_a_killed_run_left_is_cleaned_up(tmp_path: Path) -> None:
    pipeline = load_pipeline(write_shop_pipeline(tmp_path))
    for name in (".vectors-abc", ".writing-infer"):
        (tmp_path / "run" / name).mkdir(parents=True)
    run_pipeline(pipeline, ["construct"], reporter=Lines())
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.startswith((".vectors", ".writing"))]


def test_a_second_training_starts_from_seeded_weights(tmp_path: Path) -> None:
    from graphstorm_like.launch.stages import Runner

    pipeline = load_pipeline(write_shop_pipeline(tmp_path), ["train.epochs=2"])
    runner = Runner(pipeline, Lines(), fresh=True)
    runner.run(["construct", "train"])
    weights = tmp_path / "run" / "train" / "best" / "model.safetensors"
    first = weights.read_bytes()
    runner.trained()
    runner.run(["train"])
    assert weights.read_bytes() == first


def test_weights_that_were_deleted_are_named(tmp_path: Path) -> None:
    pipeline = load_pipeline(write_shop_pipeline(tmp_path), ["train.epochs=1"])
    run_pipeline(pipeline, ["construct", "train"], reporter=Lines())
    (tmp_path / "run" / "train" / "best" / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"model.safetensors: is missing, though training is finished\. .*--fresh"):
        run_pipeline(pipeline, ["evaluate"], reporter=Lines())


def test_a_pipeline_from_python_starts_at_the_working_directory(
    shop: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = shop_pipeline(shop[0], tmp_path / "run", "node_classification") | {"output": "run"}
    data["graph"]["path"] = str(shop[1])
    data["train"] = data["train"] | {"epochs": 1}
    pipeline = build_pipeline(data)
    run_pipeline(pipeline, ["train", "evaluate"], reporter=Reporter(quiet=True))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert set(read_scores(pipeline)) == {"valid", "test"}
