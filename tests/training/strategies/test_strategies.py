"""Every strategy from tables to scores; phases are reused, resumed bit for bit, and train what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.config.phases import JointPhase
from graphstorm_like.errors import ConfigError
from graphstorm_like.files import exclusive
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.stages import Runner, read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import EdgeTargets
from graphstorm_like.tasks import LabelTask
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.training.lm.build import build_joint_experiment, build_lm_experiment
from graphstorm_like.training.lm.learner import LmLearner
from graphstorm_like.training.phases.base import phase_pipeline
from graphstorm_like.training.strategies.plan import phase_plan
from graphstorm_like.training.tracking import read_metrics
from graphstorm_like.training.trainer import Trainer

from ...sampling.test_steps import SIMILAR, message_pairs

QUIET = Reporter(quiet=True)


class Lines(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def line(self, text: str) -> None:
        self.said.append(text)


def train(pipeline: Pipeline, *stages: str) -> list[str]:
    lines = Lines()
    run_pipeline(pipeline, stages or ("construct", "train"), reporter=lines)
    return lines.said


ALL = ("construct", "train", "evaluate", "infer")


@pytest.mark.parametrize("strategy", ["lm_only", "staged", "joint", "glem", "distill"])
def test_learns_classes(configured: Callable[..., Pipeline], strategy: str) -> None:
    pipeline = configured(strategy, "train.lm.epochs=4", "train.epochs=6")
    train(pipeline, *ALL)
    assert read_scores(pipeline)["test"]["accuracy"] > 0.75  # guessing gives .33
    best = Path(pipeline.output) / "train" / "best"
    tuned = TextEncoder.load(best / "lm" / "shared")  # a plain Hugging Face folder
    original = TextEncoder.load(pipeline.model.text_encoders()["*"].name)
    assert tuned.weights_fingerprint() != original.weights_fingerprint()
    assert [line.split(" (")[0] for line in train(pipeline, *ALL)] == [f"{s}: up to date" for s in ALL]


@pytest.mark.parametrize("strategy", ["lm_only", "staged", "joint", "distill"])
def test_learns_links(configured: Callable[..., Pipeline], strategy: str) -> None:
    small = "task.ranking={candidates: 20}"
    pipeline = configured(strategy, small, task="link_prediction")
    train(pipeline, *ALL)
    assert read_scores(pipeline)["test"]["mrr"] > 0.22  # of 21 at random: .17


def label_by_titles(tables: Path) -> None:
    """Labels of similar items from both titles, not their prices: `gap` is how often the first word of a kind is in the
    target's more than in the source's, `trend` whether it is more."""
    items = pq.read_table(tables / "item.parquet")
    counts = {
        name: sum(word in ("novel", "graph", "package") for word in title.split())
        for name, title in zip(items["id"].to_pylist(), items["title"].to_pylist(), strict=True)
    }
    table = pq.read_table(tables / "similar.parquet").to_pydict()
    gaps = [
        None if old is None else float(counts[target] - counts[source])
        for source, target, old in zip(table["source"], table["target"], table["gap"], strict=True)
    ]
    trends = [None if gap is None else "up" if gap > 0 else "down" for gap in gaps]
    pq.write_table(pa.table(table | {"gap": gaps, "trend": trends}), tables / "similar.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["node_regression", "edge_classification", "edge_regression"])
@pytest.mark.parametrize("strategy", ["lm_only", "staged", "joint"])
def test_learns_other_labels(configured: Callable[..., Pipeline], tmp_path: Path, strategy: str, task: str) -> None:
    longer = "model.text_encoder.max_tokens=32"  # whole titles
    pipeline = configured(strategy, longer, "train.lm.epochs=6", "train.epochs=10", task=task)
    label_by_titles(tmp_path / task / "tables")
    train(pipeline, *ALL)
    made, found = Runner(pipeline, QUIET).trained().task, read_scores(pipeline)["test"]
    assert isinstance(made, LabelTask)
    of_train, of_test = (made.labels[made.rows(split)] for split in ("train", "test"))
    if task == "edge_classification":
        guess = (of_test == np.bincount(of_train).argmax()).mean()
        assert found["accuracy"] > guess + 0.1
    else:
        guess = np.sqrt(((of_test - of_train.mean()) ** 2).mean())
        assert found["rmse"] < 0.8 * guess
    tuned = TextEncoder.load(Path(pipeline.output) / "train" / "best" / "lm" / "shared")
    original = TextEncoder.load(pipeline.model.text_encoders()["*"].name)
    assert tuned.weights_fingerprint() != original.weights_fingerprint()


@pytest.mark.parametrize("exclude", [True, False])
def test_joint_leaves_out_target_edges_when_asked(configured: Callable[..., Pipeline], exclude: bool) -> None:
    pipeline = configured(
        "joint", f"task.exclude_target_edges={exclude}", "train.fanouts=[-1, -1]", task="edge_regression"
    )
    train(pipeline, "construct")
    phase = pipeline.train.phase_list()[0]
    assert isinstance(phase, JointPhase)
    experiment = build_joint_experiment(phase_pipeline(pipeline, phase), phase, QUIET)
    batch = experiment.learner.batches().make(experiment.task.rows("train")[:8], _at())
    ids, targets = batch.input_ids["item"].numpy(), batch.targets
    assert isinstance(targets, EdgeTargets)
    asked = set(zip(ids[targets.sources].tolist(), ids[targets.targets].tolist(), strict=True))
    assert len(asked) == 8
    found = asked & set(message_pairs(batch.blocks, ids, SIMILAR))
    assert found == (set() if exclude else asked)
    # Both ends of every target edge are seeds, and all seeds' texts are trained.
    trained = batch.texts["item"]["text:title"].at.tolist()
    assert set(range(len(batch.seeds["item"]))) <= set(trained)


def test_scores_are_those_that_validation_saw(configured: Callable[..., Pipeline]) -> None:
    """Weights, tuned language model and head come back together: the saved model gives the selected number again."""
    for strategy in ("lm_only", "joint"):
        # float32 throughout: bfloat16 weights at inference are not those of autocast.
        pipeline = configured(
            strategy,
            "train.precision=float32",
            "model.text_encoder.dtype=float32",
            "train.fanouts=[-1, -1]",
        )
        train(pipeline, "construct", "train", "evaluate")
        best = json.loads((Path(pipeline.output) / "train" / "done.json").read_text())["best"]
        assert read_scores(pipeline)["valid"]["accuracy"] == pytest.approx(best, abs=1e-6)


def test_stages_are_reused_by_other_pipelines(configured: Callable[..., Pipeline]) -> None:
    first = train(configured("staged"))
    assert any("phase 1 of 2, lm" in line for line in first)
    assert not any("up to date" in line for line in first if "phase" in line)
    # Another graph network, another output: the language model is the same.
    again = train(configured("staged", "model.gnn.hidden=8", output="other"))

    def reused(lines: list[str]) -> bool:
        return any(line.startswith("phase lm: up to date") for line in lines)

    assert reused(again)
    assert reused(train(configured("glem")))
    assert not reused(train(configured("staged", "train.lm.epochs=1", output="third")))
    # What was a first phase there is the last one here.
    alone = configured("lm_only")
    assert reused(train(alone, *ALL))
    assert read_scores(alone)["test"]["accuracy"] > 0.75
    lines = Lines()
    run_pipeline(alone, ["train"], fresh=True, reporter=lines)
    assert not reused(lines.said)


def test_a_last_phase_is_reused_where_it_is_not_the_last(configured: Callable[..., Pipeline]) -> None:
    """What lm_only made is the first phase of staged, also when its output is no more."""
    alone = configured("lm_only", "train.lm.epochs=1")
    train(alone)
    weights = (Path(alone.output) / "train" / "best" / "model.safetensors").read_bytes()
    train(configured("lm_only", "train.lm.epochs=1", "train.lm.head_lr=0.1"))
    lines = train(configured("staged", "train.lm.epochs=1", "train.epochs=1"))
    assert any(line.startswith("phase lm: up to date") for line in lines)
    found = [f.read_bytes() for f in Path(alone.cache).glob("phase-lm-*/best/model.safetensors")]
    assert len(found) == 2
    assert weights in found


def test_a_last_phase_that_another_run_trains_is_left_to_it(configured: Callable[..., Pipeline]) -> None:
    pipeline = configured("lm_only", "train.lm.epochs=1")
    train(pipeline, "construct")
    (phase,) = phase_plan(pipeline, Path(pipeline.output) / "train", read_manifest(str(pipeline.graph.path)))
    with exclusive(phase.lock, "training this phase"):
        train(pipeline)
    assert (phase.folder / "best").is_dir()
    assert not phase.cached.exists()


PHASES = {
    "lm": "[{name: a, type: lm}]",
    "links": "[{name: a, type: lm, task: {type: link_prediction, edge_type: 'item:similar:item', "
    "ranking: {candidates: 10}}}]",
    "joint": "[{name: g, type: gnn, epochs: 1}, {name: a, type: joint, refresh_steps: 5, lm_tokens: 200}]",
    "student": "[{name: g, type: gnn, epochs: 1}, {name: a, type: student, embedding_loss: mse}]",
    "pseudo": "[{name: g, type: gnn, epochs: 1}, {name: a, type: pseudo}, {name: z, type: gnn, epochs: 1}]",
}
STRATEGY_OF = {"lm": "lm_only", "links": "lm_only", "joint": "joint", "student": "distill", "pseudo": "glem"}


class Stopped(Exception):  # noqa: N818
    """Stands for a kill at one step."""


def stop_in(monkeypatch: pytest.MonkeyPatch, updates: int) -> None:
    real = Trainer.check_finite

    def check(self: Trainer, loss: float, norm: float) -> None:
        if isinstance(self.learner, LmLearner) and self.state.updates == updates:
            raise Stopped
        real(self, loss, norm)

    monkeypatch.setattr(Trainer, "check_finite", check)


def results(pipeline: Pipeline) -> dict[str, Any]:
    """Losses and weights of every phase, by name."""
    found: dict[str, Any] = {}
    for metrics in [*Path(pipeline.cache).glob("phase-*"), Path(pipeline.output) / "train"]:
        if not (metrics / "metrics.jsonl").exists():
            continue
        name = metrics.name.rsplit("-", 1)[0]
        found[name] = [
            (r["kind"], r["update"], r.get("loss"), r.get("mean_vector_age"), r.get("accuracy"), r.get("mrr"))
            for r in read_metrics(metrics)
        ]
        for file in sorted((metrics / "best").rglob("*.safetensors")):
            found[f"{name}/{file.relative_to(metrics)}"] = file.read_bytes()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_resumed_is_uninterrupted(
    configured: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """Killed within each kind of phase: optimizer states of both models, table and ages come back."""

    def config(name: str) -> Pipeline:
        pipeline = configured(
            STRATEGY_OF[phase],
            f"train.phases={PHASES[phase]}",
            "train.checkpoint.every_steps=3",
            "train.track.every_steps=1",
            "train.epochs=2",
            output=name,
        )
        return pipeline.model_copy(update={"cache": f"{tmp_path}/cache-{name}"})

    whole, broken = config("whole"), config("broken")
    train(whole)
    for at in (2, 7):
        with monkeypatch.context() as patch:
            stop_in(patch, at)
            with pytest.raises(Stopped):
                train(broken)
    assert any("resuming at epoch" in line for line in train(broken))
    one, two = results(whole), results(broken)
    assert one.keys() == two.keys()
    assert len(one) >= 3
    for name, values in one.items():
        assert values == two[name], name


def test_the_language_model_learns_only_where_it_should(configured: Callable[..., Pipeline]) -> None:
    """Frozen: in no optimizer, no gradient. After that a phase that tunes it does tune it."""
    pipeline = configured("staged")
    lines = train(pipeline)
    sizes = [line.split("; ")[1].split(" parameters")[0] for line in lines if " parameters that learn" in line]
    lm, gnn = (int(s.replace(",", "")) for s in sizes)
    assert lm > gnn
    gnn_only = configured("frozen")
    assert sum("parameters that learn" in line for line in train(gnn_only)) == 1


def test_each_node_type_has_the_right_language_model(tmp_path: Path) -> None:
    """user and superuser: one name is part of the other, their models are not."""
    rng = np.random.default_rng(0)
    for node_type in ("user", "superuser"):
        names = [f"{node_type}{i}" for i in range(30)]
        table = {"id": names, "text": [" ".join(rng.choice(["graph", "tool", "data"], 3)) for _ in names]}
        pq.write_table(pa.table(table), tmp_path / f"{node_type}.parquet")
    pq.write_table(
        pa.table(
            {
                "source": [f"user{i}" for i in range(30)],
                "target": [f"superuser{i}" for i in range(30)],
                "split": ["train"] * 20 + ["valid"] * 5 + ["test"] * 5,
            }
        ),
        tmp_path / "knows.parquet",
    )
    shared = tiny_text_model(tmp_path / "shared", seed=1)
    own = tiny_text_model(tmp_path / "own", "mpnet", seed=2)
    nodes = {t: {"files": f"{t}.parquet", "id": "id", "text": {"about": "text"}} for t in ("user", "superuser")}
    nodes = {t: {**n, "text": {"about": {"columns": "text"}}} for t, n in nodes.items()}
    (tmp_path / "p.yaml").write_text(
        json.dumps(
            {
                "output": "run",
                "graph": {
                    "nodes": nodes,
                    "edges": [
                        {
                            "source": "user",
                            "relation": "knows",
                            "target": "superuser",
                            "files": "knows.parquet",
                            "split": {"column": "split"},
                        }
                    ],
                },
                "model": {
                    "text_encoder": {"name": str(shared), "max_tokens": 16},
                    "inputs": {"superuser": {"text_encoder": {"name": str(own), "max_tokens": 16}}},
                    "gnn": {"type": "rgcn", "hidden": 16, "layers": 1},
                },
                "task": {"type": "link_prediction", "edge_type": "user:knows:superuser", "ranking": {"candidates": 5}},
                "train": {"strategy": "staged", "epochs": 1, "fanouts": [3], "lm": {"epochs": 1, "lr": 0.001}},
                "launch": {"on": "local", "threads": 1},
            }
        )
    )
    pipeline = load_pipeline(tmp_path / "p.yaml")
    train(pipeline, "construct")
    experiment = build_lm_experiment(phase_pipeline(pipeline, pipeline.train.phase_list()[0]), QUIET)
    kinds = {k: type(experiment.learner.language_models.of(k).backbone).__name__ for k in ("*", "superuser")}
    assert kinds == {"*": "BertModel", "superuser": "MPNetModel"}
    from graphstorm_like.inputs.trained_texts import texts_of

    pipeline_batch = experiment.learner.batches().make(np.arange(8), _at())
    seen: dict[str, list[str]] = {}
    for node_type, _, texts in texts_of(pipeline_batch):
        assert isinstance(node_type, str)
        for encoder in experiment.learner.language_models.encoders:
            encoder.register_forward_pre_hook(
                lambda module, _, t=node_type: seen.setdefault(t, []).append(type(module.backbone).__name__)
            )
        experiment.learner.encode(node_type, texts.batches[0])
        for encoder in experiment.learner.language_models.encoders:
            encoder._forward_pre_hooks.clear()
    assert seen == {"user": ["BertModel"], "superuser": ["MPNetModel"]}
    train(pipeline, *ALL)
    saved = Path(pipeline.output) / "train" / "best" / "lm"
    assert type(TextEncoder.load(saved / "shared").backbone).__name__ == "BertModel"
    assert type(TextEncoder.load(saved / "of-superuser").backbone).__name__ == "MPNetModel"


def _at() -> Any:
    from graphstorm_like.sampling.batch import StreamPosition

    return StreamPosition(0, 0)


def test_gold_and_pseudo_labels(configured: Callable[..., Pipeline]) -> None:
    """Test labels are never read: with all of them changed, the pseudo phase trains the same."""
    from graphstorm_like.tasks import NodeClassification
    from graphstorm_like.tasks.pseudo_labels import PseudoLabels

    pipeline = configured("lm_only")
    train(pipeline, "construct")
    experiment = build_lm_experiment(phase_pipeline(pipeline, pipeline.train.phase_list()[0]), QUIET)
    task = experiment.task
    assert isinstance(task, NodeClassification)
    count = len(task.labels)
    teacher = np.random.default_rng(0).dirichlet(np.ones(3), size=count).astype(np.float32)
    labels = PseudoLabels(task, teacher, weight=0.25)
    assert sorted(labels.rows) == list(range(count))
    ids = np.arange(count)
    vectors = {"item": torch.randn(count, experiment.model.hidden)}
    batch = labels.seeder(0)(ids, _at())
    loss, weight = labels.loss(vectors, batch)
    with torch.no_grad():
        log = task.head(vectors["item"]).log_softmax(dim=1)
    gold = task.rows("train")
    others = np.setdiff1d(ids, gold)
    expected = (
        0.75 * -log[gold, torch.from_numpy(task.labels[gold]).long()].mean()
        + 0.25 * -(torch.from_numpy(teacher[others]) * log[others]).sum(1).mean()
    )
    assert float(loss.detach()) / weight == pytest.approx(float(expected), rel=1e-5)
    hidden = np.setdiff1d(ids, gold)
    task.labels = task.labels.copy()
    task.labels[hidden] = (task.labels[hidden] + 1) % 3
    assert float(labels.loss(vectors, batch)[0].detach()) == float(loss.detach())


def test_strategies_check_their_phases(configured: Callable[..., Pipeline]) -> None:
    with pytest.raises(ConfigError, match=r"train\.phases: must be of the types gnn for strategy frozen \(got lm\)"):
        configured("frozen", "train.phases=[{name: a, type: lm}]")
    with pytest.raises(ConfigError, match=r"train\.phases: must have names of their own \(got 'a' twice\)"):
        configured("staged", "train.phases=[{name: a, type: lm}, {name: a, type: gnn}]")
    with pytest.raises(ConfigError, match=r"train\.stages: unknown key \(known: .*\)\. Did you mean 'phases'\?"):
        configured("lm_only", "train.stages=[{name: a, type: lm}]")
    with pytest.raises(ConfigError, match="pseudo labels are classes of nodes"):
        configured("glem", task="link_prediction")
    with pytest.raises(ConfigError, match="must be frozen, or 'item' must have a text"):
        configured("lm_only", "model.inputs.item.text=[]")


def test_a_trained_phase_is_a_text_encoder_for_other_runs(configured: Callable[..., Pipeline]) -> None:
    first = configured("lm_only")
    train(first)
    folder = Path(first.output) / "train" / "best" / "lm" / "shared"
    second = configured("frozen", f"model.text_encoder.name={folder}", output="second")
    train(second, *ALL)
    assert read_scores(second)["test"]["accuracy"] > 0.9
    assert Runner(second, QUIET).trained().artifacts.text_weights["item.text:title"]


PRETRAINING = "task={type: graph_pretraining, edge_types: ['item:similar:item'], ranking: {candidates: 20}}"


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["lm_only", "staged", "joint"])
def test_pre_training_on_a_graph(configured: Callable[..., Pipeline], strategy: str) -> None:
    """GaLM: without a graph network, and co-training in three steps; with masked language modelling beside it."""
    phases = "train.phases=[{name: lm, type: lm}, {name: warm, type: gnn}, {name: both, type: joint}]"
    changes = [PRETRAINING, "train.lm.mlm={weight: 0.1}", *([phases] if strategy == "staged" else [])]
    pipeline = configured(strategy, *changes, task="link_prediction")
    train(pipeline, *ALL)
    scores = read_scores(pipeline)
    assert scores["valid"]["mrr"] > 0.22  # of 21 at random: .17
    assert TextEncoder.load(Path(pipeline.output) / "train" / "best" / "lm" / "shared").dim == 32
