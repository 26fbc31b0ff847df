"""What a phase takes from the configuration and from the phases before it, each seen where it takes effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.config.schedule import ScheduleConfig
from graphstorm_like.launch.stages import Runner, read_scores
from graphstorm_like.ranks.group import Group
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.training.experiment import Experiment
from graphstorm_like.training.lm.build import LmExperiment
from graphstorm_like.training.lm.learner import LmLearner
from graphstorm_like.training.optim import Optimizers, schedule_factor
from graphstorm_like.training.phases.base import phase_of, phase_pipeline
from graphstorm_like.training.phases.handover import Handover

from .test_strategies import ALL, PRETRAINING, QUIET, Stopped, results, stop_in, train

EXACT = ("train.precision=float32", "train.lm.dropout=0.0")


def experiment_of(pipeline: Pipeline, phase: int = 0, **lineage: Any) -> Experiment:
    train(pipeline, "construct")
    found = Handover(pipeline, pipeline.model.text_encoders(), **lineage)
    return phase_of(pipeline.train.phase_list()[phase]).build(found, QUIET)


def lm_experiment(pipeline: Pipeline, phase: int = 0, **lineage: Any) -> LmExperiment:
    found = experiment_of(pipeline, phase, **lineage)
    assert isinstance(found.learner, LmLearner)
    return cast(LmExperiment, found)


def one_step(found: LmExperiment, seeds: int = 32) -> tuple[float, dict[str, Tensor]]:
    """(loss, the language models' gradients) of the first batch."""
    found.learner.trained.train()
    stream = found.learner.objective.stream(seeds, 0)
    batches = found.learner.batches()
    loss, _ = found.learner.backward(batches.make(stream.ids[:seeds], _at()))
    grads = {n: p.grad for n, p in found.learner.language_models.named_parameters() if p.grad is not None}
    assert grads
    return loss, grads


def _at() -> Any:
    from graphstorm_like.sampling.batch import StreamPosition

    return StreamPosition(0, 0)


@pytest.mark.parametrize("task", ["node_classification", "link_prediction"])
def test_gradients_do_not_depend_on_the_memory_for_activations(configured: Callable[..., Pipeline], task: str) -> None:
    """GradCache in a whole step: negatives of a contrastive loss reach every text, though none was kept."""
    found = [
        one_step(lm_experiment(configured("lm_only", *EXACT, f"train.lm.activation_tokens={tokens}", task=task)))
        for tokens in (10**6, 100, 1)
    ]
    (plain_loss, plain), *others = found
    for loss, grads in others:
        assert loss == pytest.approx(plain_loss, rel=1e-5)
        assert grads.keys() == plain.keys()
        for name, gradient in plain.items():
            torch.testing.assert_close(grads[name], gradient, atol=1e-5, rtol=1e-3, msg=name)


@pytest.mark.known_answer("phases/joint")
def test_each_part_has_its_learning_rate_over_time(configured: Callable[..., Pipeline]) -> None:
    """In a joint phase: the graph network's from the phase, the language model's from the phase, its warm-up from
    train.lm.schedule."""
    phases = "[{name: joint, type: joint, lr: 0.004, lm_lr: 0.0002}]"
    schedules = (
        "train.schedule={type: cosine, warmup_fraction: 0.1}",
        "train.lm.schedule={type: linear, warmup_fraction: 0.5}",
    )
    pipeline = configured("joint", f"train.phases={phases}", *schedules, "train.lm.layer_decay=0.5")
    found = lm_experiment(pipeline)
    optimizers = Optimizers(found.learner.groups(), [], found.pipeline.train)
    names = {id(p): n for n, p in found.learner.trained.named_parameters()}
    own = schedule_factor(ScheduleConfig(type="cosine", warmup_fraction=0.1), 20, 100)
    of_lm = schedule_factor(ScheduleConfig(type="linear", warmup_fraction=0.5), 20, 100)
    assert of_lm == pytest.approx(0.42)
    assert own > 0.9
    assert optimizers.set_step(20, 100) == pytest.approx(0.004 * own)
    seen = set()
    for group in optimizers._dense.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            if not name.startswith("lm."):
                assert group["lr"] == pytest.approx(0.004 * own), name
            elif "layer.1." in name or "embeddings" in name:
                depth = 0 if "layer.1." in name else 2
                assert group["lr"] == pytest.approx(0.0002 * 0.5**depth * of_lm), name
                seen.add(depth)
    assert seen == {0, 2}


def test_a_phases_own_settings(configured: Callable[..., Pipeline]) -> None:
    """What a phase says counts for it alone; its schedule for all that it trains; 'off' means no early stop."""
    phases = (
        "[{name: a, type: lm, epochs: 3, lr: 0.02, lm_lr: 0.001, batch_size: 8, early_stop: off, "
        "schedule: {type: constant}}, {name: b, type: gnn, early_stop: {patience: 1}}]"
    )
    pipeline = configured("staged", f"train.phases={phases}", "train.epochs=7", "train.lr=0.5")
    lm, gnn = (phase_pipeline(pipeline, phase).train for phase in pipeline.train.phase_list())
    assert (lm.epochs, lm.lr, lm.lm.lr, lm.batch_size, lm.early_stop) == (3, 0.02, 0.001, 8, None)
    assert lm.schedule.type == lm.lm.schedule.type == "constant"
    assert (gnn.epochs, gnn.lr, gnn.schedule.type) == (7, 0.5, "cosine")
    assert gnn.early_stop is not None
    assert gnn.early_stop.patience == 1


def test_clipping_comes_before_the_step(configured: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the optimizer steps along is no longer than clip_norm, language model and head together."""
    norms = []
    real = Optimizers.step

    def step(self: Optimizers) -> None:
        found = [p.grad.norm() for p in self.parameters if p.grad is not None]
        norms.append(float(torch.stack(found).norm()))
        real(self)

    monkeypatch.setattr(Optimizers, "step", step)
    train(configured("lm_only", *EXACT, "train.clip_norm=1e-3"))
    assert norms
    assert max(norms) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_products_of_the_language_model_are_in_the_precision_of_the_training(
    configured: Callable[..., Pipeline], precision: str, dtype: torch.dtype
) -> None:
    found = lm_experiment(configured("lm_only", f"train.precision={precision}"))
    seen = set()
    linears = [m for m in found.learner.language_models.of("*").backbone.modules() if isinstance(m, torch.nn.Linear)]
    for linear in linears:
        linear.register_forward_hook(lambda _module, _inputs, output: seen.add(output.dtype))
    _, grads = one_step(found)
    assert seen == {dtype}
    assert {g.dtype for g in grads.values()} == {torch.float32}


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_the_pooling_that_was_asked_for_is_trained(configured: Callable[..., Pipeline], pooling: str) -> None:
    found = lm_experiment(configured("lm_only", f"model.text_encoder.pooling={pooling}"))
    assert found.learner.language_models.of("*").pooling == pooling


class CountsWhatIsSummed(Group):
    """Two ranks, of which one is here."""

    def __init__(self) -> None:
        self.size, self.summed = 2, 0

    def sum_(self, tensors: list[Tensor], what: str) -> None:
        assert what == "gradients"
        self.summed += sum(t.numel() for t in tensors)


@pytest.mark.parametrize("tune", ["{type: full}", "{type: top, layers: 1}", "{type: lora}"])
def test_ranks_sum_the_gradients_of_what_learns_alone(configured: Callable[..., Pipeline], tune: str) -> None:
    found = lm_experiment(configured("lm_only", *EXACT, f"train.lm.tune={tune}"))
    one_step(found)
    optimizers, ranks = Optimizers(found.learner.groups(), [], found.pipeline.train), CountsWhatIsSummed()
    optimizers.sum_gradients(ranks, optimizers.have_gradients())
    learns = [p for p in found.learner.trained.parameters() if p.requires_grad and p.grad is not None]
    frozen = sum(p.numel() for p in found.learner.language_models.parameters() if not p.requires_grad)
    assert ranks.summed == sum(p.numel() for p in learns)
    assert (frozen == 0) == (tune == "{type: full}")


@pytest.mark.parametrize("tune", ["{type: lora}", "{type: top, layers: 1}"])
def test_parts_of_a_language_model_resume(
    configured: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tune: str
) -> None:
    """With the masked-language-model term, whose heads learn too; evaluation takes up the merged model."""

    def config(name: str) -> Pipeline:
        changes = ("train.lm.mlm={weight: 0.1}", "train.checkpoint.every_steps=3", "train.track.every_steps=1")
        pipeline = configured("lm_only", f"train.lm.tune={tune}", "train.lm.lr=0.01", *changes, output=name)
        return pipeline.model_copy(update={"cache": f"{tmp_path}/cache-{name}"})

    whole, broken = config("whole"), config("broken")
    train(whole, "construct", "train", "evaluate")
    with monkeypatch.context() as patch:
        stop_in(patch, 5)
        with pytest.raises(Stopped):
            train(broken)
    assert any("resuming at epoch" in line for line in train(broken, "construct", "train", "evaluate"))
    one, two = results(whole), results(broken)
    assert one.keys() == two.keys()
    for name, values in one.items():
        assert values == two[name], name
    assert read_scores(whole) == read_scores(broken)
    assert read_scores(whole)["test"]["accuracy"] > 0.5


def test_joint_goes_on_from_the_graph_network_before_it(configured: Callable[..., Pipeline]) -> None:
    phases = "train.phases=[{name: gnn, type: gnn}, {name: joint, type: joint}]"
    first = configured("frozen", output="first")
    train(first)
    best = Path(first.output) / "train" / "best"
    cold, warm = (lm_experiment(configured("joint", phases), 1, graph_network=g) for g in (None, best))
    saved = load_file(best / "model.safetensors")
    for name, value in warm.artifacts.modules.state_dict().items():
        torch.testing.assert_close(value, saved[name], msg=name)
    assert any(not torch.equal(value, saved[name]) for name, value in cold.artifacts.modules.state_dict().items())


def test_a_vectors_age_is_told(configured: Callable[..., Pipeline]) -> None:
    """Few tokens a step: what is not computed gets older by one a step. With refresh_steps no row gets older."""
    ages: dict[str, list[float]] = {}
    for refresh in ("null", "3"):
        phases = f"train.phases=[{{name: joint, type: joint, lm_tokens: 32, refresh_steps: {refresh}}}]"
        found = lm_experiment(configured("joint", phases, *EXACT))
        batches = found.learner.batches()
        ages[refresh] = []
        for step in range(8):
            found.learner.trained.train()
            found.learner.backward(batches.make(found.task.rows("train")[:16], _at()))
            ages[refresh].append(found.learner.stepped(step + 1)["mean_vector_age"])
    free, bounded = ages["null"], ages["3"]
    assert free[0] == bounded[0] == 0.0
    assert sorted(free) == free
    assert 0.5 * 7 < free[-1] < 7
    assert 0 < max(bounded) <= 3


def two_texts(folder: Path, model: Path, *changes: str) -> Pipeline:
    """The shop, whose items have a second text: the first one's letters from behind."""
    path = write_shop_pipeline(folder, text_model=str(model))
    table = pq.read_table(folder / "tables/item.parquet")
    table = table.append_column("second", pa.array([text[::-1] for text in table["title"].to_pylist()]))
    pq.write_table(table, folder / "tables/item.parquet")
    data = yaml.safe_load(path.read_text())
    data["graph"]["nodes"]["item"]["text"]["second"] = {"columns": "second"}
    path.write_text(yaml.safe_dump(data))
    common = ("launch.threads=1", "train.lm.lr=0.002", "train.lm.batch_size=32", "train.fanouts=[-1,-1]")
    return load_pipeline(path, [*common, *EXACT, "model.text_encoder.dtype=float32", *changes])


@pytest.mark.parametrize("strategy", ["lm_only", "joint"])
def test_several_texts_of_a_node_type(tmp_path: Path, model: Path, strategy: str) -> None:
    """All are trained, each in a table of its own; the saved model gives the validation's score again."""
    pipeline = two_texts(tmp_path, model, f"train.strategy={strategy}")
    found = lm_experiment(pipeline)
    batch = found.learner.batches().make(found.task.rows("train")[:8], _at())
    assert set(batch.texts["item"]) == set(found.learner.texts.by_place["item"]) == {"text:title", "text:second"}
    assert all(len(texts.at) >= 8 for texts in batch.texts["item"].values())
    train(pipeline, *ALL)
    best = json.loads((Path(pipeline.output) / "train" / "done.json").read_text())["best"]
    assert read_scores(pipeline)["valid"]["accuracy"] == pytest.approx(best, abs=1e-6)
    assert best > 0.75


def test_a_student_of_another_kind(configured: Callable[..., Pipeline], tmp_path: Path) -> None:
    """Any encoder learns to give the teacher's vectors, of its own width before the head."""
    other = tiny_text_model(tmp_path / "student", "distilbert")
    student = f"{{name: student, type: student, text_encoder: {{name: '{other}', max_tokens: 16}}}}"
    pipeline = configured("distill", f"train.phases=[{{name: gnn, type: gnn}}, {student}]", "train.lm.epochs=4")
    train(pipeline, *ALL)
    assert read_scores(pipeline)["test"]["accuracy"] > 0.75
    saved = TextEncoder.load(Path(pipeline.output) / "train" / "best" / "lm" / "shared")
    assert (type(saved.backbone).__name__, saved.dim) == ("DistilBertModel", 32)
    assert Runner(pipeline, QUIET).trained().model.hidden == pipeline.model.gnn.hidden


def test_a_graph_aware_phase_before_the_task(configured: Callable[..., Pipeline]) -> None:
    """The README's staged example: links, then the task, then a graph network, then both."""
    links = "{name: links, type: lm, epochs: 1, task: {type: graph_pretraining, edge_types: ['item:similar:item'], "
    links += "ranking: {candidates: 10}}}"
    phases = f"[{links}, {{name: task, type: lm}}, {{name: gnn, type: gnn}}, {{name: both, type: joint, epochs: 1}}]"
    pipeline = configured("staged", f"train.phases={phases}")
    lines = train(pipeline, *ALL)
    assert [line.split(": ")[0] for line in lines if line.startswith("phase ")] == [
        f"phase {i} of 4, {name}" for i, name in enumerate(("links", "task", "gnn", "both"), 1)
    ]
    found = {f.name.split("-")[1]: f for f in Path(pipeline.cache).glob("phase-*") if f.is_dir()}
    assert json.loads((found["links"] / "best/metrics.json").read_text())["mrr"] > 0.2
    tuned = {n: TextEncoder.load(found[n] / "best/lm/shared").weights_fingerprint() for n in ("links", "task")}
    original = TextEncoder.load(pipeline.model.text_encoders()["*"].name).weights_fingerprint()
    assert len({original, *tuned.values()}) == 3
    assert read_scores(pipeline)["test"]["accuracy"] > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("gnn", ["rgcn", "rgat"])
def test_co_training_in_three_steps(configured: Callable[..., Pipeline], gnn: str) -> None:
    """GALM: the language model on links; frozen, while the graph network warms up; both. The relation parameters are
    saved under their names."""
    phases = "train.phases=[{name: lm, type: lm}, {name: warm, type: gnn}, {name: both, type: joint}]"
    pipeline = configured("staged", PRETRAINING, phases, f"model.gnn.type={gnn}", task="link_prediction")
    train(pipeline, *ALL)
    found = {f.name.split("-")[1]: f for f in Path(pipeline.cache).glob("phase-*") if f.is_dir()}
    assert not (found["warm"] / "best" / "lm").exists()
    best = Path(pipeline.output) / "train" / "best"
    first, last = (
        TextEncoder.load(folder / "lm/shared", dtype="float32").weights_fingerprint()
        for folder in (found["lm"] / "best", best)
    )
    assert first != last
    warm, both = (load_file(folder / "model.safetensors") for folder in (found["warm"] / "best", best))
    assert warm.keys() == both.keys()
    assert any(not torch.equal(warm[name], both[name]) for name in warm)
    assert json.loads((best / "relations.json").read_text()) == ["item:similar:item"]
    assert tuple(both["task.head.relations"].shape) == (1, pipeline.model.gnn.hidden)
    assert read_scores(pipeline)["valid"]["mrr"] > 0.22  # of 21 at random: .17
