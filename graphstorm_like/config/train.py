"""`train:` and `infer:`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from graphstorm_like.config.attacks import AttackConfig
from graphstorm_like.config.base import (
    Accepts,
    EdgeType,
    KeyedError,
    Name,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Strict,
    edge_name,
)
from graphstorm_like.config.batch_size import BatchSize
from graphstorm_like.config.lm import LmConfig
from graphstorm_like.config.optimizers import AdamWConfig, ChosenOptimizer
from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.schedule import EarlyStopConfig, ScheduleConfig
from graphstorm_like.config.search import ExactSearchConfig, SearchConfig
from graphstorm_like.config.strategies import StrategyName, default_phases, wrong_phases
from graphstorm_like.config.trackers import Tracked

NEUTRAL_KEYS = {"workers", "timeout_seconds", "track", "checkpoint", "device"}
"""Keys of `train:` that change how a run goes but not its results."""

FanoutInt = Annotated[int, Field(ge=-1)]


class FanoutByType(Strict):
    """Neighbours per relation in one layer: a default, and exceptions by edge type."""

    default: FanoutInt
    """Neighbours of edge types that are not listed; -1: all, 0: none."""
    by_edge_type: dict[str, FanoutInt] = {}
    """Keys are 'source:relation:target'."""

    def of(self, edge_type: EdgeType) -> int:
        """Fanout of one edge type; -1 means all neighbours, 0 none."""
        return self.by_edge_type.get(edge_name(edge_type), self.default)


def _fanout(value: Any) -> Any:
    if isinstance(value, dict | FanoutByType):
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a number of neighbours (-1: all), or a mapping with 'default' and 'by_edge_type'")
    return {"default": value}


Fanout = Annotated[FanoutByType, BeforeValidator(_fanout), Accepts(type="integer", minimum=-1)]


class CheckpointConfig(Strict):
    """Resume points. A checkpoint is written under another name, then renamed: a killed job leaves no partial one."""

    every_steps: PositiveInt | None = None
    """Steps between resume points on disk, besides the end of each epoch."""
    memory_steps: PositiveInt | None = None
    """Steps between resume points in each host's shared memory, from which the launcher's restarts go on. Those for
    disk are copied from there in the background, while training goes on. Room for three copies of model, optimizer and
    embedding rows is needed. A single process, which no launcher starts again, writes to disk only."""
    keep: PositiveInt = 2
    """How many resume points are kept besides the best model."""


class TrackConfig(Strict):
    """Where numbers go; metrics.jsonl is always written."""

    renamed_keys = {"tensorboard": "trackers"}

    trackers: list[Tracked] = []
    """Also to these (extras `track`, `mlflow`, `wandb`): names, `[tensorboard]`, or mappings with `type` and
    settings."""
    every_steps: PositiveInt = 10
    """Steps between two lines of numbers."""


Part = Literal["inputs", "gnn", "head", "embeddings"]


class StartFromConfig(Strict):
    """Weights to start from: those of another run's best model. Its learning rates and its optimizer are not taken."""

    run: str
    """Output folder of the other run; relative to the YAML. A run of gsl, not a packed model."""
    parts: Annotated[list[Part], Field(min_length=1)] = ["inputs", "gnn", "head", "embeddings"]
    """What is taken, all of which must fit. inputs: projections of features and texts; gnn: the layers; head: of the
    task, with what it keeps of the labels; embeddings: learnable vectors of nodes, of the same graph."""


def _start_from(value: Any) -> Any:
    return {"run": value} if isinstance(value, str) else value


class EmaConfig(Strict):
    """An exponential moving average of the dense weights, which is validated and saved instead of them."""

    decay: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.999
    """The average keeps this much of itself in a step; in step t at most (1 + t) / (10 + t), so that it forgets the
    first weights soon."""


class TrainConfig(Strict):
    """One training run."""

    renamed_keys = {"stages": "phases"}

    strategy: StrategyName = "frozen"
    """frozen: text vectors are computed once, the GNN trains on them. lm_only: the language model with a head. staged:
    first that, then a GNN on its vectors. joint: both end to end. glem: both in turn, with pseudo labels. distill: a
    GNN, then a language model that imitates it. custom: the phases that `phases` lists, in any order in which each
    has what it needs."""
    phases: list[PhaseConfig] | None = None
    """The strategy's phases in order, each with its own epochs, learning rates and early stop; default: one of each
    type. A phase that is up to date is not run again, also when another pipeline with the same `cache` made it."""
    lm: LmConfig = LmConfig()
    """How the language model is tuned, in phases that train it."""
    epochs: PositiveInt = 10
    """Passes over the training rows, at most."""
    batch_size: BatchSize = "auto"
    """Seeds (nodes or edges) per step. Memory grows with it and with the fanouts. auto: 1,024, and with fewer than
    20,480 training rows the largest power of two, at least 32, that makes 20 steps an epoch, for steps are what
    trains; with `task.type: multi` each task by its own rows."""
    fanouts: Annotated[list[Fanout], Field(min_length=1)] = [FanoutByType(default=10), FanoutByType(default=10)]
    """Neighbours per relation, from the layer next to the seeds outwards; -1 = all. Default: 10 in each layer of
    `model.gnn`."""
    draw_by: Name | None = None
    """A feature of edges, one number of at least 0 an edge (`normalize: none` or `min_max`): neighbours are drawn in
    proportion to it, without replacement, and those of 0 never; edge types without the feature uniformly. A fanout of
    -1 takes all. null: all are drawn uniformly."""
    optimizer: ChosenOptimizer = AdamWConfig(type="adamw")
    """Of all dense weights: a name, or a mapping with `type` and settings."""
    lr: PositiveFloat = 1e-3
    """Learning rate of graph network and head."""
    embedding_lr: PositiveFloat = 1e-2
    """Of the learnable node embeddings (Adam on the rows that a step touches)."""
    weight_decay: NonNegativeFloat = 0.01
    """Of matrices of graph network and head."""
    schedule: ScheduleConfig = ScheduleConfig()
    accumulate: PositiveInt = 1
    """Batches per optimizer step."""
    clip_norm: PositiveFloat | None = 1.0
    """Gradients are scaled down to this norm; null: never."""
    ema: EmaConfig | None = None
    """Average the weights over steps; null: no. Not in phases that train language models."""
    start_from: Annotated[StartFromConfig | None, BeforeValidator(_start_from), Accepts("string")] = None
    """Begin with weights of another run, given by its output folder; null: with random ones. Of several phases, the
    first that trains a graph network begins so."""
    adversarial: AttackConfig | None = None
    """Train on changed inputs too, which an attack on the present weights finds; null: no. It costs a forward and a
    backward pass for each step of the attack, and one of both for what it finds."""
    evaluate_every: PositiveInt | None = 1
    """Epochs between validations; null: never, so that the label needs no validation rows, nothing stops early, and
    the last epoch's model is the result."""
    evaluate_steps: PositiveInt | None = None
    """Also validate after so many optimizer steps, in the middle of epochs that take long: each counts as an evaluation
    of early_stop, which ends training between epochs. null: only at their ends."""
    keep_best: PositiveInt = 1
    """How many of the best models stay, by the number that selects: train/kept.json lists them, and `infer.kept` takes
    another than the best. Each is as large as the model with its embeddings."""
    early_stop: EarlyStopConfig | None = EarlyStopConfig()
    """When to stop; null: never early."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    track: TrackConfig = TrackConfig()
    workers: Annotated[int, Field(ge=0)] = 0
    """Sampler processes that prepare batches ahead; 0: in the training process."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it computes; auto: a GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """bfloat16: autocast of the GNN's matrix products, on a CPU of its inputs' alone; auto: where the hardware computes
    in it."""
    timeout_seconds: PositiveFloat = 600.0
    """The longest wait for one batch before the run stops with a message."""

    @model_validator(mode="after")
    def _steps(self) -> TrainConfig:
        if self.evaluate_every is None and "early_stop" in self.model_fields_set and self.early_stop is not None:
            raise KeyedError("early_stop", "must be null with evaluate_every: null, for there is nothing to stop by")
        if self.evaluate_every is None and self.evaluate_steps is not None:
            raise KeyedError("evaluate_steps", "must be null with evaluate_every: null, where nothing is validated")
        if self.evaluate_every is None and self.keep_best > 1:
            raise KeyedError("keep_best", "must be 1 with evaluate_every: null, where nothing is validated")
        if self.evaluate_every is None:
            # Frozen: this bypasses assignment. What is saved of this must be readable again.
            object.__setattr__(self, "early_stop", None)
        if self.evaluate_every is not None and self.evaluate_every > self.epochs:
            raise KeyedError(
                "evaluate_every", f"must be at most train.epochs, {self.epochs} (got {self.evaluate_every})"
            )
        if (wrong := wrong_phases(self.strategy, self.phases)) is not None:
            raise KeyedError("phases", wrong)
        return self

    def with_fanouts(self, hops: int) -> TrainConfig:
        """The same, with the default fanouts in each of `hops` layers where none are given."""
        if "fanouts" in self.model_fields_set or hops == 0:
            return self
        return self.model_copy(update={"fanouts": [FanoutByType(default=10)] * hops})

    def phase_list(self) -> list[PhaseConfig]:
        """The phases that run, in order."""
        return default_phases(self.strategy) if self.phases is None else self.phases


class InferConfig(Strict):
    """The embeddings and predictions that are written after training, under the user's own ids."""

    mode: Literal["layer_wise", "mini_batch"] = "layer_wise"
    """layer_wise: exact, all neighbours, each layer once; mini_batch: sampled as in training."""
    embeddings: list[Name] | None = None
    """Node types; default: those the task is about."""
    predictions: bool = True
    """Whether to write what the task predicts."""
    kept: PositiveInt = 1
    """Which of the models that training kept (`train.keep_best`) is evaluated, used and packed; 1: the best."""
    top_k: PositiveInt = 10
    """Link prediction: how many targets per source."""
    known_pairs: Literal["exclude", "exclude_both_ways", "list"] = "exclude"
    """Link prediction: whether edges that the graph has, of any split, are among these. exclude_both_ways suits
    relations without a direction, between nodes of one type: the pairs (target, source) of edges stay out too."""
    search: SearchConfig = ExactSearchConfig(type="exact")
    """Link prediction: how the best targets of a source are found. ivf and hnsw (extra `search`) compare fewer targets;
    their recall is measured and written into the manifest. Sources for which they find too few are searched exactly."""
    nodes: dict[Name, str] = {}
    """By node type, a file with the ids of the nodes that results are asked for, of any format that tables have, a JSON
    list (.json), or text with one id a line; other types: all nodes. Only what they need is computed."""
    pairs: str | None = None
    """A file with pairs of ids, of a source and a target: link prediction scores these, instead of looking for the best
    targets; tasks on edges predict for the edges between them. With several edge types, three columns: source,
    relation, target."""
    queries: str | None = None
    """Link prediction of several edge types: a file with questions, of three columns: source, relation, target, of
    which source or target is empty: the `top_k` best are sought. The relation is its name or an edge type's. Default:
    all nodes with all relations."""
    attacks: list[AttackConfig] = []
    """`gsl evaluate` scores every split once more under each of these, on inputs or text vectors: one change for each
    node, by gradients of the loss of the split's rows."""
    batch_size: PositiveInt = 4096
    """Nodes per batch; memory grows with it."""
    fanouts: list[Fanout] | None = None
    """For mini_batch; default: as in training."""
    dtype: Literal["float32", "float16"] = "float32"
    """Of the embeddings in the files."""
    format: Literal["parquet", "csv", "npy"] = "parquet"
    """Of the files. csv: a column for each number of a vector; npy: a file for each column."""
    shard_rows: PositiveInt = 1_000_000
    """Rows per file."""
