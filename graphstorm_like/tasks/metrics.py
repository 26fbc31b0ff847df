"""Metrics. graphstorm_like/config/metrics.py says which is for what."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import logging
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from graphstorm_like.config.metrics import (
    AccuracyConfig,
    AmriConfig,
    AtLeastConfig,
    AveragePrecisionConfig,
    CalibrationErrorConfig,
    F1Config,
    FBetaConfig,
    HitsConfig,
    MaeConfig,
    MetricConfig,
    MrrConfig,
    MseConfig,
    NdcgConfig,
    OfClassConfig,
    PrecisionAtKConfig,
    PrecisionRecallConfig,
    R2Config,
    RmseConfig,
    RocAucConfig,
    TopKConfig,
)
from graphstorm_like.errors import ConfigError, did_you_mean
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.registry import Registry

METRICS: Registry[type[Metric]] = Registry("metric")

Numbers = npt.NDArray[Any]
Sums = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What a metric may know about the labels: the number of classes, and their names; the probability above which a
    row is predicted to have a class, where it may have several (None: it has one); mean and deviation of the numbers
    to train on."""

    classes: int = 0
    threshold: float | None = None
    center: float = 0.0
    spread: float = 1.0
    names: Sequence[str] = ()

    def position(self, name: str) -> int:
        """Of a class. Raises ConfigError when there is none of this name."""
        if name not in self.names:
            listed = ", ".join(self.names[:20])
            raise ConfigError(
                f"task.metrics: of_class must be a class of the label, {listed} (got {name!r})."
                f"{did_you_mean(name, self.names)}"
            )
        return list(self.names).index(name)


class Metric(ABC):
    """One number from sums over rows."""

    def __init__(self, config: MetricConfig, facts: LabelFacts) -> None:
        self.config, self.facts = config, facts

    @abstractmethod
    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """Sums [m] over n rows; those over all rows are their total. n may be 0."""

    @abstractmethod
    def value(self, sums: Sums) -> float:
        """The metric, from the sums over all rows."""


class Metrics:
    """Several metrics of the same predictions."""

    def __init__(self, configs: Sequence[MetricConfig], facts: LabelFacts | None = None) -> None:
        label_facts = facts or LabelFacts()
        self.by_name: dict[str, Metric] = {config.name: METRICS.of(config)(config, label_facts) for config in configs}

    def measure(self, predicted: Numbers, labels: Numbers, group: Group = SINGLE_PROCESS) -> dict[str, float]:
        """Metrics by name, over the rows of all members of the group."""
        sums = [metric.sums(predicted, labels) for metric in self.by_name.values()]
        ends = np.cumsum([len(part) for part in sums])
        totals = np.split(group.total(np.concatenate(sums), "scores"), ends[:-1])
        values = {}
        for (name, metric), total in zip(self.by_name.items(), totals, strict=True):
            values[name] = metric.value(total)
        return values


# torchmetrics without what its first line brings.
#
# `import torchmetrics` imports its metrics of texts, sound and images too, and with them transformers and scipy.signal:
# 1.7 CPU seconds and 73 MB (torchmetrics 1.9), in every process that measures. The subpackages that are read here need
# none of that.


ROOT = "torchmetrics"
_PARENTS = (ROOT, f"{ROOT}.functional")


@functools.cache
def torchmetrics(part: str) -> Any:
    """A subpackage of torchmetrics: 'classification' or 'regression'."""
    name = f"{ROOT}.{part}"
    if ROOT not in sys.modules:
        with contextlib.suppress(ImportError), _stand_ins():
            importlib.import_module(f"{ROOT}.utilities")  # first: it and torchmetrics.metric import each other
            return importlib.import_module(name)
    return importlib.import_module(name)


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Inside, empty modules stand for torchmetrics and its functions. Afterwards nothing of it is left among the
    imported modules: who imports torchmetrics later gets a whole one."""
    spec = importlib.util.find_spec(ROOT)
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    if len(places) != 1:
        raise ImportError(f"{ROOT} must be a package in one folder")
    for name in _PARENTS:
        stand_in: Any = ModuleType(name)
        stand_in.__path__ = [places[0] + name.removeprefix(ROOT).replace(".", "/")]
        stand_in._logger = logging.getLogger(ROOT)  # which its modules import from it
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == ROOT]:
            del sys.modules[name]


# Metrics of torchmetrics whose states add up: the states, one behind the other, are the vector of sums.


class TorchMetric(Metric):
    """`build` makes the metric when something is measured: importing it takes time."""

    @abstractmethod
    def build(self) -> Any:
        """A fresh torchmetrics.Metric. Its states must be tensors that add up (dist_reduce_fx='sum')."""

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric. In float64, in which counts are exact up to 2^53."""
        metric = self._fresh()
        if len(labels):
            metric.update(torch.from_numpy(np.asarray(predicted)), torch.from_numpy(np.asarray(labels)))
        return np.concatenate([state.double().reshape(-1).numpy() for state in metric.metric_state.values()])

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(self._computed(sums))

    def _computed(self, sums: Sums) -> torch.Tensor:
        """What torchmetrics makes of these states."""
        metric, begin = self._fresh(), 0
        for name, state in metric.metric_state.items():
            part = torch.from_numpy(sums[begin : begin + state.numel()])
            setattr(metric, name, part.reshape(state.shape))
            begin += state.numel()
        with warnings.catch_warnings():
            # torchmetrics warns that `update` was not called, and that classes without a row are left out.
            warnings.simplefilter("ignore")
            computed: torch.Tensor = metric.compute()
        return computed

    @cached_property
    def _built(self) -> Any:
        metric = self.build().set_dtype(torch.float64)
        for name, state in metric.metric_state.items():
            assert isinstance(state, torch.Tensor), f"{type(metric).__name__}.{name} must be a tensor that adds up"
        return metric

    def _fresh(self) -> Any:
        """Without rows. It is built once: reports measure hundreds of samples."""
        self._built.reset()
        return self._built


@METRICS.register(AccuracyConfig)
class Accuracy(TorchMetric):
    """Rows whose likeliest class is the right one / rows."""

    def build(self) -> Any:
        """See TorchMetric."""
        return torchmetrics("classification").MulticlassAccuracy(
            self.facts.classes, average="micro", validate_args=False
        )


# Adjusted mean rank index (Berrendorf et al. 2020, "On the Ambiguity of Rank-Based Evaluation of Entity Alignment or
# Link Prediction Methods").


@METRICS.register(AmriConfig)
class Amri(Metric):
    """1 - (MR - 1) / (E - 1). MR: mean rank; E: what it is by chance, the mean of (candidates + 1) / 2. Where there is
    nothing to tell apart, 0. Sums: ranks, candidates, rows."""

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        return np.array([np.sum(predicted), np.sum(labels), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        ranks, candidates, rows = sums
        others = candidates - rows
        return float(1.0 - 2.0 * (ranks - rows) / others) if others else 0.0


class CurveMetric(TorchMetric):
    """`build` gives a metric without an average over classes. Its only state holds counts [thresholds, C, is of the
    class, is predicted]."""

    needs_others = False
    """Whether a class says nothing when all rows are its own."""

    config: OfClassConfig

    def __init__(self, config: OfClassConfig, facts: LabelFacts) -> None:
        super().__init__(config, facts)
        self.only = None if config.of_class is None else facts.position(config.of_class)

    def value(self, sums: Sums) -> float:
        """See Metric. The mean over classes with a row: torchmetrics counts the others as 0."""
        scores = self._scores(sums)
        of_others, of_class = torch.from_numpy(sums).reshape(-1, len(scores), 2, 2)[0].sum(dim=2).T
        counts = (of_class > 0) & (of_others > 0) if self.needs_others else of_class > 0
        if self.only is not None:
            return float(scores[self.only]) if bool(counts[self.only]) else 0.0
        return float(scores[counts].mean()) if bool(counts.any()) else 0.0

    def _scores(self, sums: Sums) -> torch.Tensor:
        """[C] of the classes."""
        return self._computed(sums).reshape(-1)


# Precision where recall is enough, and recall where precision is, from counts at thresholds.


@METRICS.register(AtLeastConfig)
class AtLeast(CurveMetric):
    """max over thresholds t of P(t) with R(t) >= least, or of R(t) with P(t) >= least; rows at or above t are found. A
    threshold at which nothing is found does not count."""

    config: AtLeastConfig

    def build(self) -> Any:
        """See CurveMetric: only its counts are taken."""
        name = "MulticlassPrecisionRecallCurve" if self.facts.threshold is None else "MultilabelPrecisionRecallCurve"
        of_labels: Any = getattr(torchmetrics("classification"), name)
        return of_labels(self.facts.classes, thresholds=self.config.thresholds, validate_args=False)

    def _scores(self, sums: Sums) -> torch.Tensor:
        """See CurveMetric."""
        counts = sums.reshape(self.config.thresholds, self.facts.classes, 2, 2)
        right, found, rows = counts[:, :, 1, 1], counts[:, :, :, 1].sum(axis=2), counts[:, :, 1].sum(axis=2)
        precision, recall = right / np.maximum(found, 1.0), right / np.maximum(rows, 1.0)
        best, other = (precision, recall) if self.config.type == "precision_at_recall" else (recall, precision)
        fits = (other >= self.config.least) & (found > 0)
        return torch.from_numpy(np.where(fits, best, 0.0).max(axis=0))


@METRICS.register(AveragePrecisionConfig)
class AveragePrecision(CurveMetric):
    """Average precision of each class against the rest, the mean over classes with a row."""

    config: AveragePrecisionConfig

    def build(self) -> Any:
        """See CurveMetric."""
        name = "MulticlassAveragePrecision" if self.facts.threshold is None else "MultilabelAveragePrecision"
        of_labels: Any = getattr(torchmetrics("classification"), name)
        return of_labels(self.facts.classes, average="none", thresholds=self.config.thresholds, validate_args=False)


@METRICS.register(CalibrationErrorConfig)
class CalibrationError(Metric):
    """sum over bins of |rows where the likeliest class is right - sum of its probabilities| / rows. Sums: both, and
    rows, of each bin."""

    config: CalibrationErrorConfig

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        bins = self.config.bins
        if not len(labels):
            return np.zeros(3 * bins)
        likeliest = predicted.argmax(axis=1)
        probability = predicted.max(axis=1).astype(np.float64)
        bin_of = np.minimum((probability * bins).astype(np.int64), bins - 1)
        parts = [(likeliest == labels).astype(np.float64), probability, np.ones(len(labels))]
        return np.concatenate([np.bincount(bin_of, weights=part, minlength=bins) for part in parts])

    def value(self, sums: Sums) -> float:
        """See Metric."""
        right, probability, rows = np.split(sums, 3)
        return float(np.abs(right - probability).sum() / max(rows.sum(), 1.0))


@METRICS.register(F1Config)
class F1(TorchMetric):
    """2 * right / (labels of the class + predictions of it), averaged over classes."""

    def build(self) -> Any:
        """See TorchMetric."""
        average: Any = self.config.type.removesuffix("_f1")
        classes, threshold = self.facts.classes, self.facts.threshold
        if threshold is None:
            return torchmetrics("classification").MulticlassF1Score(classes, average=average, validate_args=False)
        average = "none" if average == "macro" else average
        return torchmetrics("classification").MultilabelF1Score(
            classes, threshold, average=average, validate_args=False
        )

    def value(self, sums: Sums) -> float:
        """See Metric. Of several labels a row, torchmetrics would count classes that are neither labels nor
        predictions as 0 in the mean; here they do not count, as of one label a row."""
        if self.facts.threshold is None or self.config.type != "macro_f1":
            return super().value(sums)
        scores = self._computed(sums).reshape(-1)
        right, wrong, _, missed = torch.from_numpy(sums).reshape(4, len(scores))
        occurs = right + wrong + missed > 0
        return float(scores[occurs].mean()) if bool(occurs.any()) else 0.0


@METRICS.register(FBetaConfig)
class FBeta(Metric):
    """(1 + b^2) right / (predictions + b^2 labels) of a class, which is (1 + b^2) P R / (b^2 P + R); the mean over the
    classes with labels or predictions, or of one class. Sums: right [C], predictions [C], labels [C]."""

    config: FBetaConfig

    def __init__(self, config: FBetaConfig, facts: LabelFacts) -> None:
        super().__init__(config, facts)
        self.only = None if config.of_class is None else facts.position(config.of_class)

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        classes, threshold = self.facts.classes, self.facts.threshold
        if threshold is not None:
            found, has = predicted > threshold, labels > 0
            return np.concatenate([part.sum(axis=0) for part in (found & has, found, has)]).astype(np.float64)
        likeliest = predicted.argmax(axis=1)
        parts = [likeliest[likeliest == labels], likeliest, labels]
        return np.concatenate([np.bincount(part, minlength=classes) for part in parts]).astype(np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        right, predictions, labels = np.split(sums, 3)
        square = self.config.beta**2
        counts = (predictions > 0) | (labels > 0)
        scores = (1.0 + square) * right / np.maximum(predictions + square * labels, 1e-12)
        if self.only is not None:
            return float(scores[self.only])
        return float(scores[counts].mean()) if counts.any() else 0.0


@METRICS.register(HitsConfig)
class Hits(Metric):
    """mean(rank <= k). Sums: ranks up to k, rows."""

    config: HitsConfig

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        return np.array([np.sum(predicted <= self.config.k), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(sums[0] / sums[1])


@METRICS.register(MaeConfig)
class Mae(TorchMetric):
    """mean(|predicted - label|)"""

    def build(self) -> Any:
        """See TorchMetric."""
        return torchmetrics("regression").MeanAbsoluteError()

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric. Differences in float64: float32 has 7 digits of large numbers."""
        return super().sums(predicted.astype("float64"), labels.astype("float64"))


@METRICS.register(MrrConfig)
class Mrr(Metric):
    """mean(1 / rank). Sums: 1 / rank, rows."""

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        return np.array([np.sum(1.0 / predicted), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(sums[0] / sums[1])


@METRICS.register(MseConfig)
class Mse(Metric):
    """mean((predicted - label)^2). Sums: squares, rows."""

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric. Differences in float64: float32 has 7 digits of large numbers."""
        errors = predicted.astype(np.float64) - labels.astype(np.float64)
        return np.array([np.sum(errors**2), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(sums[0] / sums[1])


# Normalised discounted cumulative gain (Jarvelin and Kekalainen, TOIS 2002) of one true answer among candidates.


@METRICS.register(NdcgConfig)
class Ndcg(Metric):
    """mean(1 / log2(1 + rank)), 0 beyond rank k: the ideal gain of one answer is 1. Sums: gains, rows."""

    config: NdcgConfig

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        gains = 1.0 / np.log2(1.0 + predicted)
        if self.config.k is not None:
            gains = np.where(predicted <= self.config.k, gains, 0.0)
        return np.array([np.sum(gains), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(sums[0] / sums[1])


@METRICS.register(PrecisionAtKConfig)
class PrecisionAtK(CurveMetric):
    """right(k) / k, where right(f) of f found rows is known at each threshold and linear between two of them."""

    config: PrecisionAtKConfig

    def build(self) -> Any:
        """See CurveMetric: only its counts are taken."""
        name = "MulticlassPrecisionRecallCurve" if self.facts.threshold is None else "MultilabelPrecisionRecallCurve"
        of_labels: Any = getattr(torchmetrics("classification"), name)
        return of_labels(self.facts.classes, thresholds=self.config.thresholds, validate_args=False)

    def _scores(self, sums: Sums) -> torch.Tensor:
        """See CurveMetric."""
        counts = sums.reshape(self.config.thresholds, self.facts.classes, 2, 2)[::-1]
        right, found = counts[:, :, 1, 1], counts[:, :, :, 1].sum(axis=2)
        scores = []
        for of_class, rows in zip(right.T, found.T, strict=True):
            k = min(float(self.config.k), rows[-1])
            scores.append(np.interp(k, np.append(0.0, rows), np.append(0.0, of_class)) / max(k, 1.0))
        return torch.tensor(scores, dtype=torch.float64)


@METRICS.register(PrecisionRecallConfig)
class PrecisionRecall(Metric):
    """right / predictions, or right / labels, of each class; their mean. A class without predictions has precision 0,
    one without labels recall 0. Sums: right [C], predictions [C], labels [C]."""

    config: PrecisionRecallConfig

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        classes, likeliest = self.facts.classes, predicted.argmax(axis=1)
        parts = [likeliest[likeliest == labels], likeliest, labels]
        return np.concatenate([np.bincount(part, minlength=classes) for part in parts]).astype(np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        right, predictions, labels = np.split(sums, 3)
        counts = (predictions > 0) | (labels > 0)
        of = predictions if self.config.type == "macro_precision" else labels
        shares = right[counts] / np.maximum(of[counts], 1.0)
        return float(shares.mean()) if len(shares) else 0.0


_STATES = ("sum_squared_error", "sum_error", "residual", "total")
"""Of torchmetrics' R2Score."""
_ROUNDING = 1e-12
"""Squared distances below this share of the squares may be nothing but rounding of equal labels."""


@METRICS.register(R2Config)
class R2(TorchMetric):
    """1 - sum((predicted - label)^2) / sum((label - mean)^2)

    On numbers standardised by the training labels, which changes nothing: the sum of the squares of large labels would
    have no digits left for their distances from the mean.
    """

    def build(self) -> Any:
        """See TorchMetric."""
        return torchmetrics("regression").R2Score()

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        return super().sums(self._standard(predicted), self._standard(labels))

    def value(self, sums: Sums) -> float:
        """See Metric. Of one row, whose label is the mean, it is 1 or 0 as of equal labels."""
        squares, labels, squared, rows = self._parts(sums)
        if rows <= 1:
            return float(squared == 0.0)
        distances = squares - labels * labels / rows
        if distances <= _ROUNDING * squares:
            return super().value(sums)
        # torchmetrics takes sums below 1e-4 for 0, and so they are where an outlier among the training labels has
        # made the spread large: the labels here get a deviation of 1.
        factor = rows / distances
        return super().value(self._sums(squares * factor, labels * np.sqrt(factor), squared * factor, rows))

    def _standard(self, numbers: Numbers) -> Numbers:
        standard: Numbers = (numbers.astype("float64") - self.facts.center) / self.facts.spread
        return standard

    def _parts(self, sums: Sums) -> tuple[float, ...]:
        """Squares of the labels, labels, squared errors, rows: each summed."""
        names = list(self._fresh().metric_state)
        return tuple(float(sums[names.index(name)]) for name in _STATES)

    def _sums(self, *parts: float) -> Sums:
        """The other way round."""
        by_state = dict(zip(_STATES, parts, strict=True))
        return np.array([by_state[name] for name in self._fresh().metric_state])


@METRICS.register(RmseConfig)
class Rmse(TorchMetric):
    """sqrt(mean((predicted - label)^2))"""

    def build(self) -> Any:
        """See TorchMetric."""
        return torchmetrics("regression").MeanSquaredError(squared=False)

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric. Differences in float64: float32 has 7 digits of large numbers."""
        return super().sums(predicted.astype("float64"), labels.astype("float64"))


@METRICS.register(RocAucConfig)
class RocAuc(CurveMetric):
    """Area under the ROC curve of each class against the rest, the mean over classes that have a row and others
    beside it."""

    config: RocAucConfig
    needs_others = True

    def build(self) -> Any:
        """See CurveMetric."""
        name = "MulticlassAUROC" if self.facts.threshold is None else "MultilabelAUROC"
        of_labels: Any = getattr(torchmetrics("classification"), name)
        return of_labels(self.facts.classes, average="none", thresholds=self.config.thresholds, validate_args=False)


@METRICS.register(TopKConfig)
class TopK(Metric):
    """Rows of whose class at most k - 1 others are as likely or likelier / rows. Sums: these rows, rows."""

    config: TopKConfig

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric."""
        if not len(labels):
            return np.zeros(2)
        of_class = np.take_along_axis(predicted, labels[:, None].astype(np.int64), axis=1)
        not_below = (predicted >= of_class).sum(axis=1)  # the class itself among them
        return np.array([np.sum(not_below <= self.config.k), len(labels)], dtype=np.float64)

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(sums[0] / sums[1])
