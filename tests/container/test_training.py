"""A training job under an emulated /opt/ml: one host, hosts with folders of their own, machines that are taken away."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphstorm_like.bench.jobs import running
from graphstorm_like.container.__main__ import main
from graphstorm_like.container.folders import read_hosts
from graphstorm_like.container.training import read_order
from graphstorm_like.files import files_below
from graphstorm_like.launch.authority import new_credentials
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop
from tests.container.ml import CONTAINER, IN_S3, Machine, local_pipeline, losses_in, shop_yaml
from tests.launch.netns import network, what_is_missing

BEST = "train/best/model.safetensors"
PARAMETERS = {"gsl_stages": "construct,train,evaluate,infer", "train.lr": "0.02"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("sagemaker") / "tables")


@pytest.fixture(scope="module")
def local(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of the same run in this process."""
    return run_here(tmp_path_factory.mktemp("local") / "checkpoints", tables)


def run_here(folder: Path, tables: Path, partitions: int = 1) -> Path:
    pipeline = local_pipeline(shop_yaml(folder, tables, partitions), "train.lr=0.02")
    run_pipeline(pipeline, reporter=Reporter(quiet=True))
    return folder / "run"


# ------------------------------------------------------------------------------------------------ what is read


def test_hyperparameters_are_overrides(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    told = {"train.lr": "1e-3", "train": "{epochs: 2}", "_tuning_objective_metric": "valid:accuracy"}
    machine.config("hyperparameters", {**told, "gsl_stages": "evaluate,train", "gsl_fresh": "true"})
    order = read_order(tmp_path)
    assert order.overrides == ("train={epochs: 2}", "train.lr=1e-3"), "a section comes before its keys"
    assert (order.stages, order.fresh, order.quiet) == (("train", "evaluate"), True, False)


def test_all_hosts_number_themselves_alike(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.config("resourceconfig", {"current_host": "algo-10", "hosts": ["algo-10", "algo-2", "algo-1"]})
    hosts = read_hosts(tmp_path)
    assert (hosts.names, hosts.index) == (("algo-1", "algo-2", "algo-10"), 2)


# ------------------------------------------------------------------------------------------------ how it fails


def failed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("SM_ROOT", str(machine.root))
    code = main(["train"])
    assert machine.failure, "the reason is where SageMaker looks for it"
    return code


def test_failures_have_reasons_and_codes(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml_file = shop_yaml(tmp_path / "yaml", tables)
    typo = Machine.made(tmp_path / "typo", yaml_file, {"train.epoch": "3"})
    assert failed(typo, monkeypatch) == 2
    assert "train.epoch: unknown key" in typo.failure
    other = Machine.made(tmp_path / "other", yaml_file, {}, ("algo-1", "algo-2"))
    assert failed(other, monkeypatch) == 6
    assert "launch.hosts: must be the number of the job's machines, 2 (got 1)" in other.failure
    nothing = Machine.made(tmp_path / "nothing", yaml_file, {"graph.base": str(tmp_path / "no-tables")})
    assert failed(nothing, monkeypatch) == 3
    assert "must be a file, glob or folder that exists" in nothing.failure
    assert len(nothing.failure.encode()) <= 1024
    empty = Machine(tmp_path / "empty")
    assert failed(empty, monkeypatch) == 6
    assert "resourceconfig.json: must be there, as SageMaker writes it" in empty.failure


# ------------------------------------------------------------------------------------------------ one machine


def test_no_report_of_an_earlier_state_is_handed_over(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job goes on from checkpoints with the report of a run before; its own cannot be made."""
    machine = Machine.made(tmp_path / "ml", shop_yaml(tmp_path / "yaml", IN_S3), {"train.epochs": "1"})
    machine.channel("tables", tables)
    monkeypatch.setenv("SM_ROOT", str(machine.root))
    assert main(["train"]) == 0
    data = machine.root / "output/data"
    assert sorted(file.name for file in data.iterdir()) == ["metrics.json", "report.html", "report.json"]
    shutil.rmtree(data)
    machine.config("hyperparameters", {"train.epochs": "1", "train.lr": "0.02"})

    def fails(_: object) -> str:
        raise ValueError("no page")

    monkeypatch.setattr("graphstorm_like.reports.write.page", fails)
    for _ in range(2):  # the second time all stages are up to date
        assert main(["train"]) == 0
        assert (machine.run / "report.html").exists()
        assert [file.name for file in data.iterdir()] == ["metrics.json"]


@pytest.mark.slow
@pytest.mark.dist
def test_a_machine_is_taken_away(tables: Path, local: Path, tmp_path: Path) -> None:
    """SIGTERM in the middle; a new machine, which has nothing but what was in checkpoints/, ends with the same bits."""
    yaml_file = shop_yaml(tmp_path / "yaml", IN_S3)
    first = Machine.made(tmp_path / "ml", yaml_file, PARAMETERS)
    first.channel("tables", tables)
    with running([*CONTAINER, "train"], first.environment) as job:
        job.wait_for("epoch 1/")
        os.kill(job.pid, signal.SIGTERM)
        code, said = job.end()
    assert code == 128 + signal.SIGTERM, said
    assert "wrote a resume point" in said
    assert first.failure == "", "SageMaker shows a reason for what has failed, not for what it has stopped"
    assert not (first.root / "model").exists()

    in_s3 = tmp_path / "s3"
    shutil.copytree(first.root / "checkpoints", in_s3, copy_function=shutil.copyfile)
    shutil.rmtree(first.root)
    second = Machine.made(first.root, yaml_file, PARAMETERS)
    second.channel("tables", tables)
    shutil.copytree(in_s3, second.root / "checkpoints", copy_function=shutil.copyfile)
    with running([*CONTAINER, "train"], second.environment) as job:
        code, said = job.end()
    assert code == 0, said
    assert "construct: up to date" in said
    assert "resuming at epoch" in said
    assert (second.run / BEST).read_bytes() == (local / BEST).read_bytes()
    assert second.losses == losses_in(local)
    assert (second.root / "model/weights/model.safetensors").read_bytes() == (local / BEST).read_bytes()
    assert json.loads((second.root / "output/data/metrics.json").read_text()) == second.scores
    assert (second.root / "output/data/report.html").read_bytes() == (second.run / "report.html").read_bytes()
    assert (second.run / "infer/manifest.json").exists()


# ------------------------------------------------------------------------------------------------ two machines

HOSTS = ("algo-1", "algo-2")
WITH_NAMES = 'mount --bind "$0" /etc/hosts && exec "$@"'


@pytest.fixture
def names(tmp_path: Path) -> Iterator[tuple[object, Path]]:
    """Two machines at a switch, and the file by which they know each other's names."""
    with network(2) as net:
        file = tmp_path / "hosts"
        file.write_text("127.0.0.1 localhost\n" + "".join(f"{net.address(i)} {n}\n" for i, n in enumerate(HOSTS)))
        yield net, file


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.netns
@pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing())
def test_two_machines_with_folders_of_their_own(names: tuple, tables: Path, tmp_path: Path) -> None:
    net, file = names
    yaml_file, secret = shop_yaml(tmp_path, IN_S3, hosts=2), new_credentials(tls=True)
    machines, jobs = [], []
    try:
        for own in range(2):
            machine = Machine.made(tmp_path / HOSTS[own], yaml_file, PARAMETERS, HOSTS, own)
            machine.channel("tables", tables)
            machine.channel("secret").joinpath("secret").write_text(secret.text)
            machines.append(machine)
            program = ["env", f"SM_ROOT={machine.root}", *CONTAINER, "train"]
            jobs.append(net.start(own, ["sh", "-c", WITH_NAMES, str(file), *program]))
        ends = [job.end() for job in jobs]
    finally:
        for job in jobs:
            job.stop()
    assert [code for code, _ in ends] == [0, 0], "\n".join(said for _, said in ends)
    one, other = machines
    local = run_here(tmp_path / "local/checkpoints", tables, partitions=2)
    assert one.losses[:2] == pytest.approx(losses_in(local)[:2], rel=1e-6)
    assert one.losses == pytest.approx(losses_in(local), rel=1e-3), "roundings of another order grow from step to step"
    assert one.scores["test"] == pytest.approx(Machine(local.parents[1]).scores["test"], abs=1e-6)
    for name in (BEST, "train/best/hashes.json", "infer/manifest.json", "evaluate/metrics.json"):
        assert (one.run / name).read_bytes() == (other.run / name).read_bytes(), name
    for folder in ("train/best", "infer"):
        assert files_below(one.run / folder) == files_below(other.run / folder), "each folder is whole"
    assert (one.root / "model/model.json").exists()
    assert "accuracy" in (one.root / "output/data/report.html").read_text()
    assert not (other.root / "model").exists(), "SageMaker packs the folders of all hosts together"
