"""What must be there for Spark, and the messages when it is not."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from gconstruct.engines.spark.engine import SparkEngine
from gconstruct.engines.spark.session import spark_context
from gconstruct.engines.spark.ship import zip_packages
from graphstorm_like.config.spark import SparkConfig
from graphstorm_like.errors import ConfigError, LaunchError, MissingExtraError

from . import samples
from .parity import config_of


def test_without_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(MissingExtraError, match=r"graphstorm-like\[spark\]"), spark_context(SparkConfig()):
        pass


@pytest.mark.spark
def test_without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    message = r"graph.engine: spark needs Java 17 or newer .*apt-get install default-jre-headless"
    with pytest.raises(ConfigError, match=message), spark_context(SparkConfig()):
        pass


@pytest.mark.slow
@pytest.mark.spark
def test_a_master_that_is_none() -> None:
    message = r"Spark's Java process must start .*\n.*Master must either be yarn or start with spark"
    with pytest.raises(LaunchError, match=r"(?s)" + message), spark_context(SparkConfig(master="lokal")):
        pass


@pytest.mark.slow
@pytest.mark.spark
def test_an_option_that_spark_refuses() -> None:
    config = SparkConfig(master="local[1]", options={"spark.serializer": "no.such.Class"})
    with pytest.raises(ConfigError, match=r"graph.spark: master and options .*no.such.Class"), spark_context(config):
        pass


def test_options_are_spark_s() -> None:
    with pytest.raises(ValueError, match="pattern"):
        SparkConfig.model_validate({"options": {"executor.memory": "4g"}})


ITEM = {"files": "item-*.parquet", "id": "id"}
LINK = {"source": "item", "relation": "link", "target": "item", "files": "link-*.parquet"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"partitions": {"count": 2, "method": "metis"}},
            "graph.partitions.method: must be random, hash or range .*got 'metis', .* gsl partition --method metis",
        ),
        (
            {"partitions": {"count": 2}, "nodes": {"item": {**ITEM, "features": {"r": {"encode": "page_rank"}}}}},
            "graph.nodes.item.features: must be made of columns or degrees .*got r, .* gsl partition",
        ),
        (
            {
                "partitions": {"count": 2, "method": "range", "by": "d"},
                "nodes": {"item": {**ITEM, "features": {"d": {"encode": "degree", "total": True}}}},
                "edges": [LINK],
            },
            "graph.partitions.by: must be a column of tables .*got d, .* gsl partition --method range",
        ),
        ({"add_to": "old"}, "graph.add_to: must be left out with graph.engine: spark"),
    ],
)
def test_what_needs_one_machine(tmp_path: Path, options: dict[str, object], message: str) -> None:
    samples.tables(tmp_path)
    with pytest.raises(ConfigError, match=message):
        SparkEngine(config_of(tmp_path, "spark", samples.graph(**options)), print).check()


@pytest.mark.parametrize("where", ["sql", "join"])
def test_databases_are_refused_wherever_they_are(tmp_path: Path, where: str) -> None:
    pytest.importorskip("sqlalchemy")
    samples.tables(tmp_path)
    with sqlite3.connect(tmp_path / "a.sqlite") as database:
        database.execute("create table items (id text, size integer)")
        database.execute("insert into items values ('a', 1)")
    database.close()
    source = {"sql": {"url": "sqlite:///a.sqlite", "table": "items"}}
    node = {"id": "id", **(source if where == "sql" else {"files": "item-*.parquet", "join": [source]})}
    config = config_of(tmp_path, "spark", {"nodes": {"item": node}})
    message = r"graph.engine: spark reads files, several times \(got sqlite:///.*a.sqlite table items\)"
    with pytest.raises(ConfigError, match=message):
        SparkEngine(config, print).check()


def test_packages_are_shipped_whole_and_the_same(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    (one,), (other,) = (zip_packages(tmp_path / folder) for folder in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    names = ZipFile(one).namelist()
    assert {"gconstruct/__init__.py", "gconstruct/transforms/numeric.py", "graphstorm_like/errors.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or not name.endswith(".py")]
