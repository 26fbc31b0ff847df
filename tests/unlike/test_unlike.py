"""From tables to results on graphs that have little in common: what holds for one must hold for all."""

from __future__ import annotations

import json
import math
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from gconstruct.partition import partition_graph
from graphstorm_like.cli.main import app
from graphstorm_like.config import Pipeline
from graphstorm_like.deploy.model import Model
from graphstorm_like.deploy.pack import pack
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.process import GSL
from graphstorm_like.launch.show.batch import show_batch
from graphstorm_like.launch.show.graph import show_graph
from graphstorm_like.launch.show.plan import show_plan
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.reports.write import write_report
from graphstorm_like.testing import ranks
from graphstorm_like.training.tracking import read_metrics
from graphstorm_like.training.trainer import Trainer
from tests.gconstruct.partitioning import assert_same_graph
from tests.gconstruct.report.pages import assert_safe
from tests.unlike.conftest import Case

QUIET = Reporter(quiet=True)
ON_TRAINERS = ("odd_types", "tiny", "texts", "parallel_labels", "links_within")
ON_HOSTS = (*ON_TRAINERS, "structure", "many_relations", "cycle", "outliers", "numbers")
"""The others bring nothing that these have not."""


def losses(pipeline: Pipeline) -> list[float]:
    """Of every step."""
    return [record["loss"] for record in read_metrics(Path(pipeline.output) / "train") if record["kind"] == "train"]


def results(pipeline: Pipeline, name: str) -> Any:
    return pq.read_table(Path(pipeline.output) / "infer" / name)


# -------------------------------------------------------------------------------------------------------- one process


def test_scores_are_finite_and_beat_a_trivial_answer(case: Case) -> None:
    scores = read_scores(case.pipeline("run"))
    assert set(scores) == {"valid", "test"}
    for metrics in scores.values():
        assert all(math.isfinite(value) for value in metrics.values())
    reached, trivial = scores["test"][case.unlike.metric], case.unlike.trivial
    if trivial is not None:
        assert reached < trivial if case.unlike.metric == "rmse" else reached > trivial


def check_ids(case: Case, pipeline: Pipeline) -> None:
    """Every node has one embedding under the user's own id, of the user's type; so have predictions."""
    for node_type, ids in case.unlike.ids.items():
        table = results(pipeline, f"embeddings/{node_type}")
        assert Counter(table.column("id").to_pylist()) == Counter(ids)
        assert np.isfinite(np.stack(table.column("embedding").to_numpy())).all()
    found, task = results(pipeline, "predictions"), pipeline.task
    if isinstance(task.row_type, str):
        assert Counter(found.column("id").to_pylist()) == Counter(case.unlike.ids[task.row_type])
        return
    edges = pq.read_table(case.folder / "tables" / f"edges-{task.row_type[1]}.parquet")
    source, target = (found.column(name).to_pylist() for name in ("source", "target"))
    if task.type == "edge_classification":
        wanted = Counter(zip(edges.column("source").to_pylist(), edges.column("target").to_pylist()))
        assert Counter(zip(source, target)) == wanted
        assert len(set(zip(source, target, found.column("parallel").to_pylist()))) == len(edges)
        same = found.column("prediction").to_pylist(), found.column("label").to_pylist()
        assert np.mean([a == b for a, b in zip(*same)]) > 0.9
        return
    known = case.unlike.ids[task.row_type[0]]
    assert set(source) == set(known)
    assert set(target) <= set(known)


def test_ids_come_back(case: Case) -> None:
    check_ids(case, case.pipeline("run"))


def test_a_packed_model_gives_the_same_results(case: Case, tmp_path: Path) -> None:
    pipeline = case.pipeline("run")
    with Model.load(pack(pipeline.output, tmp_path / "model")).open(str(pipeline.graph.path), sweep=True) as applied:
        found, wanted = applied.predict(), results(pipeline, "predictions")
        assert found.schema == wanted.schema
        node_type = next(iter(case.unlike.ids))
        some = case.unlike.ids[node_type][::7]
        vectors = applied.embed(node_type, some)
    for name in {"id", "source", "target", "parallel", "rank", "label", "split"} & {*wanted.schema.names}:
        assert found[name].equals(wanted[name]), name
    for name in {"probability", "score"} & {*wanted.schema.names}:
        np.testing.assert_allclose(found[name].to_numpy(), wanted[name].to_numpy(), atol=1e-5)
    assert vectors["id"].to_pylist() == some
    whole = results(pipeline, f"embeddings/{node_type}")
    by_id = dict(zip(whole["id"].to_pylist(), whole["embedding"].to_pylist(), strict=True))
    np.testing.assert_allclose(np.stack(vectors["embedding"].to_pylist()), [by_id[i] for i in some], atol=1e-4)


def test_the_report_fits_the_run(case: Case) -> None:
    """Odd ids, texts and numbers are shown as they are, cut, and the exported predictions give the scores."""
    folder = RunFolder(case.pipeline("run").output)
    text = write_report(folder).read_text(encoding="utf-8")
    assert_safe(text)
    assert len(text) < 400_000
    found = folder.report()
    assert found["notes"] == []
    assert found["looked_at"] == "test"
    assert all(found["baselines"].values())


def test_a_second_run_is_up_to_date_and_can_be_shown(case: Case, tmp_path: Path) -> None:
    pipeline = case.pipeline("run")
    file = tmp_path / "p.yaml"
    data = {**pipeline.model_dump(mode="json"), "launch": {"threads": 1}}
    file.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    done = CliRunner().invoke(app, ["run", str(file)])
    assert done.exit_code == 0, done.output
    said = [line for line in done.output.splitlines() if not line.endswith("checking files ...")]  # it took long
    assert [line.split(" (")[0] for line in said[:4]] == [
        f"{stage}: up to date" for stage in ("construct", "train", "evaluate", "infer")
    ]
    assert "\n".join(show_plan(pipeline, str(file))).count("up to date") == 4
    shown = "\n".join(show_graph(str(pipeline.graph.path)))
    batch = "\n".join(show_batch(pipeline, QUIET))
    for node_type in case.unlike.ids:
        assert f"\n{node_type} " in shown
    assert "forward and backward" in batch


class Killed(Exception):  # noqa: N818
    """Stands for a kill."""


def test_a_killed_training_goes_on_as_if_nothing_had_been(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = case.pipeline("run"), case.pipeline("broken")
    steps, check = len(losses(whole)), Trainer.check_finite

    def killed(self: Trainer, loss: float, norm: float) -> None:
        if self.state.updates == steps // 2:
            raise Killed
        check(self, loss, norm)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "check_finite", killed)
        with pytest.raises(Killed):
            run_pipeline(broken, ["train"], reporter=QUIET)
    run_pipeline(broken, ["train"], reporter=QUIET)
    assert losses(broken) == losses(whole)
    one, two = (Path(p.output) / "train" / "best" / "model.safetensors" for p in (whole, broken))
    assert one.read_bytes() == two.read_bytes()


def test_partitions_hold_the_same_graph(case: Case, tmp_path: Path) -> None:
    whole = case.folder / "graph"
    partition_graph(whole, tmp_path / "three", 3)
    assert_same_graph(whole, tmp_path / "three", 3)
    partition_graph(whole, tmp_path / "one", 1)
    assert read_manifest(tmp_path / "one").hashes == read_manifest(whole).hashes


def test_csv_and_parquet_make_the_same_graph(write_case: Any) -> None:
    hashes = []
    for name in ("csv_files", "parquet_files"):
        pipeline = write_case(name).pipeline("run")
        run_pipeline(pipeline, ["construct"], reporter=QUIET)
        hashes.append(read_manifest(str(pipeline.graph.path)).hashes)
    assert hashes[0] == hashes[1]


# -------------------------------------------------------------------------------------------------- several processes


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize(
    ("case", "hosts", "trainers"),
    [(name, 1, 2) for name in ON_TRAINERS] + [(name, 2, 1) for name in ON_HOSTS],
    indirect=["case"],
)
def test_processes_take_the_steps_of_one(case: Case, hosts: int, trainers: int) -> None:
    """With as many partitions as hosts: they number nodes, and so make batches, in another order."""
    one = case.pipeline("run")
    if hosts > 1:
        one = case.pipeline("run-partitioned", "partitioned", hosts)
        run_pipeline(one, ["construct", "train", "evaluate", "infer"], reporter=QUIET)
    graph = Path(str(one.graph.path)).name
    many = case.pipeline(f"run-{hosts}-{trainers}", graph, hosts)
    ranks.run_stages(many, ["train", "evaluate", "infer"], hosts, trainers)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-3, atol=1e-5)
    for split, metrics in read_scores(one).items():
        assert read_scores(many)[split] == pytest.approx(metrics, rel=1e-3, abs=0.01)  # a near tie of ranks
    check_ids(case, many)


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("layout", [{"trainers": 2}, {"hosts": 2}])
def test_gsl_run_of_node_types_against_the_alphabet(write_case: Any, layout: dict[str, int]) -> None:
    """Processes read the pipeline from JSON. They, and a second run, find the graph to be of the present tables."""
    case: Case = write_case("odd_types")
    pipeline = case.pipeline("run", "graph", layout.get("hosts", 1), **layout)
    types = list(pipeline.graph.nodes)
    assert types == sorted(types, reverse=True)
    data = {**pipeline.model_dump(mode="json"), "launch": {"threads": 1, **layout}}
    file = case.folder / "pipeline.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    for expected in ("infer: done", "infer: up to date"):
        done = subprocess.run([*GSL, "run", str(file)], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert expected in done.stdout
    assert read_scores(pipeline)["test"]["accuracy"] > 0.7
    assert json.loads((case.folder / "run" / "launch" / "pipeline.json").read_text())["name"] == "unlike"
    check_ids(case, pipeline)
