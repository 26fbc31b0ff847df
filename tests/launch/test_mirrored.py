"""Runs whose output is in a store: the same bits as on a disk, and a machine that vanishes loses nothing but time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest
from typer.testing import CliRunner

from gconstruct.report.html import tag
from graphstorm_like.cli.main import app
from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import ConfigError, StoreError
from graphstorm_like.files import record_files, write_hashes
from graphstorm_like.launch.authority import make_secret_file
from graphstorm_like.launch.launcher import launch
from graphstorm_like.launch.mirrored.places import localised
from graphstorm_like.launch.mirrored.reading import for_reading, graph_folder
from graphstorm_like.launch.mirrored.units import run_units
from graphstorm_like.launch.show.graph import show_graph
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.launch.state import STAGES, is_done
from graphstorm_like.mirror import lock, transfer
from graphstorm_like.mirror.lock import locked
from graphstorm_like.mirror.manifest import read_publication
from graphstorm_like.mirror.transfer import Store
from graphstorm_like.mirror.watch import Watcher
from graphstorm_like.progress import Reporter
from graphstorm_like.reports import page
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.testing.text import tiny_text_model

from ..mirror.stores import Flaky
from .faults import GSL, gsl

RESULTS = ("train/best/model.safetensors", "evaluate/metrics.json", "infer/predictions/part-00000.parquet")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(transfer, "PAUSES", (0.0,))


def bucket(name: str) -> str:
    fs = fsspec.filesystem("memory")
    if fs.exists(f"/{name}"):
        fs.rm(f"/{name}", recursive=True)
    return f"memory://{name}/run"


def run(yaml: Path, capsys: pytest.CaptureFixture[str], *changes: str, **options: Any) -> str:
    """`gsl run`; returns its lines."""
    capsys.readouterr()
    launch(load_pipeline(yaml, changes), **options)
    return capsys.readouterr().out


def stored(url: str, name: str) -> bytes:
    content = Store(url).read(name)
    assert content is not None, name
    return content


def test_the_same_bits_as_on_a_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another machine takes up what is there; tables are not fetched to see that they are there."""
    yaml, url = write_shop_pipeline(tmp_path), bucket("bits")
    run_pipeline(load_pipeline(yaml, ["train.epochs=2"]), reporter=Reporter(quiet=True))
    said = run(yaml, capsys, "train.epochs=2", f"output={url}", f"work={tmp_path}/one")
    assert f"{url}/infer: published" in said
    for name in RESULTS:
        assert stored(url, name) == (tmp_path / "run" / name).read_bytes(), name
    assert ".gsl-lock.json" not in Store(url).listing("")
    said = run(yaml, capsys, "train.epochs=2", f"output={url}", f"work={tmp_path}/two")
    assert said.count("up to date") == 4
    assert not list((tmp_path / "two").rglob("*.parquet"))


@pytest.mark.slow
def test_texts_and_readers(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of texts come from the store, and only what is missing is done. Readers fetch what they need."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    encoder = tiny_text_model(tmp_path / "encoder")
    yaml, url = write_shop_pipeline(tmp_path, text_model=str(encoder)), bucket("texts")
    changes = ["train.epochs=1", f"output={url}"]
    run(yaml, capsys, *changes, f"work={tmp_path}/one")
    shutil.rmtree(tmp_path / "one")
    said = run(yaml, capsys, *changes, f"work={tmp_path}/two", "infer.dtype=float16")
    assert [f"{stage}: up to date" in said for stage in ("construct", "train", "evaluate", "infer")] == [True] * 3 + [
        False
    ]
    fetched = [path for path in (tmp_path / "two/cache").iterdir() if not path.name.startswith(".") and path.is_dir()]
    assert sorted(path.name.partition("-")[0] for path in fetched) == ["tokens", "vectors"]
    assert f"{url}/cache" not in said, "they came from the store, and are not sent back"
    assert next(show_graph(graph_folder(f"{url}/graph"))).endswith("1 partition(s), 0.1 MB")
    local = for_reading(load_pipeline(yaml, [*changes, f"work={tmp_path}/four"]), Reporter(quiet=True), False)
    assert [is_done(local, stage) for stage in STAGES] == [True, True, True, False]
    assert not list((tmp_path / "four").rglob("*.arrow")), "whether it is up to date can be seen without"


def test_the_report_is_published_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made when the run has ended. A machine that finds all up to date takes it as it is; `gsl report` makes and
    publishes it anew, from what the store has alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    yaml, url = write_shop_pipeline(tmp_path), bucket("reported")
    text = yaml.read_text().replace(f"output: {tmp_path / 'run'}", f"output: {url}")
    yaml.write_text(text)
    log = tmp_path / "one/logs/attempt-0/trainer-h0-0.log"
    log.parent.mkdir(parents=True)
    log.write_text("what a process said")
    for work in ("one", "two"):
        done = CliRunner().invoke(app, ["run", str(yaml), "train.epochs=1", f"work={tmp_path}/{work}"])
        assert done.exit_code == 0, done.output
        assert f"{url}/report.html" in done.output
        first = stored(url, "report.html")
        assert first == (tmp_path / "one/report.html").read_bytes() == (tmp_path / work / "report.html").read_bytes()
    assert not list((tmp_path / "two").rglob("*.parquet"))
    # Pages may differ in nothing but the time that it took to make them, and equal ones are not sent again.
    monkeypatch.setattr(page, "_footer", lambda report: tag("footer", "made anew"))
    done = CliRunner().invoke(app, ["report", str(yaml)])
    assert done.exit_code == 0, done.output
    assert b"made anew" in stored(url, "report.html")
    for name in ("report.json", "evaluate/metrics.json", "logs/attempt-0/trainer-h0-0.log"):
        assert stored(url, name), name
    with locked(Store(url), print):
        done = CliRunner().invoke(app, ["report", str(yaml)])
    assert done.exit_code == 0, "the page is there, though not in the store"
    assert "Not published: the report in" in done.output


def test_what_is_not_whole_is_not_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pull leaves tables in the store, and a failing disk hides files without an error: neither may replace what is
    published. A store that was emptied is filled again."""
    yaml, url = write_shop_pipeline(tmp_path), bucket("whole")
    run(yaml, capsys, "train.epochs=1", f"output={url}", f"work={tmp_path}/one")
    run(yaml, capsys, "train.epochs=1", f"output={url}", f"work={tmp_path}/two")
    before, store = read_publication(Store(url), "infer"), Store(url)
    assert before is not None
    for work, hide in (("two", None), ("one", "part-00000.parquet")):
        folder = tmp_path / work / "infer"
        (folder / "cost.json").write_text("{}")  # there is something to publish
        if hide is not None:
            (folder / "predictions" / hide).unlink()
        Watcher(partial(run_units, folder.parent, store), print).look()
        assert read_publication(store, "infer") == before
    names = sorted(store.listing(""))
    store.remove(names)
    said = run(yaml, capsys, "train.epochs=1", f"output={url}", f"work={tmp_path}/two")
    assert "infer: runs again" in said, "its tables were in the store alone"
    assert "train: up to date" in said
    assert sorted(store.listing("")) == names


def saved(folder: Path, name: str, content: str) -> None:
    """A saved folder with one file."""
    folder.mkdir(parents=True)
    (folder / name).write_text(content)
    write_hashes(folder, record_files(folder, [name]))


def test_models_that_are_being_removed_are_not_published(tmp_path: Path) -> None:
    """`train.keep_best`: a folder that lacks files, and a resume point without the models that it lists."""
    train, store = tmp_path / "train", Store(bucket("removed"))
    one, two = "kept/update-000000001", "kept/update-000000002"
    saved(train / one, "model.safetensors", "one")
    saved(train / two, "model.safetensors", "two")
    saved(train / "checkpoints/step-000000002", "state.json", json.dumps({"kept": [{"folder": one}, {"folder": two}]}))

    def published() -> set[str]:
        Watcher(partial(run_units, tmp_path, store), print).look()
        publication = read_publication(store, "train")
        return set() if publication is None else {name for name in publication.files if name.startswith("kept/")}

    whole = {f"{folder}/{file}" for folder in (one, two) for file in ("hashes.json", "model.safetensors")}
    assert published() == whole
    (train / one / "model.safetensors").unlink()
    (train / "fingerprint.json").write_text("{}")  # there is something to publish
    assert published() == whole
    shutil.rmtree(train / one)
    assert published() == whole
    saved(train / "checkpoints/step-000000003", "state.json", json.dumps({"kept": [{"folder": two}]}))
    assert published() == {name for name in whole if name.startswith(two)}


def test_a_second_job_is_refused(tmp_path: Path) -> None:
    yaml, url = write_shop_pipeline(tmp_path), bucket("held")
    with locked(Store(url), print), pytest.raises(StoreError, match="must be written by one job at a time"):
        launch(load_pipeline(yaml, [f"output={url}", f"work={tmp_path}/work"]), quiet=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("output=s3://key:hidden@bucket/run", "output: must have no password in it"),
        ("cache='s3://bucket/run?secret=hidden'", "cache: must have no secret in it"),
        ("graph.path=s3://key:hidden@bucket/run", "graph.path: must have no password in it"),
        ("work=here", "work: must be left out where output, cache and graph.path are local folders"),
        ("work=s3://bucket/run", "work: must be a local folder"),
    ],
)
def test_urls_that_are_refused(tmp_path: Path, change: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        load_pipeline(write_shop_pipeline(tmp_path), [change])
    assert "hidden" not in str(caught.value)


def test_where_a_pipeline_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default in a folder for each URL; what lies below the output lies below it there too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    yaml = write_shop_pipeline(tmp_path)
    default = localised(load_pipeline(yaml, ["output=s3://b/runs/one"]))
    assert Path(default.output).parent == tmp_path / "home/graphstorm-like/work"
    assert Path(default.output).name.startswith("one-")
    assert (default.graph.path, default.cache) == (f"{default.output}/graph", f"{default.output}/cache")
    other = localised(load_pipeline(yaml, ["output=s3://b/runs/two", "graph.path=gs://b/g", "work=w", "cache=/c"]))
    assert (other.output, other.graph.path, other.cache) == (f"{tmp_path}/w", f"{tmp_path}/w/graph", "/c")
    plain = load_pipeline(yaml)
    assert localised(plain) is plain


@pytest.mark.slow
def test_trainings_that_were_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is lost when another configuration trains on another machine; the old one is taken up again."""
    yaml, url = write_shop_pipeline(tmp_path), bucket("aside")
    run(yaml, capsys, f"output={url}", f"work={tmp_path}/1", "train.epochs=2")
    weights = stored(url, RESULTS[0])
    said = run(yaml, capsys, f"output={url}", f"work={tmp_path}/2", "train.epochs=1")
    assert "held an earlier run; it is now train.1" in said
    assert stored(url, "train.1/best/model.safetensors") == weights
    assert stored(url, RESULTS[0]) != weights
    said = run(yaml, capsys, f"output={url}", f"work={tmp_path}/3", "train.epochs=2")
    assert "it is train again" in said
    assert "train: up to date" in said
    assert stored(url, RESULTS[0]) == weights
    assert "train.1" not in Store(url).folders()
    # Damage: an older resume point is good enough, the best model must be whole.
    store = Store(url)
    points = sorted(name for name in store.listing("train/checkpoints") if name.endswith("model.safetensors"))
    store.write(points[-1], b"damaged")
    said = run(yaml, capsys, f"output={url}", f"work={tmp_path}/4", "train.epochs=2")
    assert f"warning: {url}/{points[-1]}: must hold what was published" in said
    store.write(RESULTS[0], b"damaged")
    with pytest.raises(StoreError, match=f"{url}/{RESULTS[0]}: must hold what was published"):
        run(yaml, capsys, f"output={url}", f"work={tmp_path}/5", "train.epochs=2")


@pytest.mark.slow
def test_a_store_that_is_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training goes on without it; the error comes at the end, and the same command publishes what there is."""
    yaml, url, away = write_shop_pipeline(tmp_path), bucket("away"), [True]
    plain: Callable[[str], tuple[Any, str]] = transfer.store_of

    def fails(operation: str, path: str, _before: int) -> Exception | None:
        return OSError("no route") if away[0] and operation == "put_file" and "/train/" in path else None

    def flaky(url: str) -> tuple[Any, str]:
        fs, path = plain(url)
        return Flaky(fs, fails), path

    monkeypatch.setattr(transfer, "store_of", flaky)
    changes = [f"output={url}", f"work={tmp_path}/work", "train.epochs=1"]
    with pytest.raises(StoreError, match="writing must succeed .* the same command publishes them"):
        run(yaml, capsys, *changes)
    assert "infer: done" in capsys.readouterr().out
    away[0] = False
    said = run(yaml, capsys, *changes)
    assert said.count("up to date") == 4
    assert stored(url, RESULTS[0]) == (tmp_path / "work" / RESULTS[0]).read_bytes()


COMMON = ["train.early_stop=null", "train.checkpoint.every_steps=1", "launch.timeout_seconds=60.0"]
SIX_EPOCHS = [*COMMON, "train.epochs=6", "train.batch_size=4"]


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.aws
def test_a_spot_machine_that_vanishes(s3: Any, tmp_path: Path) -> None:
    """kill -9, its disk gone: another machine goes on from S3 alone, and ends with the same bits."""
    yaml = write_shop_pipeline(tmp_path)
    code, said = gsl(yaml, SIX_EPOCHS)
    assert code == 0, said

    def kill(line: str, launcher: int) -> None:
        if "epoch 4/6" in line:
            os.kill(launcher, signal.SIGKILL)

    url = "s3://bucket/runs/shop"
    code, said = gsl(yaml, [*SIX_EPOCHS, f"output={url}", f"work={tmp_path}/first"], kill)
    assert code == -signal.SIGKILL, said
    shutil.rmtree(tmp_path / "first")
    code, said = gsl(yaml, [*SIX_EPOCHS, f"output={url}", f"work={tmp_path}/second"])
    assert code == 0, said
    assert "resuming at epoch" in said
    assert "construct: up to date" in said
    for name in RESULTS[:2]:
        assert s3.cat_file(f"bucket/runs/shop/{name}") == (tmp_path / "run" / name).read_bytes(), name


class Hosts:
    """Two machines of a user's own scheduler that share nothing but the store."""

    def __init__(self, folder: Path, yaml: Path, url: str) -> None:
        self.folder, self.yaml, self.url = folder, yaml, url
        make_secret_file(folder / "secret")

    def run(self, name: str, vanish: Callable[[], bool] = lambda: False) -> tuple[list[int], str]:
        """Start both on empty disks; returns exit codes and what they said. vanish: asked whether both do."""
        machines = []
        for host in range(2):
            (self.folder / f"shm-{name}-{host}").mkdir()
            command = [*GSL, "host", str(self.yaml), *ON_TWO_MACHINES, f"output={self.url}"]
            command += [f"work={self.folder}/{name}-{host}", "--index", str(host)]
            command += ["--addresses", "127.0.0.1,127.0.0.1", "--secret-file", str(self.folder / "secret")]
            log = (self.folder / f"{name}-{host}.log").open("w")
            environment = {**os.environ, "GSL_SHM_ROOT": str(self.folder / f"shm-{name}-{host}")}
            machines.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment))
        until, gone = time.monotonic() + 300, False
        while any(machine.poll() is None for machine in machines) and not gone:
            time.sleep(0.05)
            gone = vanish() or time.monotonic() > until
        for machine in machines if gone else ():
            machine.kill()
        codes = [machine.wait() for machine in machines]
        for host in range(2) if gone else ():
            shutil.rmtree(self.folder / f"{name}-{host}")
        return codes, "".join((self.folder / f"{name}-{host}.log").read_text() for host in range(2))


LONG_EPOCHS = ["train.epochs=6", "train.batch_size=4", "launch.threads=1", "graph.partitions.count=2"]
ON_TWO_MACHINES = [*LONG_EPOCHS, "launch.on=external", "launch.hosts=2", "launch.port=29870"]


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.aws
def test_machines_that_share_nothing_but_the_store(s3: Any, tmp_path: Path) -> None:
    """Their ranks' files are whole on each of them, and the first one publishes; both vanish, and two others go on."""
    yaml, url = write_shop_pipeline(tmp_path), "s3://bucket/runs/apart"
    code, said = gsl(yaml, [*LONG_EPOCHS, "launch.hosts=2"])
    assert code == 0, said
    made = [*GSL, "construct", str(yaml), *LONG_EPOCHS, f"output={url}", f"work={tmp_path}/made"]
    subprocess.run(made, check=True, capture_output=True)
    hosts = Hosts(tmp_path, yaml, url)
    codes, said = hosts.run("first", lambda: read_publication(Store(url), "train") is not None)
    assert codes == [-signal.SIGKILL] * 2, said
    codes, said = hosts.run("second")
    assert codes == [0, 0], said
    assert "resuming at epoch" in said
    second = tmp_path / "second-1/host-1"
    partitions = [path.name for path in (second / "graph").glob("part-*")]
    assert partitions == ["part-1"], "a host fetches its own partition"
    ranks = {path.name for path in (tmp_path / "run/train/best").iterdir()}
    for name in [*RESULTS[:2], *(f"train/best/{name}" for name in ranks if name.startswith("embedding-"))]:
        assert s3.cat_file(f"bucket/runs/apart/{name}") == (tmp_path / "run" / name).read_bytes(), name
    for path in (tmp_path / "run/infer").rglob("*.parquet"):
        name = path.relative_to(tmp_path / "run").as_posix()
        assert (second / name).read_bytes() == path.read_bytes(), name
        assert s3.cat_file(f"bucket/runs/apart/{name}") == path.read_bytes(), name
    assert not [name for name in Store(url).listing("") if ".objects" in name]
