"""Metrics: parts of the rows add up to the whole, the numbers are those of scikit-learn or of a plain formula, and one
from outside the package is a metric like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import numpy as np
import pytest
from pydantic import TypeAdapter

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.metrics import Measured, MetricConfig
from graphstorm_like.config.tasks.ranking import RANKING_METRICS
from graphstorm_like.errors import ConfigError
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.group import Group
from graphstorm_like.tasks import Evaluation
from graphstorm_like.tasks.metrics import METRICS, LabelFacts, Metric, Metrics, Numbers
from graphstorm_like.training.experiment import build_experiment

CLASSES, ROWS = 4, 300
QUIET = Reporter(quiet=True)


def among_best(scores: Numbers, has: Numbers, k: int) -> float:
    """The share of the k best that has it; of equal scores at the end of these, each counts the same part."""
    last = np.sort(scores)[-k]
    above, equal = scores > last, scores == last
    return float((has[above].sum() + has[equal].mean() * (k - above.sum())) / k)


def config_of(given: dict[str, object]) -> MetricConfig:
    return TypeAdapter(MetricConfig).validate_python(given)


def classes() -> tuple[Numbers, Numbers]:
    """Probabilities on a grid of hundredths, so that thresholds cut between them, and labels that they tell of."""
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=ROWS)
    raised = rng.random((ROWS, CLASSES)) + 0.6 * np.eye(CLASSES)[labels]
    return (raised / raised.sum(axis=1, keepdims=True)).round(2).astype(np.float32), labels


def numbers() -> tuple[Numbers, Numbers]:
    rng = np.random.default_rng(1)
    labels = rng.normal(50, 4, size=ROWS).astype(np.float32)
    return labels + rng.normal(size=ROWS).astype(np.float32), labels


def ranks() -> tuple[Numbers, Numbers]:
    return 1 + np.random.default_rng(2).integers(40, size=ROWS) / 2, 21.0 + np.arange(ROWS) % 3


CASES = [
    *(({"type": name}, classes) for name in ("accuracy", "macro_f1", "micro_f1", "weighted_f1")),
    *(({"type": name, "thresholds": 201}, classes) for name in ("roc_auc", "average_precision")),
    *(({"type": name, "of_class": "c", "thresholds": 201}, classes) for name in ("roc_auc", "average_precision")),
    *(({"type": name, "least": 0.6}, classes) for name in ("recall_at_precision", "precision_at_recall")),
    *(({"type": "f_beta", "beta": 2.0, "of_class": name}, classes) for name in (None, "b")),
    ({"type": "precision_at_k", "k": 30, "thresholds": 201}, classes),
    *(({"type": name}, numbers) for name in ("rmse", "mae", "mse", "r2")),
    *(({"type": name}, classes) for name in ("macro_precision", "macro_recall", "calibration_error")),
    ({"type": "top_k", "k": 2}, classes),
    ({"type": "mrr"}, ranks),
    ({"type": "amri"}, ranks),
    ({"type": "ndcg", "k": 7}, ranks),
    ({"type": "hits", "k": 5}, ranks),
]
FACTS = LabelFacts(classes=CLASSES, center=50.0, spread=4.0, names=["a", "b", "c", "d"])


class OneOfSeveral(Group):
    """Has the sums of the others added to its own."""

    size = 2

    def __init__(self, others: np.ndarray) -> None:
        self.others = others

    def total(self, values: np.ndarray, what: str) -> np.ndarray:
        return values + self.others


@pytest.mark.parametrize(("given", "rows"), CASES, ids=[str(given["type"]) for given, _ in CASES])
def test_parts_add_up_to_the_whole(given: dict[str, object], rows: Callable[[], tuple[Numbers, Numbers]]) -> None:
    predicted, labels = rows()
    metrics = Metrics([config_of(given)], FACTS)
    (metric,) = metrics.by_name.values()
    others = metric.sums(predicted[100:], labels[100:]) + metric.sums(predicted[:0], labels[:0])
    assert others.dtype == np.float64
    whole = metrics.measure(predicted, labels)
    assert metrics.measure(predicted[:100], labels[:100], OneOfSeveral(others)) == pytest.approx(whole, rel=1e-12)


def test_every_metric_has_a_case() -> None:
    assert set(METRICS) == {type(config_of(given)) for given, _ in CASES}


@pytest.mark.known_answer(
    "metrics/accuracy",
    "metrics/average_precision",
    "metrics/f_beta",
    "metrics/macro_f1",
    "metrics/macro_precision",
    "metrics/macro_recall",
    "metrics/mae",
    "metrics/micro_f1",
    "metrics/mse",
    "metrics/precision_at_k",
    "metrics/precision_at_recall",
    "metrics/r2",
    "metrics/recall_at_precision",
    "metrics/rmse",
    "metrics/roc_auc",
    "metrics/top_k",
    "metrics/weighted_f1",
)
def test_numbers_are_those_of_scikit_learn() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    predicted, labels = classes()
    found = Metrics([config_of(given) for given, rows in CASES if rows is classes], FACTS).measure(predicted, labels)
    likeliest = predicted.argmax(axis=1)
    one_hot = np.eye(CLASSES)[labels]
    wanted = {f"{a}_f1": sk.f1_score(labels, likeliest, average=a) for a in ("macro", "micro", "weighted")}
    wanted["macro_precision"] = sk.precision_score(labels, likeliest, average="macro")
    wanted["macro_recall"] = sk.recall_score(labels, likeliest, average="macro")
    not_below = [(row >= row[label]).sum() for row, label in zip(predicted, labels, strict=True)]
    wanted["top_k@2"] = np.mean(np.array(not_below) <= 2)
    top, right = predicted.max(axis=1).astype(np.float64), likeliest == labels
    in_bins = [(top * 15).astype(int) == number for number in range(15)]
    wanted["calibration_error"] = sum(abs(right[rows].sum() - top[rows].sum()) for rows in in_bins) / ROWS
    wanted["accuracy"] = sk.accuracy_score(labels, likeliest)
    wanted["roc_auc"] = np.mean([sk.roc_auc_score(one_hot[:, c], predicted[:, c]) for c in range(CLASSES)])
    wanted["average_precision"] = np.mean(
        [sk.average_precision_score(one_hot[:, c], predicted[:, c]) for c in range(CLASSES)]
    )
    wanted["roc_auc:c"] = sk.roc_auc_score(one_hot[:, 2], predicted[:, 2])
    wanted["average_precision:c"] = sk.average_precision_score(one_hot[:, 2], predicted[:, 2])
    wanted["f_beta@2"] = sk.fbeta_score(labels, likeliest, beta=2, average="macro")
    wanted["f_beta@2:b"] = sk.fbeta_score(labels == 1, likeliest == 1, beta=2)
    # Rows with one probability, a hundredth, count in proportion where the 30th is among them.
    wanted["precision_at_k@30"] = np.mean([among_best(predicted[:, c], labels == c, 30) for c in range(CLASSES)])
    curves = [sk.precision_recall_curve(one_hot[:, c], predicted[:, c])[:2] for c in range(CLASSES)]
    wanted["recall_at_precision@0.6"] = np.mean([max(r[p >= 0.6]) for p, r in curves])
    wanted["precision_at_recall@0.6"] = np.mean([max(p[r >= 0.6]) for p, r in curves])
    assert found == pytest.approx(wanted, abs=1e-6)
    predicted, labels = numbers()
    found = Metrics([config_of(given) for given, rows in CASES if rows is numbers], FACTS).measure(predicted, labels)
    errors = predicted.astype(np.float64) - labels
    assert found == pytest.approx(
        {
            "rmse": np.sqrt(np.mean(errors**2)),
            "mae": np.mean(np.abs(errors)),
            "mse": np.mean(errors**2),
            "r2": sk.r2_score(labels.astype(np.float64), predicted.astype(np.float64)),
        },
        rel=1e-9,
    )


@pytest.mark.known_answer("metrics/amri")
def test_adjusted_mean_rank_index_by_hand() -> None:
    """Mean rank 2 where (10 + 2 + 6) / 3 candidates make 3.5 by chance; first, by chance and last; no others at all."""

    def amri(ranks: list[float], candidates: list[float]) -> float:
        return Metrics([config_of({"type": "amri"})]).measure(np.array(ranks), np.array(candidates))["amri"]

    assert amri([3.0, 1.0, 2.0], [10.0, 2.0, 6.0]) == pytest.approx(1 - (2 - 1) / (3.5 - 1))
    assert amri([1.0, 1.0], [100.0, 3.0]) == 1.0
    assert amri([50.5, 2.0], [100.0, 3.0]) == pytest.approx(0.0)
    assert amri([100.0, 3.0], [100.0, 3.0]) == -1.0
    assert amri([1.0], [1.0]) == 0.0


@pytest.mark.known_answer("metrics/calibration_error", "metrics/ndcg")
def test_small_metrics() -> None:
    """By hand."""
    ranked = np.array([1.0, 3.0, 7.0])
    ndcg = Metrics([config_of({"type": "ndcg"}), config_of({"type": "ndcg", "k": 5})]).measure(ranked, np.ones(3))
    assert ndcg == pytest.approx({"ndcg": (1 + 1 / 2 + 1 / 3) / 3, "ndcg@5": (1 + 1 / 2) / 3})
    predicted = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.35, 0.65]])
    labels = np.array([0, 1, 1, 0])
    names = ("macro_precision", "macro_recall", "calibration_error")
    found = Metrics([config_of({"type": name}) for name in names], LabelFacts(classes=3)).measure(predicted, labels)
    # bins of .0667: .9 and .8 and .7 and .65 are alone in theirs
    error = (abs(1 - 0.9) + abs(0 - 0.8) + abs(1 - 0.7) + abs(0 - 0.65)) / 4
    assert found == pytest.approx({"macro_precision": 0.5, "macro_recall": 0.5, "calibration_error": error})


def test_metrics_of_one_class_and_of_class_sets() -> None:
    """By hand: four rows with scores .9, .6, .4, .2 for 'yes', of which the first and third have it."""
    scores, has = np.array([[0.9], [0.6], [0.4], [0.2]]), np.array([[1], [0], [1], [0]])
    given: list[dict[str, object]] = [
        {"type": "recall_at_precision", "least": 0.7, "of_class": "yes"},
        {"type": "recall_at_precision", "least": 0.6, "of_class": "yes"},
        {"type": "precision_at_recall", "least": 1.0, "of_class": "yes"},
        {"type": "f_beta", "beta": 2.0, "of_class": "yes"},
        {"type": "f_beta", "beta": 0.5},
    ]
    wanted = {
        "recall_at_precision@0.7:yes": 1 / 2,
        "recall_at_precision@0.6:yes": 1.0,
        "precision_at_recall@1:yes": 2 / 3,
        "f_beta@2:yes": 5 * 1 / (2 + 4 * 2),  # above .5: two are found, one of them right
        "f_beta@0.5": 1.25 * 1 / (2 + 0.25 * 2),
    }
    given.append({"type": "precision_at_k", "k": 3, "of_class": "yes"})
    given.append({"type": "precision_at_k", "k": 9, "of_class": "yes"})
    wanted |= {"precision_at_k@3:yes": 2 / 3, "precision_at_k@9:yes": 2 / 4}
    of_sets = LabelFacts(classes=1, threshold=0.5, names=["yes"])
    assert Metrics([config_of(one) for one in given], of_sets).measure(scores, has) == pytest.approx(wanted)
    of_classes = LabelFacts(classes=2, names=["no", "yes"])
    both = Metrics([config_of(one) for one in given[:4]], of_classes)
    found = both.measure(np.concatenate([1 - scores, scores], axis=1), has[:, 0])
    assert found == pytest.approx({name: wanted[name] for name in list(wanted)[:4]})
    nothing = Metrics([config_of({"type": "recall_at_precision", "least": 0.9, "of_class": "yes"})], of_classes)
    assert nothing.measure(np.array([[0.4, 0.6], [0.8, 0.2]]), np.array([0, 1])) == {"recall_at_precision@0.9:yes": 0.0}
    with pytest.raises(
        ConfigError, match=r"of_class must be a class of the label, no, yes \(got 'yess'\). Did you mean"
    ):
        Metrics([config_of({"type": "roc_auc", "of_class": "yess"})], of_classes)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_classes_without_a_row_do_not_count(name: str) -> None:
    """Predictions without a mistake scored 2 / 3 where one of three classes had no row in the split."""
    labels = np.arange(100) % 2
    predicted = np.where(np.arange(3) == labels[:, None], 0.9, 0.05).astype(np.float32)
    metrics = Metrics([config_of({"type": name})], LabelFacts(classes=3))
    assert metrics.measure(predicted, labels) == {name: pytest.approx(1.0)}
    alone = metrics.measure(predicted[labels == 0], labels[labels == 0])
    assert alone == {name: 1.0 if name == "average_precision" else 0.0}  # there is no ROC curve of rows of one class


def test_r2_of_large_labels_keeps_its_digits() -> None:
    """Years in seconds: squares have 19 digits, float64 has 16."""
    rng = np.random.default_rng(0)
    labels = 1.7e9 + rng.normal(size=1000)
    predicted = labels + 0.5 * rng.normal(size=1000)
    facts = LabelFacts(center=1.7e9, spread=1.0)
    found = Metrics([config_of({"type": "r2"})], facts).measure(predicted, labels)["r2"]
    wanted = 1 - np.sum((predicted - labels) ** 2) / np.sum((labels - labels.mean()) ** 2)
    assert found == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("spread", [1.0, 2e5, 1e6])
def test_r2_after_outliers_among_the_training_labels(spread: float) -> None:
    """Their spread says nothing of the labels that are scored: small squares are still no zeros."""
    rng = np.random.default_rng(0)
    labels = rng.normal(size=50)
    for predicted in (np.zeros(50), labels + 0.5 * rng.normal(size=50), labels + 300.0):
        measured = Metrics([config_of({"type": "r2"})], LabelFacts(center=-0.1 * spread, spread=spread))
        wanted = 1 - np.sum((predicted - labels) ** 2) / np.sum((labels - labels.mean()) ** 2)
        assert measured.measure(predicted, labels)["r2"] == pytest.approx(wanted, rel=1e-3)
    equal = np.full(50, labels[0])
    assert measured.measure(equal, equal)["r2"] == 1.0


def test_r2_of_one_row() -> None:
    metrics = Metrics([config_of({"type": "r2"})])
    assert metrics.measure(np.array([3.0]), np.array([3.0]))["r2"] == 1.0
    assert metrics.measure(np.array([3.0]), np.array([4.0]))["r2"] == 0.0


def test_names_and_short_forms(shop_config: Callable[..., Pipeline]) -> None:
    assert [metric.name for metric in RANKING_METRICS] == ["mrr", "hits@1", "hits@10"]
    task = {"metrics": ["hits@3", {"type": "mrr"}], "select_by": "hits@3"}
    config = shop_config("link_prediction", task=task)
    written = config.model_dump(mode="json")
    assert written["task"]["metrics"] == [{"type": "hits", "k": 3}, {"type": "mrr"}]
    assert build_pipeline(written) == config
    with pytest.raises(
        ConfigError, match=r"select_by: must be one of task.metrics, 'hits@3' or 'mrr' \(got 'hits@10'\)"
    ):
        shop_config("link_prediction", task={**task, "select_by": "hits@10"})


@pytest.fixture
def _worst_class() -> Iterator[None]:
    """A metric of the user's own, for one test: others look at which there are."""

    class WorstClassConfig(MetricConfig):
        """How many errors the class with the most of them has. Lower is better."""

        measures: ClassVar[Measured] = "classes"
        higher_is_better: ClassVar[bool] = False

        type: Literal["worst_class"]

    @METRICS.register(WorstClassConfig)
    class WorstClass(Metric):
        """Sums: errors of each class."""

        def sums(self, predicted: Numbers, labels: Numbers) -> np.ndarray:
            wrong = labels[predicted.argmax(axis=1) != labels]
            return np.bincount(wrong, minlength=self.facts.classes).astype(np.float64)

        def value(self, sums: np.ndarray) -> float:
            return float(sums.max())

    yield
    family = MetricConfig.family
    assert family is not None
    del family.members["worst_class"], METRICS._operators[WorstClassConfig]
    family._validator = None


@pytest.mark.usefixtures("_worst_class")
def test_a_metric_from_outside_selects(shop_config: Callable[..., Pipeline]) -> None:
    config = shop_config(task={"metrics": ["accuracy", "worst_class"], "select_by": "worst_class"})
    task = build_experiment(config, QUIET).task
    assert (task.select_by, task.higher_is_better) == ("worst_class", False)
    experiment = build_experiment(config, QUIET)
    scores = experiment.task.evaluate(experiment.embedder(), "valid", Evaluation("layer_wise", (), 0))
    assert set(scores) == {"accuracy", "worst_class"}
    errors = (1 - scores["accuracy"]) * len(experiment.task.rows("valid"))
    assert errors / 3 <= scores["worst_class"] <= errors + 1e-9
    with pytest.raises(ConfigError, match="task.metrics"):
        shop_config("node_regression", task={"metrics": ["worst_class"], "select_by": "worst_class"})
