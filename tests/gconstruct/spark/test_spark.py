"""Real Spark: sessions, processes, the same folder and the same training as with the arrow engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gconstruct import build_graph
from gconstruct.engines.spark import pieces, shared_folder
from gconstruct.engines.spark.__main__ import main
from gconstruct.engines.spark.cluster import LAST, Cluster, Pair
from gconstruct.engines.spark.report import Report
from gconstruct.engines.spark.session import spark_context
from graphstorm_like.config import load_pipeline
from graphstorm_like.config.spark import SparkConfig
from graphstorm_like.errors import DataError, GslError, LaunchError, MissingExtraError
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.testing.graphs import write_shop_pipeline

from ..tables import write
from ..test_plugins import TRANSFORM
from . import samples
from .parity import assert_same, build_both, config_of, errors_of_both
from .test_messages import repeated_ids, unknown_nodes

pytestmark = [pytest.mark.slow, pytest.mark.spark]
ROOT = Path(__file__).parents[3]


def java_processes() -> set[int]:
    """Children of this process that run Java."""
    mine = set()
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        if "java" in os.path.basename(os.path.realpath(f"/proc/{child}/exe")):
            mine.add(int(child))
    return mine


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two cores of this machine, for all tests that are about something else."""
    with spark_context(SparkConfig(master="local[2]")) as context:
        yield Cluster(context)
    assert not java_processes()


@pytest.fixture(autouse=True)
def one_piece_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "WORK_BYTES", 1)


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_graph_with_everything(tmp_path: Path, cluster: Cluster, partitions: int) -> None:
    samples.tables(tmp_path)
    build_both(tmp_path, samples.graph(partitions={"count": partitions}))
    assert cluster.context.parallelize([1, 2]).sum() == 3, "a context that is there already stays"


@pytest.mark.parametrize("case", [repeated_ids, unknown_nodes])
def test_messages(tmp_path: Path, cluster: Cluster, case: Any) -> None:
    arrow, spark = errors_of_both(tmp_path, case(tmp_path))
    assert spark == arrow


def _packages(number: int, _: Iterator[Pair]) -> Iterator[Pair]:
    yield (number,), ("torch" in sys.modules, "gconstruct" in sys.modules)


def test_executors_have_no_torch(cluster: Cluster) -> None:
    assert cluster.collect(cluster.over(4, _packages)) == [(False, True)] * 4


def _letter(number: int, _: Iterator[Pair]) -> Iterator[Pair]:
    yield (number,), f"{number},"
    report = Report()
    report.by_piece[number] = number
    yield (LAST, number), report


def _join(first: str, second: str) -> str:
    return first + second


def test_statistics_are_merged_in_order(cluster: Cluster) -> None:
    rows, report = cluster.merged(cluster.over(40, _letter), 40, _join)
    assert cluster.collect(rows) == ["".join(f"{n}," for n in range(40))]
    assert report.by_piece == {n: n for n in range(40)}


def _fail(make: Callable[..., Exception], arguments: tuple[str, ...], number: int, _: Iterator[Pair]) -> Iterator[Pair]:
    if number == 1:
        raise make(*arguments)
    yield (number,), 0


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(DataError, ("a: must be b (got 'c\nd'). É",)), (MissingExtraError, ("x", "pillow", "image"))],
)
def test_our_errors_come_back(cluster: Cluster, kind: type[GslError], arguments: tuple[str, ...]) -> None:
    with pytest.raises(kind) as raised:
        cluster.collect(cluster.over(3, partial(_fail, kind, arguments)))
    assert str(raised.value) == str(kind(*arguments))


def test_other_errors_name_their_cause(cluster: Cluster) -> None:
    with pytest.raises(LaunchError, match=r"every task must succeed .got KeyError: 'nothing'"):
        cluster.collect(cluster.over(3, partial(_fail, KeyError, ("nothing",))))
    with pytest.raises(LaunchError, match="must have the packages .*got ModuleNotFoundError: No module named 'abcd'"):
        cluster.collect(cluster.over(3, partial(_fail, ModuleNotFoundError, ("No module named 'abcd'",))))


def _blind(folder: str, token: str, number: int, _: Iterator[Pair]) -> Iterator[Pair]:
    yield (number,), ("host-7", False)


def test_a_folder_that_is_not_shared(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    shared_folder.check_shared(cluster, tmp_path, "graph")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shared_folder, "_probe", _blind)
    with pytest.raises(DataError, match="graph: graph.path must be on a file system that .*got one that host-7"):
        shared_folder.check_shared(cluster, tmp_path, "graph")
    assert not list(tmp_path.iterdir())


PROGRAM = """
import sys
from pathlib import Path
from graphstorm_like.config.plugins import import_plugins
import_plugins(sys.argv[2:])
from gconstruct import build_graph
from gconstruct.engines.spark import pieces
from tests.gconstruct.spark.test_spark import java_processes
from tests.gconstruct.tables import graph, item
pieces.WORK_BYTES = 1
folder = Path(sys.argv[1])
for engine in ("arrow", "spark"):
    features = {"price": {"encode": "times", "column": "price"}} if sys.argv[2:] else {}
    config = graph(folder, {"item": item(files="items-*.parquet", features=features)})
    spark = config.spark.model_copy(update={"master": "local[1]"})
    config = config.model_copy(update={"engine": engine, "path": str(folder / engine), "spark": spark})
    print(build_graph(config).hashes)
assert not java_processes()
"""


@pytest.mark.parametrize("plugins", [True, False])
def test_a_session_of_its_own_is_quiet_and_ends(tmp_path: Path, plugins: bool) -> None:
    """Java is gone afterwards. Executors import the plug-in."""
    for file in range(2):
        write(tmp_path / f"items-{file}.parquet", id=[f"{file}a", f"{file}b"], price=[1.0, 2.0 + file])
    (tmp_path / "times.py").write_text(TRANSFORM.format(factor=2))
    arguments = [str(tmp_path), *([str(tmp_path / "times.py")] if plugins else [])]
    program = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second
    assert done.stderr == ""


def test_a_submitted_script(tmp_path: Path) -> None:
    """spark-submit knows the master and the packages; the script writes to a URL."""
    import pyspark

    yaml = write_shop_pipeline(tmp_path)
    assert main(["--zip", str(tmp_path / "build")]) == 0
    submit = [str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--master", "local[1]", "--py-files"]
    packages = tmp_path / "build" / "graphstorm_like_packages.zip"
    script = [str(packages), str(ROOT / "training_scripts" / "spark" / "construct.py")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYSPARK_PYTHON"] = sys.executable
    url = f"graph.path=file://{tmp_path}/url"
    command = [*submit, *script, str(yaml), url]
    options: dict[str, Any] = {
        "capture_output": True,
        "text": True,
        "timeout": 300,
        "cwd": tmp_path,
        "env": environment,
    }
    done = subprocess.run(command, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Spark 4" in done.stdout
    assert "at local[1]" in done.stdout
    config = load_pipeline(yaml).graph
    expected = build_graph(config)
    found = GraphManifest.model_validate_json((tmp_path / "url" / "graph.json").read_text())
    assert found.hashes == expected.hashes
    wrong = subprocess.run([*command, "graph.nodes.item.id=nothing"], check=False, **options)
    assert wrong.returncode != 0
    assert "error: graph.nodes.item.id" in wrong.stdout + wrong.stderr


def test_training_is_the_same(tmp_path: Path) -> None:
    """The loss of every step, and the scores."""
    results = []
    for engine in ("arrow", "spark"):
        folder = tmp_path / engine
        folder.mkdir()
        yaml = write_shop_pipeline(folder)
        command = [sys.executable, "-m", "graphstorm_like.cli.main", "run", str(yaml)]
        changes = [f"graph.engine={engine}", "graph.spark.master=local[2]", "train.epochs=2", "train.early_stop=null"]
        done = subprocess.run([*command, *changes], capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        losses = [line for line in done.stdout.splitlines() if "loss" in line]
        scores = json.loads((folder / "run" / "evaluate" / "metrics.json").read_text())
        results.append(([line.split("loss")[1].split()[0] for line in losses], scores))
    assert results[0][0], "losses are printed"
    assert results[0] == results[1]


def test_errors_leave_nothing(tmp_path: Path, cluster: Cluster) -> None:
    samples.tables(tmp_path)
    graph = samples.graph()
    first = build_graph(config_of(tmp_path, "spark", graph))
    (tmp_path / "link-0.parquet").unlink()
    columns = samples.columns(np.random.default_rng(0), 1)
    write(tmp_path / "link-0.parquet", source=["nobody"], target=["item 1"], **columns)
    with pytest.raises(DataError, match="must be the id of a node of type 'item'"):
        build_graph(config_of(tmp_path, "spark", graph))
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["spark"]
    assert_same(tmp_path / "out" / "spark", tmp_path / "out" / "spark", first, first)
