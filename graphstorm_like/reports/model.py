"""report.json: the numbers of a run's report, which report.html shows. Plain JSON; null where there is no number.

Shares are from 0 to 1, times in seconds, sizes in bytes. `low` and `high` are the ends of 95 % bootstrap intervals.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

REPORT_VERSION = 1


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Score(_Model):
    """A metric of a split."""

    value: float | None
    """As `evaluate` has measured it"""
    low: float | None = None
    high: float | None = None


class MetricFacts(_Model):
    """What a metric is."""

    higher_is_better: bool = True
    selects: bool = False
    """Whether it has chosen the model"""


class NumberSpread(_Model):
    """The numbers of a label in a split."""

    mean: float
    std: float
    min: float
    max: float


class Data(_Model):
    """What the run has learnt from."""

    nodes: dict[str, int] = {}
    edges: dict[str, int] = {}
    """By 'source:relation:target', without reverses"""
    rows: dict[str, int] = {}
    """What the task is about: rows with a label, or edges, by split"""
    classes: list[str] = []
    class_counts: dict[str, list[int]] = {}
    """By split: rows of each class"""
    numbers: dict[str, NumberSpread] = {}
    """By split, for labels that are numbers"""


class CurveRecord(_Model):
    """A phase of training. Lists of points (epochs done, value)."""

    phase: str
    loss: list[tuple[float, float]]
    valid: dict[str, list[tuple[float, float]]]
    """By metric"""
    best_epoch: int | None = None
    """The one that was chosen, counted from 1; null: not known"""
    overfitting: str = ""
    """A sentence where training went on to learn its rows by heart"""


class ClassScore(_Model):
    """A class in the split that is looked at."""

    name: str
    support: int
    """Rows that have it"""
    predicted: int
    """Rows that are predicted to"""
    precision: float | None
    recall: float | None
    f1: float
    precision_interval: tuple[float, float] | None = None
    """Wilson's 95 % interval; null where there is no precision"""
    recall_interval: tuple[float, float] | None = None


class ConfusedPair(_Model):
    """Rows of one class that are taken for another."""

    true: str
    predicted: str
    rows: int


class Confusion(_Model):
    """Of the most frequent classes; the last row and column hold all others where there are more."""

    classes: list[str]
    counts: list[list[int]]
    """A row a true class, a column a predicted one"""
    pairs: list[ConfusedPair]
    """What is confused most often, of all classes"""


class CalibrationBin(_Model):
    """Rows whose predicted class has a probability above `low`, up to `high`."""

    low: float
    high: float
    rows: int
    confidence: float | None
    """Mean probability of the predicted class"""
    right: float | None
    """Share of rows where it is right"""


class Calibration(_Model):
    """Whether probabilities mean what they say."""

    ece: float
    """Expected calibration error: the mean over rows of |right - confidence| of their bin"""
    mean_confidence: float
    right: float
    bins: list[CalibrationBin]


class Bin(_Model):
    """Values from `low` to `high`."""

    low: float
    high: float
    rows: int


class Residuals(_Model):
    """Predicted minus true numbers."""

    mean: float
    std: float
    quantiles: dict[str, float]
    """Of residuals: '5', '25', '50', '75', '95' percent"""
    points: list[tuple[float, float]]
    """(true, predicted) of a sample of rows"""
    bins: list[Bin]
    """Of residuals; the first and the last also hold what lies beyond"""


class Ranks(_Model):
    """Ranks of true targets."""

    median: float
    bins: list[Bin]


class Bucket(_Model):
    """Rows of nodes alike."""

    label: str
    rows: int
    value: float
    low: float | None = None
    high: float | None = None


class Breakdown(_Model):
    """A score by something that is known of the rows' nodes."""

    by: str
    """'degree' or 'text length'"""
    of: str
    """Whose: the node type, or 'source user'"""
    measure: str
    higher_is_better: bool
    buckets: list[Bucket]


class NamedNode(_Model):
    """A node as people know it."""

    id: str
    name: str = ""
    """The beginning of its text, else the class that it is labelled with; empty: it has neither"""


class ExampleNode(_Model):
    """An end of a row, or its only node."""

    role: str
    node_type: str
    id: str
    degree: int
    text: dict[str, str] = {}
    """By name of the text, cut"""
    neighbors: dict[str, list[NamedNode]] = {}
    """By edge type: a few nodes with an edge to it, as the model sees them"""


class Example(_Model):
    """A row that the model has got wrong."""

    nodes: list[ExampleNode]
    text: dict[str, str] = {}
    """Of an edge itself"""
    relation: str | None = None
    true: str
    predicted: str | None = None
    confidence: float | None = None
    """Probability of the predicted class"""
    true_probability: float | None = None
    rank: float | None = None
    instead: list[NamedNode] = []
    """Links: what is proposed for the source"""


class EmbeddingMap(_Model):
    """Embeddings of a sample of nodes, projected on their first two principal components."""

    node_type: str
    width: int
    nodes: int
    sampled: int
    explained: tuple[float, float]
    """Share of the variance along each component"""
    groups: list[str]
    """What colours stand for; one entry without meaning: all alike"""
    points: list[tuple[float, float, int]]
    """x, y, position in `groups`"""


class Cost(_Model):
    """A stage."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    processes: int = 1
    cores: int = 0
    resumed: bool = False


class RunReport(_Model):
    """The whole of report.json."""

    report_version: int = REPORT_VERSION
    fingerprint: str
    """Changes with the results of the run"""
    name: str
    task: dict[str, Any]
    strategy: str
    phases: list[str]
    seed: int
    finished: str | None = None
    """When the last stage ended, UTC"""
    data: Data
    metrics: dict[str, MetricFacts] = {}
    scores: dict[str, dict[str, Score]] = {}
    """By split, by metric"""
    baselines: dict[str, dict[str, dict[str, float]]] = {}
    """By name, by split, by metric: simple models, scored on the same rows by the same metrics"""
    best_baseline: str | None = None
    """The one that validation prefers; null: none has validation scores"""
    attacked: dict[str, dict[str, dict[str, float]]] = {}
    """By attack, by split, by metric: scores on changed inputs (infer.attacks)"""
    protocol: dict[str, Any] = {}
    looked_at: str | None = None
    """The split of all sections below: test, or valid where there is no test; null: no predictions"""
    curves: list[CurveRecord] = []
    classes: list[ClassScore] = []
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    residuals: Residuals | None = None
    ranks: Ranks | None = None
    breakdowns: list[Breakdown] = []
    examples: list[Example] = []
    maps: list[EmbeddingMap] = []
    cost: dict[str, Cost] = {}
    """By stage"""
    versions: dict[str, str | None] = {}
    command: list[str] | None = None
    """What was run; null: not known"""
    settings: dict[str, Any]
    """The resolved configuration"""
    warnings: list[str] = []
    """Why the scores may be too good to be true"""
    notes: list[str] = []
    """What could not be shown, and why"""
    report_seconds: float | None = None
