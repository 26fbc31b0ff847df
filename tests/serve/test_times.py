"""Temporal models packed, applied to tables and served: what is asked as of a time knows nothing later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.deploy.model import Model
from graphstorm_like.deploy.pack import pack
from graphstorm_like.errors import GslError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.serve.answers import Answers
from graphstorm_like.testing.times import timed_pipeline, write_timed_shop
from tests.deploy.conftest import Packed
from tests.serve.test_engine import answers_of, only

QUIET = Reporter(quiet=True)
DAY = "2024-02-20"
IDS = [f"i{number}" for number in range(0, 90, 7)]


def pipeline(tables: Path, output: Path, **time: Any) -> Pipeline:
    """Items' kinds from the latest purchases, without learnt vectors."""
    data = timed_pipeline(tables, output, "node_classification", pick="latest", encode="cosine", **time)
    data["graph"]["edges"][0] |= {"split": None, "labels": {}}
    data["model"]["inputs"] = {"user": {"embedding": False}}
    data["train"]["epochs"] = 1
    return build_pipeline(data).with_absolute_paths(output)


@pytest.fixture(scope="module")
def packed_in_time(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("times")
    made = pipeline(write_timed_shop(folder / "tables"), folder / "run", at="end")
    run_pipeline(made, reporter=QUIET)
    return Packed(made, pack(made.output, folder / "model"))


@pytest.fixture(scope="module")
def answers(packed_in_time: Packed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    opened = answers_of(packed_in_time, tmp_path_factory.mktemp("known"))
    yield opened
    opened.engine.applied.close()


def chances(rows: list[dict[str, Any]]) -> np.ndarray:
    return np.array([list(dict(row["probabilities"]).values()) for row in rows])


def test_known_nodes_as_of_the_end_are_those_of_the_run(packed_in_time: Packed, answers: Answers) -> None:
    table = pq.read_table(Path(packed_in_time.pipeline.output) / "infer" / "predictions").to_pylist()
    of_run = {row["id"]: row for row in table}
    served = only(answers, kind="predict", ids=IDS)["predictions"]
    np.testing.assert_allclose(chances(served), chances([of_run[name] for name in IDS]), atol=1e-6)
    at_end = only(answers, kind="predict", ids=IDS, time="2024-04-09")["predictions"]
    np.testing.assert_allclose(chances(at_end), chances(served), atol=1e-6)


def test_tables_are_seen_as_of_their_end_and_what_is_later_is_not_served(
    packed_in_time: Packed, answers: Answers
) -> None:
    """Tables that end on a day, and all of them asked as of that day."""
    tables = Path(str(packed_in_time.pipeline.graph.base))
    item, buys = (pq.read_table(tables / f"{name}.parquet") for name in ("item", "buys"))
    early = buys.filter(pc.less_equal(buys["day"], pa.scalar(date.fromisoformat(DAY), buys["day"].type)))
    assert 0 < early.num_rows < buys.num_rows
    model = Model.load(packed_in_time.folder)
    applied = model.predict({"nodes": {"item": item}, "edges": {("user", "buys", "item"): early}})
    of_tables = {row["id"]: row for row in applied.to_pylist()}
    as_of_day = only(answers, kind="predict", ids=IDS, time=DAY)["predictions"]
    np.testing.assert_allclose(chances(as_of_day), chances([of_tables[name] for name in IDS]), atol=1e-5)
    vectors = [only(answers, kind="embed", ids=IDS, **time)["embeddings"] for time in ({}, {"time": DAY})]
    now, then = (np.array([row["embedding"] for row in rows]) for rows in vectors)
    assert np.abs(now - then).max() > 1e-3


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"kind": "predict", "ids": ["i0"], "time": 3.0}, r"time: must be a point in time in ISO 8601.*got 3\.0"),
        ({"kind": "predict", "ids": ["i0"], "time": "monday"}, r"time: must be a point in time.*got 'monday'"),
        ({"kind": "neighbors", "ids": ["i0"], "time": DAY}, r"time: must be left out here"),
        ({"kind": "predict", "nodes": {"item": [{"id": "new"}]}}, r"nodes, edges: must be left out .*gsl construct"),
    ],
)
def test_what_is_refused(answers: Answers, question: dict[str, Any], message: str) -> None:
    with pytest.raises(GslError, match=message):
        only(answers, **question)


def test_features_of_all_edges_have_no_past(tmp_path: Path) -> None:
    """A degree counts the purchases of the future: a model that reads it answers as of the graph's end alone."""
    data = pipeline(write_timed_shop(tmp_path / "tables"), tmp_path / "run", at="end").model_dump(mode="json")
    data["graph"]["nodes"]["item"]["features"]["bought"] = {"encode": "degree", "edges": ["user:buys:item"]}
    made = build_pipeline(data | {"report": False, "infer": {"predictions": False}})
    run_pipeline(made, ["construct", "train"], reporter=QUIET)
    answers = answers_of(Packed(made, pack(made.output, tmp_path / "model")), tmp_path / "known")
    assert only(answers, kind="predict", ids=IDS)["predictions"]
    for kind in ("predict", "embed"):
        with pytest.raises(GslError, match=r"time: must be left out: .*\.features\.bought, and degree counts"):
            only(answers, kind=kind, ids=IDS, time=DAY)
    answers.engine.applied.close()
