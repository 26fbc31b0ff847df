"""The batch script, word for word and as bash reads it; what a node learns from Slurm."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.launchers.slurm import batch_script, slurm_node, submit
from graphstorm_like.testing.graphs import write_shop_pipeline

CHANGES = [
    "launch.on=slurm",
    "launch.hosts=2",
    "graph.partitions.count=2",
    "launch.trainers=4",
    "launch.partition=gpu",
    "launch.time='04:00:00'",
    "launch.sbatch=['--gpus-per-node=4', '--cpus-per-task=32']",
    "launch.setup=['module load cuda']",
]
GOLDEN = """\
#!/bin/bash
#SBATCH --job-name=gsl-shop-run
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --output=OUT/run/logs/slurm-%j.log
#SBATCH --partition=gpu
#SBATCH --time=04:00:00
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
module load cuda
set -euo pipefail
umask 077
mkdir -p OUT/run/launch
SECRET=OUT/run/launch/secret-$SLURM_JOB_ID
trap 'rm -f "$SECRET"' EXIT
rm -f "$SECRET"  # of a job that was requeued
gsl secret "$SECRET"
umask 022

gsl construct OUT/pipeline.yaml launch.on=slurm 'launch.time=a b' --fresh

# srun does not pass on by itself how many cores sbatch was asked for.
srun --nodes=2 --ntasks-per-node=1 --kill-on-bad-exit=1 \\
    ${SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK} \\
    gsl host OUT/pipeline.yaml launch.on=slurm 'launch.time=a b' --fresh --hosts-from-slurm --secret-file "$SECRET"
"""


@pytest.mark.known_answer("launchers/slurm")
def test_the_script(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    script = batch_script(load_pipeline(yaml, CHANGES), yaml, ["launch.on=slurm", "launch.time=a b"], fresh=True)
    assert script.replace(str(tmp_path), "OUT") == GOLDEN


def test_the_script_runs(tmp_path: Path) -> None:
    """With stand-ins for gsl, srun and module: the secret is there, closed, and gone afterwards."""
    yaml = write_shop_pipeline(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in {
        "gsl": '[ "$1" = secret ] && echo made > "$2" || echo "gsl $@"',
        "module": "exit 0",
        "srun": 'echo "srun $@"; stat -c "%a %s" "${@: -1}"; exit 7',
    }.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o755)
    script = batch_script(load_pipeline(yaml, CHANGES), yaml, CHANGES)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "SLURM_JOB_ID": "12", "SLURM_CPUS_PER_TASK": "32"}
    done = subprocess.run(["bash"], input=script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    construct, srun, secret = done.stdout.splitlines()
    assert construct.startswith(f"gsl construct {yaml} launch.on=slurm launch.hosts=2")
    assert " --cpus-per-task=32 gsl host " in srun
    assert "launch.sbatch=['--gpus-per-node=4', '--cpus-per-task=32']" in srun
    assert secret == "600 5"
    assert not list((tmp_path / "run" / "launch").iterdir())


def test_print_and_submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml = write_shop_pipeline(tmp_path)
    done = CliRunner().invoke(
        app, ["launch", str(yaml), "launch.hosts=3", "graph.partitions.count=3", "--on", "slurm", "--print"]
    )
    assert done.exit_code == 0, done.output
    assert "#SBATCH --nodes=3\n" in done.output
    assert not (tmp_path / "run").exists()
    pipeline = load_pipeline(yaml, CHANGES)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match="sbatch: must be on the PATH"):
        submit("#!/bin/bash\n", pipeline)
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/sh\nread line < "$1"\necho "Submitted $line"\n')
    sbatch.chmod(sbatch.stat().st_mode | stat.S_IXUSR)
    assert submit("#!/bin/bash\n", pipeline) == "Submitted #!/bin/bash"


def test_a_path_cannot_end_the_comment_it_stands_in(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    pipeline = load_pipeline(yaml, CHANGES).model_copy(update={"output": "/a\nrm -rf b"})
    with pytest.raises(LaunchError, match="must be a path of one line"):
        batch_script(pipeline, yaml, [])


def names(_: str) -> Sequence[str]:
    return ["10.1.0.4", "10.1.0.5"]


def test_what_slurm_says() -> None:
    environment = {"SLURM_NODEID": "1", "SLURM_JOB_NODELIST": "node[4-5]", "SLURM_JOB_ID": "77"}
    node = slurm_node(environment, names)
    assert (node.index, node.addresses, node.mark) == (1, ("10.1.0.4", "10.1.0.5"), "slurm-77")
    with pytest.raises(LaunchError, match="must be in a task of srun, but 'SLURM_NODEID' is not set"):
        slurm_node({}, names)
    with pytest.raises(LaunchError, match="must be private addresses"):
        slurm_node(environment, lambda _: ["10.1.0.4", "8.8.8.8"])
