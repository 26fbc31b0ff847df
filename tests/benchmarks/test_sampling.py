"""Sampling is measured over partitions: traffic is what the cost model says of the counts, and tables hold together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bench_sampling import RUNS, measure, parse_counts
from cost_model import Measured
from sampling_table import sampling_table

from gconstruct.partition import partition_graph
from graphstorm_like.config import Pipeline
from graphstorm_like.errors import ConfigError


@pytest.fixture
def runs(shop_config: Callable[..., Pipeline], tmp_path: Path) -> list[Measured]:
    """Of 1, 2 and 3 partitions."""
    pipeline = shop_config("node_classification", train={"batch_size": 8}, launch={"on": "local", "threads": 1})
    found = measure(pipeline, batches=2)
    for count in (2, 3):
        folder = tmp_path / str(count)
        partition_graph(Path(str(pipeline.graph.path)), folder, count, "random", 0)
        graph = pipeline.graph.model_copy(update={"path": str(folder)})
        found += measure(pipeline.model_copy(update={"graph": graph}), batches=2)
    return found


@pytest.mark.slow
@pytest.mark.dist
def test_traffic_is_what_was_counted(runs: list[Measured]) -> None:
    assert [run.partitions for run in runs] == [1, 2, 2, 3, 3]
    assert runs[0].remote.edges == runs[0].remote.inputs == 0
    assert runs[0].traffic.bytes == (0, 0)
    for run in runs[1:]:
        assert 0 < run.remote.edges < run.batch.edges
        assert 0 < run.remote.inputs < run.batch.inputs
        # At most a question and an answer for a layer and a host; none where nothing was to be asked.
        assert 0 < run.traffic.messages[0] <= 2 * (run.partitions - 1) * len(run.batch.layers)
        assert run.traffic.messages[1] == 2 * (run.partitions - 1)
        for said, was, messages in zip(run.remote.wire_bytes, run.traffic.bytes, run.traffic.messages, strict=True):
            # Headers and padding come on top; ids below 256 take a byte of the 8 that are counted.
            assert said / 8 < was < said + 4000 * messages
    assert runs[2].remote.layers[0].asked == 0  # own seeds
    assert runs[1].remote.layers[0].asked > 0
    assert RUNS.validate_json(RUNS.dump_json(runs)) == runs


@pytest.mark.slow
@pytest.mark.dist
def test_table(runs: list[Measured]) -> None:
    lines = list(sampling_table(runs))
    assert len([line for line in lines if line.startswith("3 partitions, seeds: own")]) == 2
    assert "fitted to the runs of fewer than 3 partitions" in "\n".join(lines)
    assert "fitted" not in "\n".join(sampling_table(runs[:1]))


def test_numbers_of_partitions() -> None:
    assert parse_counts("1, 2,4") == [1, 2, 4]
    for wrong in ("", "2,", "0", "one", "-1"):
        with pytest.raises(ConfigError, match="--partitions: must be whole numbers"):
            parse_counts(wrong)
