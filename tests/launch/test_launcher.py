"""What comes before and around the processes: construction, the lock, the pipeline they read, addresses, secrets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.errors import ConfigError, DataError, LaunchError
from graphstorm_like.files import exclusive
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.launch import host as launch_host
from graphstorm_like.launch import process
from graphstorm_like.launch.authority import make_secret_file
from graphstorm_like.launch.host import (
    free_ports,
    host_folder,
    interface_of,
    job_name,
    memory_root,
    read_secret,
    resolve,
    sweep,
    write_secret,
)
from graphstorm_like.launch.launcher import launch
from graphstorm_like.launch.launchers import local
from graphstorm_like.launch.launchers.base import LAUNCHERS
from graphstorm_like.launch.one_host import run_one_host
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.launch.worker import read_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop_pipeline
from tests.launch.faults import hear_signals

PLAIN = Credentials("ab" * 32)
TWO = "graph.partitions.count=2"
FAKE = """
import json, os, pathlib, signal, sys
role = sys.argv[sys.argv.index("--role") + 1]
file = pathlib.Path(sys.argv[sys.argv.index("--pipeline") + 1])
told = {k: v for k, v in os.environ.items() if k.startswith(("GSL_", "MASTER", "RANK", "OMP", "GLOO", "NCCL"))}
told |= {"argv": sys.argv[1:], "secret": pathlib.Path(os.environ["GSL_SECRET_FILE"]).read_text()}
name = f"{role}-{os.environ.get('RANK', os.environ['GSL_HOST'])}-{os.environ['GSL_ATTEMPT']}.json"
told["graph"] = (file.parents[1] / "graph" / "graph.json").exists()
(file.parent / name).write_text(json.dumps(told))
if role == "server":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
if os.environ["RANK"] == "0" and "TEST_BEGINS" in os.environ:
    (file.parents[1] / "train" / "done.json").unlink(missing_ok=True)
if os.environ["GSL_ATTEMPT"] == "0" and os.environ["RANK"] == os.environ.get("TEST_FAILS"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def fake_gsl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that write down what they were told, and end."""
    (tmp_path / "fake.py").write_text(FAKE)
    monkeypatch.setattr(process, "GSL", (sys.executable, str(tmp_path / "fake.py")))


def shop(tmp_path: Path, *changes: str) -> Pipeline:
    return load_pipeline(write_shop_pipeline(tmp_path), changes)


def told(tmp_path: Path) -> dict[str, dict[str, str]]:
    return {p.stem: json.loads(p.read_text()) for p in (tmp_path / "run" / "launch").glob("*-*.json")}


@pytest.mark.known_answer("launchers/local")
def test_from_tables_to_trainers(tmp_path: Path, fake_gsl: None, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = shop(tmp_path, "launch.trainers=2", "launch.threads=3")
    launch(pipeline, fresh=True)
    out = capsys.readouterr().out
    assert "construct: done" in out
    found = told(tmp_path)
    assert set(found) == {"trainer-0-0", "trainer-1-0"}
    for one in found.values():
        assert one["graph"] is True
        assert one["argv"][-3:] == ["--stages", "train,evaluate,infer", "--fresh"]
        assert Credentials.parse(one["secret"]).encrypted is False, "one host has no servers"
        assert one["OMP_NUM_THREADS"] == "3"
        assert not Path(one["GSL_SHM"]).exists()
    assert read_pipeline(tmp_path / "run" / "launch" / "pipeline.json") == pipeline


def test_attempts_meet_at_other_ports(tmp_path: Path, fake_gsl: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_FAILS", "1")
    pipeline = shop(tmp_path, "launch.trainers=2", "launch.max_restarts=1")
    launch(pipeline, ["construct", "train"])
    found = told(tmp_path)
    assert set(found) == {"trainer-0-0", "trainer-1-0", "trainer-0-1", "trainer-1-1"}
    assert found["trainer-0-0"]["MASTER_PORT"] != found["trainer-0-1"]["MASTER_PORT"]
    assert found["trainer-0-0"]["MASTER_PORT"] == found["trainer-1-0"]["MASTER_PORT"]
    assert sorted(p.name for p in (tmp_path / "run" / "logs").iterdir()) == ["attempt-0", "attempt-1"]


@pytest.mark.parametrize("begins", [True, False])
def test_fresh_until_it_has_begun(
    tmp_path: Path, fake_gsl: None, monkeypatch: pytest.MonkeyPatch, begins: bool
) -> None:
    """A death before that must not make results of before the fresh start count as its own; one after it goes on."""
    yaml = write_shop_pipeline(tmp_path)
    run_pipeline(load_pipeline(yaml, ["train.epochs=1"]), ["construct", "train"], reporter=Reporter(quiet=True))
    monkeypatch.setenv("TEST_FAILS", "0")
    if begins:
        monkeypatch.setenv("TEST_BEGINS", "1")
    changes = ["train.epochs=1", "launch.trainers=2", "launch.max_restarts=1"]
    launch(load_pipeline(yaml, changes), ["train"], fresh=True)
    found = told(tmp_path)
    assert "--fresh" in found["trainer-0-0"]["argv"]
    assert ("--fresh" in found["trainer-0-1"]["argv"]) is not begins


def test_what_is_up_to_date_starts_nothing(tmp_path: Path, fake_gsl: None, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = write_shop_pipeline(tmp_path)
    run_pipeline(load_pipeline(yaml, ["train.epochs=1"]), reporter=Reporter(quiet=True))
    launch(load_pipeline(yaml, ["train.epochs=1", "launch.trainers=2"]))
    assert [line.split(" (")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"{s}: up to date" for s in ("construct", "train", "evaluate", "infer")
    ]
    assert not told(tmp_path)


def test_hosts_need_partitions_of_a_folder_that_is_there(tmp_path: Path, fake_gsl: None) -> None:
    run_pipeline(shop(tmp_path), ["construct"], reporter=Reporter(quiet=True))
    changes = ["graph={path: run/graph}", f"output={tmp_path}/other", "launch.hosts=2"]
    with pytest.raises(DataError, match=r"partition for each of launch.hosts, 2 \(got 1\).*gsl partition"):
        launch(load_pipeline(tmp_path / "pipeline.yaml", changes))


def test_one_run_an_output_folder(tmp_path: Path, fake_gsl: None) -> None:
    pipeline = shop(tmp_path, "launch.trainers=2")
    with (
        exclusive(tmp_path / "run" / ".gsl.lock", "running"),
        pytest.raises(DataError, match="already running in this"),
    ):
        launch(pipeline)


def test_other_launchers_say_how_they_are_started(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="gsl host PIPELINE --index"):
        launch(shop(tmp_path, "launch.on=external"))
    with pytest.raises(LaunchError, match="gsl launch PIPELINE --on slurm"):
        launch(shop(tmp_path, "launch.on=slurm"))


# ---------------------------------------------------------------------------------------------------- gsl host


@pytest.mark.known_answer("launchers/external")
def test_one_host_of_two(tmp_path: Path, fake_gsl: None) -> None:
    pipeline = shop(tmp_path, "launch.on=external", "launch.hosts=2", "launch.trainers=2", "launch.port=6000", TWO)
    run_pipeline(pipeline, ["construct"], reporter=Reporter(quiet=True))
    make_secret_file(tmp_path / "secret")
    with pytest.raises(LaunchError, match="is started on each machine. Run there: gsl host"):
        LAUNCHERS.of(pipeline.launch)(pipeline.launch).run(pipeline)
    run_one_host(pipeline, 1, ["127.0.0.1", "127.0.0.1"], tmp_path / "secret")
    found = told(tmp_path)
    assert set(found) == {"pipeline-h1", "server-1-0", "trainer-2-0", "trainer-3-0"}
    one = found["trainer-2-0"]
    assert (one["MASTER_ADDR"], one["MASTER_PORT"]) == ("127.0.0.1", "6000")
    job, own = (Credentials.parse(text) for text in ((tmp_path / "secret").read_text(), one["secret"]))
    assert (own.token, own.authority) == (job.token, job.authority)
    assert own.certificate
    assert job.key not in one["secret"], "the authority's key stays with the supervisor"
    assert one["GSL_SERVERS"] == "127.0.0.1:6001;127.0.0.1:6002"
    assert one["argv"][-2:] == ["--stages", "train,evaluate,infer"]


@pytest.mark.parametrize(
    ("index", "addresses", "secret", "says"),
    [
        (0, ["10.0.0.1"], True, r"addresses: must be one for each of launch.hosts, 2 \(got 1\)"),
        (2, ["10.0.0.1", "10.0.0.2"], True, r"--index: must be less than launch.hosts, 2"),
        (0, ["10.0.0.1", "8.8.8.8"], True, r"must be private addresses \(got 8.8.8.8\)"),
        (0, ["10.0.0.1", "0.0.0.0"], True, r"must be private addresses \(got 0.0.0.0\)"),
        (0, ["10.0.0.1", "10.0.0.2"], False, r"--secret-file: must be given"),
    ],
)
def test_a_host_refuses(tmp_path: Path, index: int, addresses: list[str], secret: bool, says: str) -> None:
    make_secret_file(tmp_path / "secret")
    pipeline = shop(tmp_path, "launch.on=external", "launch.hosts=2", TWO)
    with pytest.raises(LaunchError, match=says):
        run_one_host(pipeline, index, addresses, tmp_path / "secret" if secret else None)


def test_a_host_needs_ports_that_all_know(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"launch.on: must be external or slurm for gsl host \(got local\)"):
        run_one_host(shop(tmp_path), 0, [], None)


def test_gsl_host(tmp_path: Path, fake_gsl: None) -> None:
    yaml = write_shop_pipeline(tmp_path)
    missing = CliRunner().invoke(app, ["host", str(yaml), "launch.on=external"])
    assert "must be a graph folder" in str(missing.exception)
    run_pipeline(load_pipeline(yaml), ["construct"], reporter=Reporter(quiet=True))
    done = CliRunner().invoke(app, ["host", str(yaml), "launch.on=external", "--quiet"])
    assert done.exit_code == 0, done.output
    assert set(told(tmp_path)) == {"pipeline-h0", "trainer-0-0"}


# ----------------------------------------------------------------------------------------- folders, secrets, ports


def test_a_folder_is_one_jobs(tmp_path: Path) -> None:
    folder = tmp_path / "gsl-a-h0"
    with host_folder(folder, PLAIN):
        assert (folder.stat().st_mode & 0o777, (folder / "secret").stat().st_mode & 0o777) == (0o700, 0o600)
        with pytest.raises(LaunchError, match="another job of this name"), host_folder(folder, PLAIN):
            pass
        assert (folder / "secret").exists()
    assert not list(tmp_path.iterdir())
    folder.mkdir()
    (folder / "table").write_text("of a job that was killed")
    with host_folder(folder, PLAIN):
        assert not (folder / "table").exists()


def test_a_sweep_takes_only_what_supervisors_left(tmp_path: Path) -> None:
    dead, strange, unlocked = tmp_path / "gsl-a-b-h0", tmp_path / "gsl-a-hello", tmp_path / "gsl-a-h1"
    for folder in (dead, strange, unlocked):
        folder.mkdir()
        if folder != unlocked:
            (folder / "lock").write_text("")
    link = tmp_path / "gsl-a-h7"
    link.symlink_to(strange)
    with host_folder(tmp_path / "gsl-a-h2", PLAIN):
        sweep(tmp_path)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["gsl-a-h1", "gsl-a-h2", "gsl-a-h7", "gsl-a-hello"]
    assert (strange / "lock").exists()


def test_a_secret_is_closed_to_others(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(LaunchError, match="Make one with: gsl secret"):
        read_secret(file, tls=True)
    done = CliRunner().invoke(app, ["secret", str(file)])
    assert (done.exit_code, file.stat().st_mode & 0o777) == (0, 0o600), done.output
    made = read_secret(file, tls=True)
    assert made.text == file.read_text()
    assert read_secret(file, tls=False) == Credentials(made.token)
    again = CliRunner().invoke(app, ["secret", str(file)])
    assert "must be a file that can be made" in str(again.exception), "never written over"
    file.chmod(0o640)  # as Kubernetes mounts it for a group
    assert read_secret(file, tls=True) == made
    for mode in (0o644, 0o602, 0o620):
        file.chmod(mode)
        with pytest.raises(LaunchError, match="must not be open to others"):
            read_secret(file, tls=True)
    file.chmod(0o600)
    file.write_text("ab" * 32)
    assert read_secret(file, tls=False) == PLAIN
    with pytest.raises(LaunchError, match=r"hex alone is not.*gsl secret.*launch\.tls: false"):
        read_secret(file, tls=True)
    for wrong in ("password", "", "ab" * 32 + "\nmore"):
        file.write_text(wrong)
        with pytest.raises(LaunchError, match="must hold the job's secret"):
            read_secret(file, tls=True)


def test_names_ports_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_host, "RESOLVE_SECONDS", 0.0)
    assert job_name("My Shop_2.x", "m") == "my-shop-2-x-m"
    assert job_name("x") != job_name("x")
    ports = free_ports("127.0.0.1", 8)
    assert len(set(ports)) == 8
    with socket.socket() as one:
        one.bind(("127.0.0.1", ports[0]))
    assert resolve(["10.1.2.3", "localhost"]) == ("10.1.2.3", "127.0.0.1")
    with pytest.raises(LaunchError, match="must have an address"):
        resolve(["no-such-host.invalid"])
    with pytest.raises(LaunchError, match="must be private addresses"):
        resolve(["1.1.1.1"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux")
def test_the_interface_of_an_address() -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("203.0.113.7") is None
    names = {name for _, name in socket.if_nameindex()}
    try:
        own = resolve([socket.gethostname()])[0]
    except LaunchError:
        pytest.skip("this machine's name leads nowhere private")
    assert ":" in own or interface_of(own) in names


def test_the_user_chooses_the_network(tmp_path: Path, fake_gsl: None, monkeypatch: pytest.MonkeyPatch) -> None:
    launch(shop(tmp_path, "launch.trainers=2"), ["construct", "train"])
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    (tmp_path / "run" / "launch" / "trainer-1-0.json").unlink()
    launch(load_pipeline(tmp_path / "pipeline.yaml", ["launch.trainers=2"]), ["construct", "train"])
    assert told(tmp_path)["trainer-1-0"]["GLOO_SOCKET_IFNAME"] == "eth7"
    assert told(tmp_path)["trainer-1-0"]["NCCL_SOCKET_IFNAME"] == "=lo"


# --------------------------------------------------------------------------------------------------- real workers


@pytest.mark.slow
@pytest.mark.dist
def test_a_server_answers_and_ends_on_sigterm(shop_config, tmp_path: Path) -> None:
    """Ready when its port accepts; strangers are no reason to end."""
    pipeline: Pipeline = shop_config(launch={"on": "local"})
    file = tmp_path / "pipeline.json"
    file.write_text(pipeline.model_dump_json())
    write_secret(tmp_path / "secret", "ab" * 32)
    ports = free_ports("127.0.0.1", 2)
    environment = {
        **os.environ,
        "GSL_JOB": "t", "GSL_HOST": "0", "GSL_SHM": str(tmp_path), "GSL_SECRET_FILE": str(tmp_path / "secret"),
        "GSL_SERVERS": ";".join(f"127.0.0.1:{p}" for p in ports),
    }  # fmt: skip
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "worker", "--role", "server", "--pipeline", str(file)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        deadline = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", ports[0]), timeout=5) as stranger:
                    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(100))
                break
            except OSError:
                assert time.monotonic() < deadline
                assert server.poll() is None
                time.sleep(0.05)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=10) == 0
    environment["GSL_HOST"] = "2"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 6
    assert "GSL_HOST: must be one of the 2 hosts of GSL_SERVERS (got 2)" in done.stderr


@pytest.mark.slow
@pytest.mark.dist
def test_a_trainers_error_is_the_jobs(tmp_path: Path) -> None:
    """A real worker's message, exit code and class reach the user, without a traceback."""
    yaml = write_shop_pipeline(tmp_path)
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "evaluate", str(yaml), "launch.trainers=2"]
    run_pipeline(load_pipeline(yaml), ["construct"], reporter=Reporter(quiet=True))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "ended with status 5 (TrainingError)" in done.stderr
    assert "must hold a finished training of this configuration" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


CLI = """
import sys
from graphstorm_like.cli.main import main
from graphstorm_like.launch import process
from graphstorm_like.launch.launchers import local
process.GSL = (sys.executable, sys.argv.pop(1))
main()
"""


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c(tmp_path: Path, number: signal.Signals) -> None:
    """No process, no shared memory, no secret; a line, and the shell's exit status."""
    yaml, worker = write_shop_pipeline(tmp_path), tmp_path / "worker.py"
    worker.write_text("import os, time; print(os.environ['GSL_SHM'], os.getpid(), flush=True); time.sleep(60)")
    command = [sys.executable, "-c", CLI, str(worker), "run", str(yaml), "launch.trainers=2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_signals
    ) as launcher:
        assert launcher.stdout is not None
        said: list[list[str]] = []
        while len(said) < 2:
            line = launcher.stdout.readline()
            assert line, launcher.communicate()
            said += [line.split()] if line.startswith("[t") else []
        assert all(Path(shm).is_dir() and Path(f"/proc/{pid}").exists() for _, shm, pid in said)
        launcher.send_signal(number)
        _, errors = launcher.communicate(timeout=20)
    assert launcher.returncode == 128 + number
    assert errors == "stopped; the same command goes on from the last resume point\n"
    assert not any(Path(shm).exists() or Path(f"/proc/{pid}").exists() for _, shm, pid in said)


# Counts to 30 together with the others. In the first attempt rank 1 is killed on the way.
COUNTING = """
import os, pathlib, sys
import numpy as np
from graphstorm_like.errors import LaunchError
from graphstorm_like.ranks import torch_group
if sys.argv[sys.argv.index("--role") + 1] == "server":
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
try:
    group = torch_group.start(20.0)
    for step in range(30):
        if (group.rank, step, os.environ["GSL_ATTEMPT"]) == (1, 10, "0"):
            os.kill(os.getpid(), 9)
        total = group.total(np.ones(1), "counting")
    print("counted", total, "attempt", os.environ["GSL_ATTEMPT"], flush=True)
    group.barrier("the end")
    torch_group.stop()
except LaunchError as err:
    print(err, flush=True)
    os._exit(6)
"""


@pytest.mark.slow
@pytest.mark.dist
def test_hosts_restart_together_though_their_supervisors_do_not_talk(tmp_path: Path) -> None:
    yaml, worker = write_shop_pipeline(tmp_path), tmp_path / "worker.py"
    port = free_ports("127.0.0.1", 1)[0] // 10 * 10
    run_pipeline(load_pipeline(yaml, ["graph.partitions.count=2"]), ["construct"], reporter=Reporter(quiet=True))
    worker.write_text(COUNTING)
    make_secret_file(tmp_path / "secret")
    changes = ["launch.on=external", "launch.hosts=2", "launch.max_restarts=1", f"launch.port={port}"]
    changes += ["launch.addresses=[127.0.0.1, 127.0.0.1]", TWO]
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", CLI, str(worker), "host", str(yaml), *changes, "--index", str(index),
             "--secret-file", str(tmp_path / "secret")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for index in range(2)
    ]  # fmt: skip
    said = [host.communicate(timeout=120)[0] for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], said
    for rank, text in enumerate(said):
        assert f"[t{rank}] counted [2.] attempt 1" in text
        assert "restart 1 of 1" in text
    assert "must hear from all ranks" in said[0]
    assert "was killed by SIGKILL" in said[1]


def test_a_launcher_waits_for_no_torch(tmp_path: Path) -> None:
    """It takes a second to load, during which no process could start."""
    program = """
import sys
from pathlib import Path
from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.prepare import prepare
from graphstorm_like.progress import Reporter
prepare(load_pipeline(Path(sys.argv[1])), ["construct", "train"], False, Reporter(quiet=True))
sys.exit("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program, str(write_shop_pipeline(tmp_path))], check=False)
    assert done.returncode == 0


def test_the_root_of_shared_memory_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSL_SHM_ROOT", str(tmp_path))
    assert memory_root() == tmp_path
    for wrong in ("relative", str(tmp_path / "missing")):
        monkeypatch.setenv("GSL_SHM_ROOT", wrong)
        with pytest.raises(LaunchError, match="GSL_SHM_ROOT: must be the absolute path of a folder"):
            memory_root()


def test_more_trainers_than_gpus_are_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ["launch.hosts=2", "launch.trainers=2", "graph.partitions.count=2"]
    file = write_shop_pipeline(tmp_path)
    monkeypatch.setattr(local, "count_gpus", lambda hosts: 3)
    with pytest.raises(ConfigError, match=r"launch.trainers: must be at most the GPUs of the machine, 3 \(got 4"):
        launch(load_pipeline(file, changes), quiet=True)
