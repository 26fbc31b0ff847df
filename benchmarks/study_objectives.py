"""Small studies of objectives on generated graphs, each with its control: python benchmarks/study_objectives.py NAME.

preference    few labels and biased soft scores: comparisons within groups beside other ways to use the scores
adversarial   scores with and without attacks after training with and without them, and what a step costs
contrastive   FlatNCE beside InfoNCE by size of a batch, precision and temperature, on two generated views
weightings    several tasks of which one has wrong labels: weightings on a generated table and a shared network
Prints one line a setting, mean and standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import Tensor, nn

from gconstruct import build_graph
from graphstorm_like.config import build_pipeline
from graphstorm_like.config.attacks import AttackConfig, FgmConfig, PgdConfig
from graphstorm_like.config.link_losses import LinkLossConfig
from graphstorm_like.config.task_weightings import TaskWeightingConfig
from graphstorm_like.inference.attacked import Attacked
from graphstorm_like.models.losses import LINK_LOSSES
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks import Evaluation
from graphstorm_like.tasks.weightings import WEIGHTINGS, StepLosses
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.trainer import Trainer

SPLIT = {"train": 1.0, "valid": 0.0, "test": 0.0}
Numbers = dict[str, float]
QUIET = Reporter(quiet=True)


class Study(Trainer):
    """A training that leaves no files: the model of the last epoch is in memory."""

    def save(self, to_disk: bool = True) -> None:
        """Nothing."""

    def save_best(self, metrics: dict[str, float], name: str = "best") -> None:
        """Nothing."""


def run(data: dict[str, Any], folder: Path, attacks: Sequence[AttackConfig] = ()) -> Numbers:
    """Metrics of the test split, the accuracy under attacks by their title, and the milliseconds of a step."""
    pipeline = build_pipeline(data).with_absolute_paths(folder)
    if not (folder / "run/graph").exists():
        build_graph(pipeline.graph)
    experiment = build_experiment(pipeline, QUIET)
    trainer = Study(experiment, folder / "run/train", QUIET)
    started = time.process_time()
    result = trainer.train()
    milliseconds = 1e3 * (time.process_time() - started) / result.updates
    how = Evaluation("layer_wise", pipeline.train.fanouts, pipeline.seed)
    scores = experiment.task.evaluate(experiment.embedder(), "test", how)
    for attack in attacks:
        scores[attack.title] = Attacked(experiment, attack, "test").scores(experiment.embedder(), how)["accuracy"]
    return {**scores, "CPU ms a step": milliseconds}


ONLY: list[str] = []
"""Settings whose name has one of these texts are run; empty: all."""


def table(rows: Iterator[tuple[str, Callable[[int], Numbers]]], seeds: int) -> None:
    """Print a line a setting."""
    for name, measure in rows:
        if ONLY and not any(text in name for text in ONLY):
            continue
        found = [measure(seed) for seed in range(seeds)]
        cells = []
        for key in found[0]:
            values = [of_seed[key] for of_seed in found]
            cells.append(f"{key} {np.mean(values):.3f} ± {np.std(values):.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


# ------------------------------------------------------------------------------------------------------- preference


def write_sessions(folder: Path, bias: float, gold: int, seed: int) -> None:
    """200 sessions of 8 for training, and 200 more for the test. The class follows from x; z is common to a session.
    Scores are of the true logit, moved by bias * z, with noise. `guess`: the class that the score says, or the label
    where there is one; `mixed`: groups as large as sessions, across them."""
    rng = np.random.default_rng([seed, int(10 * bias)])
    sessions, members = 400, 8
    session = np.repeat(np.arange(sessions), members)
    z = rng.normal(size=(sessions, 2))[session]
    x = rng.normal(size=(len(session), 8))
    logit = 2.0 * (x @ rng.normal(size=8)) / np.sqrt(8.0) * 1.5
    shift = bias * z[:, 0] + rng.normal(scale=0.5, size=len(session))
    score = 1.0 / (1.0 + np.exp(-(logit + shift)))
    is_yes = rng.random(len(session)) < 1.0 / (1.0 + np.exp(-4.0 * logit))
    labelled = rng.choice(sessions // 2 * members, gold, replace=False)
    is_train = np.isin(np.arange(len(session)), labelled)
    split = np.full(len(session), None, dtype=object)
    split[is_train] = "train"
    split[session >= sessions // 2] = "test"
    names = np.array(["no", "yes"])
    guess = np.where(is_train | (session >= sessions // 2), names[is_yes.astype(int)], names[(score > 0.5).astype(int)])
    seen = session < sessions // 2
    mixed = rng.permutation(len(session)) // members
    columns: dict[str, Any] = {
        "id": [f"u{i}" for i in range(len(session))],
        "kind": names[is_yes.astype(int)],
        "guess": guess,
        "guess_split": np.where(seen, "train", "test"),
        "split": split,
        "yes": np.where(seen, score, np.nan),
        "session": [f"s{s}" for s in session],
        "mixed": [f"m{m}" for m in mixed],
    }
    for number in range(8):
        columns[f"x{number}"] = x[:, number]
    columns["z0"], columns["z1"] = z[:, 0], z[:, 1]
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    pq.write_table(pa.table(arrays), folder / "utterance.parquet")


def preference_run(bias: float, gold: int, how: str, seed: int) -> Numbers:
    """Test accuracy, of whole sessions that training has not seen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sessions(folder / "tables", bias, gold, seed)
        labels: dict[str, Any] = {
            "kind": {"column": "kind", "split": {"column": "split"}},
            "guess": {"column": "guess", "split": {"column": "guess_split"}},
            "yes": {"column": "yes", "kind": "number", "split": SPLIT},
            "session": {"column": "session", "split": SPLIT},
            "mixed": {"column": "mixed", "split": SPLIT},
        }
        features = {f"x{number}": f"x{number}" for number in range(8)} | {"z0": "z0", "z1": "z1"}
        node = {"files": "utterance.parquet", "id": "id", "features": features, "labels": labels}
        edge = {"source": "utterance", "relation": "in", "target": "session", "files": "utterance.parquet"}
        edge |= {"source_id": "id", "target_id": "session"}
        task: dict[str, Any] = {"type": "node_classification", "node_type": "utterance", "label": "kind"}
        if how == "scores as labels":
            task["label"] = "guess"
        if how.startswith("pairs"):
            scores = {"scores": {"yes": ["yes"]}, "group_by": "mixed" if how.endswith("across") else "session"}
            task |= {"type": "node_preference", **scores}
        epochs = 100 if how == "labels alone" else 10
        train = {"epochs": epochs, "batch_size": 128, "lr": 0.02, "evaluate_every": None, "early_stop": None}
        nodes = {"utterance": node, "session": None}
        data = {
            "output": str(folder / "run"),
            "seed": seed,
            "graph": {"base": str(folder / "tables"), "nodes": nodes, "edges": [edge], "report": False},
            "model": {"gnn": {"type": "none", "layers": 0, "hidden": 16}},
            "task": task,
            "train": train,
        }
        return {"accuracy": run(data, folder)["accuracy"]}


def preference(seeds: int) -> None:
    """Rows by bias and number of labels."""

    def rows() -> Iterator[tuple[str, Callable[[int], Numbers]]]:
        for gold in (20,):
            for bias in (0.0, 3.0):
                for how in ("labels alone", "scores as labels", "pairs across", "pairs within"):

                    def measure(seed: int, bias: float = bias, gold: int = gold, how: str = how) -> Numbers:
                        return preference_run(bias, gold, how, seed)

                    yield f"{gold} labels, bias {bias:g}, {how}", measure

    table(rows(), seeds)


# ------------------------------------------------------------------------------------------------------ adversarial


def write_sparse(folder: Path, seed: int, nodes: int = 2000, width: int = 60) -> None:
    """Sparse coding: x = M z + noise with 4 of 60 entries of z not 0; the class is the sign of a sum over z. Edges lead
    to nodes of the same class four times in five."""
    rng = np.random.default_rng(seed)
    z = np.zeros((nodes, width))
    for row in z:
        row[rng.choice(width, 4, replace=False)] = rng.choice([-1.0, 1.0], 4)
    mixing = np.linalg.qr(rng.normal(size=(width, width)))[0]
    x = z @ mixing.T + 0.05 * rng.normal(size=(nodes, width))
    kind = (z @ rng.normal(size=width) > 0).astype(int)
    columns: dict[str, Any] = {"id": [f"n{i}" for i in range(nodes)], "kind": np.array(["a", "b"])[kind]}
    for number in range(width):
        columns[f"x{number}"] = x[:, number]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "node.parquet")
    source, target = rng.integers(nodes, size=5 * nodes), rng.integers(nodes, size=5 * nodes)
    kept = (kind[source] == kind[target]) | (rng.random(len(source)) < 0.25)
    ends = [[f"n{i}" for i in end[kept]] for end in (source, target)]
    pq.write_table(pa.table({"source": ends[0], "target": ends[1]}), folder / "link.parquet")


ATTACKS = (
    FgmConfig(type="fgm", epsilon=0.2),
    FgmConfig(type="fgm", epsilon=0.5),
    PgdConfig(type="pgd", epsilon=0.5, steps=7),
    FgmConfig(type="fgm", epsilon=0.05, norm="linf"),
)


TRAIN = {"epochs": 15, "batch_size": 128, "lr": 0.005, "early_stop": None, "evaluate_every": None}


def adversarial_run(gnn: str, adversarial: dict[str, Any] | None, seed: int) -> Numbers:
    """Test accuracy without and with attacks, and the seconds of training."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sparse(folder / "tables", seed)
        columns = [f"x{number}" for number in range(60)]
        label = {"column": "kind", "split": {"train": 0.4, "valid": 0.1, "test": 0.5}}
        feature = {"x": {"columns": columns, "normalize": "none"}}
        node = {"files": "node.parquet", "id": "id", "features": feature, "labels": {"kind": label}}
        edge = {"source": "node", "relation": "link", "target": "node", "files": "link.parquet"}
        edge |= {"source_id": "source", "target_id": "target"}
        network: dict[str, Any] = {"type": "none", "layers": 0} if gnn == "none" else {"type": gnn, "layers": 1}
        data = {
            "output": str(folder / "run"),
            "seed": seed,
            "graph": {"base": str(folder / "tables"), "nodes": {"node": node}, "edges": [edge], "report": False},
            "model": {"gnn": {**network, "hidden": 64}},
            "task": {"type": "node_classification", "node_type": "node", "label": "kind", "head_layers": 2},
            "train": {**TRAIN, "adversarial": adversarial},
        }
        scores = run(data, folder, ATTACKS)
        attacked = {attack.title: scores[attack.title] for attack in ATTACKS}
        return {"clean": scores["accuracy"], **attacked, "CPU ms a step": scores["CPU ms a step"]}


def adversarial(seeds: int) -> None:
    """Rows by model and training."""
    ways: dict[str, dict[str, Any] | None] = {
        "no attacks": None,
        "attacks of size 1e-6 (control)": {"type": "fgm", "epsilon": 1e-6},
        "fgm .5": {"type": "fgm", "epsilon": 0.5},
        "pgd .5, 3 steps, attacked alone": {"type": "pgd", "epsilon": 0.5, "steps": 3, "weight": 1.0},
    }

    def rows() -> Iterator[tuple[str, Callable[[int], Numbers]]]:
        for gnn in ("none", "sage"):
            for how, settings in ways.items():

                def measure(seed: int, gnn: str = gnn, settings: dict[str, Any] | None = settings) -> Numbers:
                    return adversarial_run(gnn, settings, seed)

                yield f"{gnn}, trained with {how}", measure

    table(rows(), seeds)


# ------------------------------------------------------------------------------------------------------- weightings

TASKS, CLASSES, WIDTH, HIDDEN = 4, 10, 20, 24


class Shared(nn.Module):
    """A shared network of two layers and a head a task."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(HIDDEN, CLASSES) for _ in range(TASKS))

    def forward(self, rows: Tensor) -> list[Tensor]:
        """Outputs [B, C] of each task."""
        hidden = self.trunk(rows)
        return [head(hidden) for head in self.heads]


def weighting_of(name: str, step_size: float) -> TaskWeightingConfig:
    """The configuration of a weighting of tasks."""
    settings: dict[str, Any] = {"type": name}
    if name in ("excess_risk", "group_dro"):
        settings |= {"step_size": step_size, "warmup_epochs": 3}
    return TypeAdapter(TaskWeightingConfig).validate_python(settings)


def weighting_run(name: str, step_size: float, noise: float, batch: int, seed: int) -> Numbers:
    """Test accuracy of the task with wrong labels and of the others, and the former's share of the weights, in the mean
    of the last epoch and its least. Four functions of one hidden layer, which tasks share in part, give ten classes."""
    rng = np.random.default_rng([seed, 7])
    torch.manual_seed(seed)
    rows = rng.normal(size=(4500, WIDTH)).astype(np.float32)
    common = np.tanh(rows @ rng.normal(size=(WIDTH, 32)) / 3.0)
    labels = np.stack([(common @ rng.normal(size=(32, CLASSES))).argmax(axis=1) for _ in range(TASKS)])
    train = labels[:, :1500].copy()
    wrong = rng.random(1500) < noise
    train[0, wrong] = rng.integers(CLASSES, size=int(wrong.sum()))
    inputs, goals = torch.from_numpy(rows), torch.from_numpy(train)
    model, config = Shared(), weighting_of(name, step_size)
    shared = list(model.trunk.parameters())
    made = WEIGHTINGS.of(config)(config, torch.ones(TASKS), sum(parameter.numel() for parameter in shared))
    learnt = [*model.parameters(), *made.parameters()]
    optimizer = torch.optim.Adam(learnt, lr=2e-3)
    seen: list[float] = []
    epochs = 40 if batch < 1500 else 480
    for epoch in range(epochs):
        seen = [] if batch < 1500 else seen[-12:]
        for part in torch.split(torch.from_numpy(rng.permutation(1500)), batch):
            outputs = model(inputs[part])
            losses = [F.cross_entropy(out, goals[task, part]) for task, out in enumerate(outputs)]
            step = StepLosses(losses, torch.stack(losses).detach(), epoch if batch < 1500 else epoch // 12)
            optimizer.zero_grad()
            torch.autograd.backward(made.combine(step, shared))
            optimizer.step()
            seen.append(float(made.weights[0] / made.weights.sum()))
    with torch.no_grad():
        predicted = torch.stack(model(inputs[1500:])).argmax(dim=2).numpy()
    right = (predicted == labels[:, 1500:]).mean(axis=1)
    return {"noisy task": right[0], "other tasks": right[1:].mean(), "weight of the noisy": float(np.mean(seen))}


def weightings(seeds: int) -> None:
    """Rows by size of a batch, weighting and noise."""
    ways = [("fixed", 0.0), ("uncertainty", 0.0), ("group_dro", 3e-3), ("excess_risk", 3e-3), ("excess_risk", 1e-2)]

    def rows() -> Iterator[tuple[str, Callable[[int], Numbers]]]:
        for batch in (125, 1500):
            for noise in (0.0, 0.4, 0.8):
                for name, step_size in ways:

                    def measure(
                        seed: int, batch: int = batch, noise: float = noise, name: str = name, size: float = step_size
                    ) -> Numbers:
                        return weighting_run(name, size, noise, batch, seed)

                    rate = f" {step_size:g}" if step_size else ""
                    yield f"batch {batch}, noise {noise:g}, {name}{rate}", measure

    table(rows(), seeds)


# ---------------------------------------------------------------------------------------------------- contrastive loss


def contrastive_run(name: str, noise: float, batch: int, bfloat16: bool, temperature: float, seed: int) -> Numbers:
    """MRR among 500 of held-out pairs of two noisy views, encoded by a network of two layers, with in-batch negatives.
    gradient: its norm at the end over that at the start, before it is clipped."""
    torch.manual_seed(seed)
    latent = torch.randn(6500, 16)
    views = [latent @ torch.randn(16, 48) / 4.0 + noise * torch.randn(6500, 48) for _ in range(2)]
    encoders = [nn.Sequential(nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 32)) for _ in range(2)]
    learnt = [parameter for encoder in encoders for parameter in encoder.parameters()]
    optimizer = torch.optim.Adam(learnt, lr=2e-3)
    config = TypeAdapter(LinkLossConfig).validate_python({"type": name, "temperature": temperature})
    loss_of = LINK_LOSSES.of(config)(config)
    mask = torch.zeros(batch, batch, dtype=torch.bool)
    norms: list[float] = []
    for _ in range({16: 800, 128: 300, 1024: 80}[batch]):
        rows = torch.randint(6000, (batch,))
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            source, target = (
                F.normalize(encoder(view[rows]), dim=1) for encoder, view in zip(encoders, views, strict=True)
            )
            scores = source @ target.T
        loss = loss_of(scores, mask, True) / batch
        loss.backward()
        norms.append(float(nn.utils.clip_grad_norm_(learnt, 1.0)))
        optimizer.step()
    with torch.no_grad():
        ends = [F.normalize(encoder(view[6000:]), dim=1) for encoder, view in zip(encoders, views, strict=True)]
        scores = ends[0] @ ends[1].T
    ranks = (scores >= scores.diagonal()[:, None]).sum(dim=1).float()
    return {"mrr": float((1.0 / ranks).mean()), "gradient": float(np.mean(norms[-20:]) / np.mean(norms[:20]))}


def contrastive(seeds: int) -> None:
    """Rows by noise, size of a batch, precision, temperature and loss."""

    def rows() -> Iterator[tuple[str, Callable[[int], Numbers]]]:
        for noise in (0.1, 1.0):
            for batch, bfloat16, temperature, name in itertools.product(
                (16, 128, 1024), (False, True), (0.05, 0.1, 0.5), ("info_nce", "flat_nce")
            ):

                def measure(
                    seed: int, noise: float = noise, batch: int = batch, half: bool = bfloat16, t: float = temperature,
                    name: str = name,
                ) -> Numbers:  # fmt: skip
                    return contrastive_run(name, noise, batch, half, t, seed)

                precision = "bfloat16" if bfloat16 else "float32"
                yield (
                    f"noise {noise:g}, batch {batch}, {precision}, T {temperature:g}, {name}",
                    measure,
                )

    table(rows(), seeds)


STUDIES = {"contrastive": contrastive, "preference": preference, "adversarial": adversarial, "weightings": weightings}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="texts, of which a setting's name must have one")
    arguments = parser.parse_args()
    ONLY.extend(arguments.only)
    torch.set_num_threads(1)
    STUDIES[arguments.study](arguments.seeds)


if __name__ == "__main__":
    main()
