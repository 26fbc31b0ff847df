"""A batch script for Slurm, which starts `gsl host` on every node, and what a node reads from Slurm's environment."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphstorm_like.config.launchers.slurm import SlurmLaunchConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.host import job_name, own_address, resolve
from graphstorm_like.launch.launchers.base import LAUNCHERS, Launcher, Source
from graphstorm_like.launch.state import STAGES

SCRIPT = """\
#!/bin/bash
{options}
{setup}set -euo pipefail
umask 077
mkdir -p {folder}
SECRET={folder}/secret-$SLURM_JOB_ID
trap 'rm -f "$SECRET"' EXIT
rm -f "$SECRET"  # of a job that was requeued
gsl secret "$SECRET"
umask 022

{construct}
# srun does not pass on by itself how many cores sbatch was asked for.
srun --nodes={hosts} --ntasks-per-node=1 --kill-on-bad-exit=1 \\
    ${{SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK}} \\
    {host} --hosts-from-slurm --secret-file "$SECRET"
"""


@LAUNCHERS.register(SlurmLaunchConfig)
class SlurmLauncher(Launcher):
    """Submits a batch script; the job runs when Slurm says so."""

    waits = False

    def run(self, pipeline: Pipeline, stages: Sequence[str] = STAGES, fresh: bool = False, quiet: bool = False) -> None:
        """Always raises a LaunchError that says what to do: `gsl run` does not wait for a job in a queue."""
        raise LaunchError("launch.on: slurm jobs must be submitted. Run: gsl launch PIPELINE --on slurm")

    def submit(self, pipeline: Pipeline, source: Source, fresh: bool = False, quiet: bool = False) -> str:
        """See Launcher. Returns the output of sbatch."""
        return submit(self.request(pipeline, source, fresh, quiet), pipeline)

    def request(self, pipeline: Pipeline, source: Source, fresh: bool = False, quiet: bool = False) -> str:
        """The batch script."""
        return batch_script(pipeline, source.yaml, source.overrides, fresh, quiet)

    def checks(self) -> Iterator[str]:
        """Whether this machine can submit."""
        path = shutil.which("sbatch")
        yield f"Slurm: {path or 'no sbatch on the PATH'}"


def batch_script(
    pipeline: Pipeline, yaml: Path, overrides: Sequence[str], fresh: bool = False, quiet: bool = False
) -> str:
    """The script for `sbatch`. All nodes must share the output folder: during the job it holds the secret, readable by
    its owner only."""
    config: Any = pipeline.launch
    options = [
        f"--job-name=gsl-{job_name(pipeline.name, 'run')}",
        f"--nodes={config.hosts}",
        "--ntasks-per-node=1",
        shlex.quote(f"--output={pipeline.output}/logs/slurm-%j.log"),
    ]
    for key in ("partition", "account", "time"):
        if (value := getattr(config, key)) is not None:
            options.append(f"--{key}={value}")
    options += config.sbatch
    if "\n" in pipeline.output:
        raise LaunchError(f"output: must be a path of one line (got {pipeline.output!r})")
    arguments = shlex.join([str(yaml.absolute()), *overrides])
    flags = (" --fresh" if fresh else "") + (" --quiet" if quiet else "")
    construct = f"gsl construct {arguments}{flags}" if pipeline.graph.nodes else "# The graph folder exists already."
    setup = "".join(f"{line}\n" for line in config.setup)
    return SCRIPT.format(
        options="\n".join(f"#SBATCH {option}" for option in options),
        setup=setup,
        folder=shlex.quote(f"{pipeline.output}/launch"),
        construct=f"{construct}\n",
        hosts=config.hosts,
        host=f"gsl host {arguments}{flags}",
    )


def submit(script: str, pipeline: Pipeline) -> str:
    """Write the script to a file and submit it; returns the output of sbatch. Raises LaunchError."""
    output = Path(pipeline.output)
    for folder in ("launch", "logs"):  # Slurm does not create the folder of --output
        (output / folder).mkdir(parents=True, exist_ok=True)
    path = output / "launch" / "job.sbatch"
    path.write_text(script, encoding="utf-8")
    if shutil.which("sbatch") is None:
        raise LaunchError(f"sbatch: must be on the PATH, as on a login node of the cluster. The script is {path}")
    result = subprocess.run(["sbatch", str(path)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise LaunchError(f"sbatch {path}: must accept the script (got: {result.stderr.strip()})")
    return result.stdout.strip()


@dataclass(frozen=True, slots=True)
class SlurmNode:
    """What a node reads from Slurm: its number, the addresses of all nodes, and the job as a mark."""

    index: int
    addresses: tuple[str, ...]
    mark: str


def slurm_node(
    environment: Mapping[str, str] = os.environ, hostnames: Callable[[str], Sequence[str]] | None = None
) -> SlurmNode:
    """Read the environment of a task of srun. Raises LaunchError outside of one."""
    try:
        index, nodes, job = (environment[f"SLURM_{key}"] for key in ("NODEID", "JOB_NODELIST", "JOB_ID"))
    except KeyError as err:
        raise LaunchError(f"--hosts-from-slurm: must be in a task of srun, but {err} is not set") from None
    names = (hostnames or _hostnames)(nodes)
    addresses, own = list(resolve(names)), int(index)
    if len(names) > 1 and addresses[own].startswith("127."):  # /etc/hosts often maps a machine's own name to loopback
        addresses[own] = own_address(addresses[own - 1])
    return SlurmNode(own, tuple(addresses), f"slurm-{job}")


def _hostnames(nodes: str) -> list[str]:
    try:
        result = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as err:
        raise LaunchError(f"scontrol show hostnames {nodes}: must list the nodes of the job ({err})") from None
    return result.stdout.split()
