"""A Spark cluster of several processes on this machine: a master, and two workers with an executor each.

Executors have Python with its packages, but not ours: what they run came from the driver. Loopback only.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from graphstorm_like.config.spark import SparkConfig

WORKERS = 2
_SECONDS = 90.0
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_DAEMONS = {"SPARK_DAEMON_MEMORY": "128m", "SPARK_DAEMON_JAVA_OPTS": _JAVA, "SPARK_LOCAL_IP": "127.0.0.1"}


@contextmanager
def standalone(folder: Path, executor_environment: Mapping[str, str] | None = None) -> Iterator[SparkConfig]:
    """Start it, and give the configuration of a session there; everything is stopped afterwards. folder: an empty
    one."""
    with ExitStack() as stack:
        address = stack.enter_context(_daemon(folder / "master", "master.Master", ["--webui-port", "0"]))
        for number in range(WORKERS):
            place = folder / f"worker-{number}"
            arguments = ["--webui-port", "0", "--cores", "1", "--memory", "512m", "--work-dir", str(place), address]
            stack.enter_context(_daemon(place, "worker.Worker", arguments))
        yield SparkConfig(master=address, options=_options(executor_python(folder), executor_environment or {}))


def executor_python(folder: Path) -> Path:
    """A Python that skips what editable installs add to its path, and with it our packages."""
    program = folder / "python"
    packages = sysconfig.get_path("purelib")
    program.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{packages}" exec {sys.executable} -S "$@"\n')
    program.chmod(0o755)
    return program


def _options(python: Path, environment: Mapping[str, str]) -> dict[str, str | int]:
    options: dict[str, str | int] = {
        "spark.pyspark.python": str(python),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "512m",
        "spark.driver.extraJavaOptions": _JAVA,
        "spark.executor.memory": "512m",
        "spark.executor.cores": 1,
        "spark.executor.extraJavaOptions": _JAVA,
        "spark.ui.enabled": "false",
        # No task starts before both executors are there: otherwise one could do all of the work.
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "60s",
        "spark.locality.wait": "0s",
        "spark.task.maxFailures": 1,
    }
    return options | {f"spark.executorEnv.{name}": value for name, value in environment.items()}


@contextmanager
def _daemon(folder: Path, kind: str, arguments: list[str]) -> Iterator[str]:
    """A process of Spark's own cluster, and what it started; the URL by which it is known, once it is."""
    import pyspark

    folder.mkdir(parents=True)
    program = Path(pyspark.__file__).parent / "bin" / "spark-class"
    command = [str(program), f"org.apache.spark.deploy.{kind}", "--host", "127.0.0.1", "--port", "0", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env=environment | _DAEMONS, start_new_session=True
        )
        try:
            yield _address(folder / "log", process)
        finally:
            _end(process)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Of a master its own, of a worker that of the master that has taken it."""
    ready = re.compile(r"Starting Spark master at (\S+)|Successfully registered with master (\S+)")
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until and process.poll() is None:
        if found := ready.search(log.read_text(errors="replace")):
            return str(found[1] or found[2])
        time.sleep(0.1)
    raise AssertionError(f"not ready after {_SECONDS:g} s:\n{log.read_text(errors='replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Of the whole session: executors are children of their worker."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
