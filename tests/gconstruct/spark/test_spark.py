"""Real Spark: a cluster of several processes, sessions, submitted scripts; the same graph as the arrow engine's."""

from __future__ import annotations

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
from gconstruct.engines.spark import cluster as cluster_module
from gconstruct.engines.spark import pieces, shared_folder
from gconstruct.engines.spark.__main__ import main
from gconstruct.engines.spark.cluster import LAST, Cluster, Pair
from gconstruct.engines.spark.report import Report
from gconstruct.engines.spark.session import spark_context
from graphstorm_like.config import load_pipeline
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError, LaunchError, MissingExtraError
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.testing.graphs import write_shop_pipeline

from ..moto_s3 import environment, s3_server
from ..tables import write
from ..test_plugins import TRANSFORM
from . import samples
from .parity import build_both, config_of, errors_of_both
from .standalone import standalone
from .test_messages import repeated_ids

pytestmark = [pytest.mark.slow, pytest.mark.spark]
ROOT = Path(__file__).parents[3]


def java_processes() -> set[int]:
    """Children of this process that run Java, without the daemons of `standalone`, which have sessions of their own."""
    mine = set()
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        is_java = "java" in os.path.basename(os.path.realpath(f"/proc/{child}/exe"))
        if is_java and os.getsid(int(child)) == os.getsid(0):
            mine.add(int(child))
    return mine


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The endpoint of a server with S3's API."""
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, s3: str) -> Iterator[Cluster]:
    """Two executors, for all tests that are about something else than sessions."""
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # executors do not have the tests
    folder = tmp_path_factory.mktemp("cluster")
    with standalone(folder, environment(s3)) as config:
        with spark_context(config) as context:
            yield Cluster(context)
        assert not java_processes(), "its driver has ended"


@pytest.fixture(autouse=True)
def one_piece_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "WORK_BYTES", 1)


def test_a_graph_with_everything(tmp_path: Path, cluster: Cluster) -> None:
    samples.tables(tmp_path)
    build_both(tmp_path, samples.graph(partitions={"count": 3, "method": "hash"}))
    assert cluster.context.parallelize([1, 2]).sum() == 3, "a context that is there already stays"


def test_from_s3_to_s3(tmp_path: Path, cluster: Cluster, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    graph = samples.shop(tmp_path, "string", np.random.default_rng(0)) | {"partitions": {"count": 2}}
    graph["edges"][0]["on_unknown_node"] = "create"
    expected = build_graph(config_of(tmp_path, "arrow", graph))
    for name, value in environment(s3).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    fs = s3fs.S3FileSystem()
    fs.mkdir("spark")
    for file in tmp_path.glob("*.parquet"):
        fs.put_file(str(file), f"spark/tables/{file.name}")
    places = {"base": "s3://spark/tables", "path": "s3://spark/graphs/new", "engine": "spark"}
    config = GraphConfig.model_validate(graph | places)
    assert build_graph(config).hashes == expected.hashes
    for file in expected.hashes:
        assert fs.cat_file(f"spark/graphs/new/{file}") == (tmp_path / "out" / "arrow" / file).read_bytes()
    assert GraphManifest.model_validate_json(fs.cat_file("spark/graphs/new/graph.json")).hashes == expected.hashes
    with pytest.raises(DataError, match=r"s3://misspelt/graph.* \(got .*bucket does not exist"):
        build_graph(config.model_copy(update={"path": "s3://misspelt/graph"}))
    assert not fs.exists("misspelt")
    fs.rm("spark", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def test_messages(tmp_path: Path, cluster: Cluster) -> None:
    arrow, spark = errors_of_both(tmp_path, repeated_ids(tmp_path))
    assert spark == arrow


def _place(number: int, _: Iterator[Pair]) -> Iterator[Pair]:
    import gconstruct

    yield (number,), (os.getcwd(), str(gconstruct.__file__), "torch" in sys.modules)


def test_executors_get_our_code_and_need_no_torch(cluster: Cluster) -> None:
    """They run in folders of their own, with a Python that has none of it."""
    python = str(cluster.context.pythonExec)
    alone = [python, "-c", "import pyarrow, gconstruct"]
    away = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(alone, capture_output=True, text=True, timeout=60, check=False, cwd="/", env=away)
    assert "No module named 'gconstruct'" in done.stderr
    places = cluster.collect(cluster.over(8, _place))
    assert len({folder for folder, _, _ in places}) == 2
    ((file, torch),) = {(file, torch) for _, file, torch in places}
    assert file.startswith("./graphstorm_like_packages-")
    assert not torch


def _letter(number: int, _: Iterator[Pair]) -> Iterator[Pair]:
    yield (number,), f"{number},"
    report = Report()
    report.by_piece[number] = number
    yield (LAST, number), report


def _join(first: str, second: str) -> str:
    return first + second


def test_statistics_are_merged_in_order(cluster: Cluster) -> None:
    rows, report = cluster.merged(cluster.over(20, _letter), 20, _join)
    assert cluster.collect(rows) == ["".join(f"{n}," for n in range(20))]
    assert report.by_piece == {n: n for n in range(20)}


def _fail(make: Callable[..., Exception], arguments: tuple[str, ...], number: int, _: Iterator[Pair]) -> Iterator[Pair]:
    if number == 1:
        raise make(*arguments)
    yield (number,), 0


def test_errors_come_back(cluster: Cluster) -> None:
    """Ours as they were, others with their cause."""
    message = "a: must be b (got 'c\nd'). É"
    with pytest.raises(DataError) as raised:
        cluster.collect(cluster.over(2, partial(_fail, DataError, (message,))))
    assert str(raised.value) == message
    with pytest.raises(LaunchError, match=r"every task must succeed .got KeyError: 'nothing'"):
        cluster.collect(cluster.over(2, partial(_fail, KeyError, ("nothing",))))
    with pytest.raises(LaunchError, match="must have the packages .*got ModuleNotFoundError: No module named 'abcd'"):
        cluster.collect(cluster.over(2, partial(_fail, ModuleNotFoundError, ("No module named 'abcd'",))))


def test_errors_that_are_made_of_several_values() -> None:
    error = MissingExtraError("x", "pillow", "image")
    stage = partial(_fail, MissingExtraError, ("x", "pillow", "image"))
    with pytest.raises(RuntimeError) as raised:
        list(cluster_module._guarded(stage, 1, iter([])))
    ours = cluster_module._as_ours(raised.value)
    assert (type(ours), str(ours)) == (MissingExtraError, str(error))


def _blind(folder: str, token: str, number: int, _: Iterator[Pair]) -> Iterator[Pair]:
    yield (number,), ("host-7", False)


def test_a_folder_that_is_not_shared(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
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
    features = {"price": {"encode": "times", "column": "price"}}
    config = graph(folder, {"item": item(files="items-*.parquet", features=features)})
    spark = config.spark.model_copy(update={"master": "local[1]"})
    config = config.model_copy(update={"engine": engine, "path": str(folder / engine), "spark": spark})
    print(build_graph(config).hashes)
assert not java_processes()
"""


def test_a_session_of_its_own_is_quiet_and_ends(tmp_path: Path) -> None:
    """Java is gone afterwards. Executors import the plug-in."""
    for file in range(2):
        write(tmp_path / f"items-{file}.parquet", id=[f"{file}a", f"{file}b"], price=[1.0, 2.0 + file])
    (tmp_path / "times.py").write_text(TRANSFORM.format(factor=2))
    arguments = [str(tmp_path), str(tmp_path / "times.py")]
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
    submit = [str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--master", "local[1]"]
    submit += ["--driver-java-options", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", "--py-files"]
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
    options["env"] = os.environ | {"PYTHONPATH": str(packages)}
    wrong = subprocess.run(
        [sys.executable, script[1], str(yaml), "graph.nodes.item.id=nothing"], check=False, **options
    )
    assert wrong.returncode != 0
    assert "error: graph.nodes.item.id" in wrong.stdout + wrong.stderr


def test_the_command(tmp_path: Path) -> None:
    """The graph that training gets is arrow's."""
    yaml = write_shop_pipeline(tmp_path)
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "construct", str(yaml)]
    changes = ["graph.engine=spark", "graph.spark.master=local[2]"]
    done = subprocess.run([*command, *changes], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    graph = load_pipeline(yaml).graph
    found = GraphManifest.model_validate_json((Path(str(graph.path)) / "graph.json").read_text())
    assert build_graph(graph.model_copy(update={"path": str(tmp_path / "arrow")})).hashes == found.hashes
