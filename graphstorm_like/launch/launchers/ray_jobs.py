"""Submits a pipeline to a Ray cluster from outside of it, by the Ray Jobs API of the cluster's dashboard.

The folder of the YAML is sent along, and `gsl launch` runs in it on a node, which then does what it does for anyone on
the cluster. The output folder keeps its absolute path: nodes delete what was sent to them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shlex
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from graphstorm_like.config.launchers.ray import RayJobConfig, RayLaunchConfig
from graphstorm_like.config.load import load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import ConfigError, LaunchError, MissingExtraError
from graphstorm_like.launch.launchers.base import Source
from graphstorm_like.launch.prepare import print_line

CONNECT_SECONDS, SILENCE_SECONDS, RETRY_SECONDS = 10.0, 30.0, 1.0
"""To reach the dashboard; without output before the job's state is asked for; between two such questions."""
TAIL_LINES = 15
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What is sent. secrets: variables with values of this shell, which are not printed."""

    address: str
    entrypoint: str
    runtime_env: dict[str, Any]
    name: str
    secrets: tuple[str, ...] = ()

    def shown(self) -> str:
        """As JSON, for people."""
        runtime_env = dict(self.runtime_env)
        if "env_vars" in runtime_env:
            hidden = {key: f"<${key} of this shell>" for key in self.secrets}
            runtime_env["env_vars"] = runtime_env["env_vars"] | hidden
        request = {
            "address": self.address,
            "entrypoint": self.entrypoint,
            "runtime_env": runtime_env,
            "metadata": {"pipeline": self.name},
        }
        return json.dumps(request, indent=2, ensure_ascii=False) + "\n"


def request_of(source: Source, fresh: bool, quiet: bool) -> JobRequest:
    """The request for a pipeline whose launch.address is a URL. Raises ConfigError."""
    pipeline = load_pipeline(source.yaml, source.overrides)
    config: Any = pipeline.launch
    job: RayJobConfig = config.job
    yaml = source.yaml.resolve()
    folder = (yaml.parent / Path(job.folder or ".").expanduser()).resolve()
    if not folder.is_dir() or not yaml.is_relative_to(folder):
        raise ConfigError(
            f"launch.job.folder: must be a folder in which the pipeline's YAML lies (got '{folder}' for '{yaml}')"
        )
    places = _places(pipeline)
    excluded = [_pattern(path, folder) for path in places.values() if _lies_in(path, folder)]
    runtime_env: dict[str, Any] = {"working_dir": str(folder), "excludes": [*excluded, *job.exclude]}
    if job.pip:
        runtime_env["pip"] = list(job.pip)
    if job.env:
        runtime_env["env_vars"] = {key: _value(key, value) for key, value in job.env.items()}
    settings = [f"{key}={json.dumps(path) if ' ' in path else path}" for key, path in places.items()]
    # `gsl` on the PATH would not see packages of launch.job.pip: they are in an environment of the job's own.
    command = ["python", "-m", "graphstorm_like.cli.main", "launch", yaml.relative_to(folder).as_posix()]
    command += [*source.overrides, *settings, "launch.address=auto"]
    command += [flag for flag, wanted in (("--fresh", fresh), ("--quiet", quiet)) if wanted]
    secrets = tuple(key for key, value in job.env.items() if value is None)
    return JobRequest(config.address, shlex.join(command), runtime_env, pipeline.name, secrets)


def _places(pipeline: Pipeline) -> dict[str, str]:
    """Keys of what must not lie in the folder that was sent, with their absolute paths or URLs."""
    output, graph = pipeline.output, pipeline.graph.path
    places = {"output": output}
    if pipeline.cache != f"{output}/cache":
        places["cache"] = pipeline.cache
    if graph is not None and graph != f"{output}/graph":
        places["graph.path"] = graph
    if pipeline.work is not None:
        places["work"] = pipeline.work
    return places


def _lies_in(path: str, folder: Path) -> bool:
    return "://" not in path and Path(path).resolve() != folder and Path(path).resolve().is_relative_to(folder)


def _pattern(path: str, folder: Path) -> str:
    return f"/{Path(path).resolve().relative_to(folder).as_posix()}/"


def _value(key: str, value: str | None) -> str:
    value = os.environ.get(key) if value is None else value
    if value is None:
        raise ConfigError(f"launch.job.env.{key}: must be set in this shell, or have a value (got null). Export {key}")
    return value


def submit(request: JobRequest, config: RayLaunchConfig) -> str:
    """Submit; with launch.job.follow, print the job's output until it ends. Returns a message for the user.

    Raises LaunchError when the dashboard is not reached or refuses, and when the job fails.
    """
    jobs = _Jobs(request.address, config.timeout_seconds)
    number = jobs.submit(request)
    print_line(f"Ray job {number} at {request.address}. To stop it: ray job stop --address {request.address} {number}")
    follow = f"ray job logs --address {request.address} --follow {number}"
    if not config.job.follow:
        return f"submitted. To see its output: {follow}"
    try:
        tail = asyncio.run(_follow(jobs, number))
    except KeyboardInterrupt:
        print_line(f"Ray job {number} goes on without this terminal. To see its output: {follow}")
        raise
    details = jobs.ask(lambda: jobs.client.get_job_info(number))
    if str(details.status) == "SUCCEEDED":
        return f"Ray job {number} has succeeded"
    raise _failure(number, details, tail)


def _failure(number: str, details: Any, tail: str) -> LaunchError:
    code = getattr(details, "driver_exit_code", None)
    what = f"ended with status {code}" if code else f"was {str(details.status).lower()}"
    message = f"Ray job {number}: must run to its end, but {what}"
    # Ray's own message repeats the output when the command ran; without output it says why it did not.
    lines = tail.splitlines()[-TAIL_LINES:] or str(details.message or "").splitlines()[-TAIL_LINES:]
    error = LaunchError("\n".join([message + (". Its last lines:" if lines else ""), *(f"  {line}" for line in lines)]))
    if code is not None and 0 < code < 126:
        error.exit_code = code
    return error


class _Jobs:
    """The client of a dashboard; no question waits longer than `timeout` seconds."""

    def __init__(self, address: str, timeout: float) -> None:
        self.address, self.timeout = address, timeout
        try:
            import aiohttp
            import requests
            from ray.job_submission import JobSubmissionClient
        except ImportError:
            raise MissingExtraError("launch.address: http://...", "ray[default]", "ray") from None
        logging.getLogger("ray.dashboard.modules.job.sdk").setLevel(logging.ERROR)  # of connections that were closed
        logging.getLogger("ray.dashboard.modules.dashboard_sdk").setLevel(logging.ERROR)
        self.broken = (OSError, RuntimeError, aiohttp.ClientError)
        where = f"launch.address: must be the URL of a Ray cluster's dashboard that can be reached (got '{address}': "
        advice = "). It is printed by `ray start --head`; through a firewall: ssh -L 8265:localhost:8265 HEAD"
        try:  # Ray's client would wait for minutes
            requests.get(f"{address.rstrip('/')}/api/version", timeout=CONNECT_SECONDS)
            self.client = self.ask(lambda: JobSubmissionClient(address))
        except requests.ConnectionError:
            raise LaunchError(f"{where}no connection{advice}") from None
        except requests.Timeout:
            raise LaunchError(f"{where}no answer within {CONNECT_SECONDS:g} s{advice}") from None
        except (requests.RequestException, ConnectionError, RuntimeError, ValueError) as err:
            raise LaunchError(f"{where}{_first_line(err)}{advice}") from None

    def submit(self, request: JobRequest) -> str:
        """The job's name at the cluster. Raises LaunchError."""
        try:
            return str(
                self.ask(
                    lambda: self.client.submit_job(
                        entrypoint=request.entrypoint,
                        runtime_env=request.runtime_env,
                        metadata={"pipeline": request.name},
                    )
                )
            )
        except (ConnectionError, OSError, RuntimeError, ValueError) as err:
            raise LaunchError(
                f"Ray at {self.address}: must accept the job (got: {_first_line(err)}). Where the folder is too large, "
                f"leave tables out by launch.job.exclude, and name them by paths or URLs that all nodes can read"
            ) from None

    def ended(self, number: str) -> bool:
        """Whether the job has ended."""
        return bool(self.ask(lambda: self.client.get_job_status(number)).is_terminal())

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer, or the question's exception. Raises LaunchError when it takes too long."""
        answers: list[Answer] = []
        errors: list[Exception] = []

        def answer() -> None:
            try:
                answers.append(question())
            except Exception as err:  # raised again in the caller's thread
                errors.append(err)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        thread.join(self.timeout)
        if errors:
            raise errors[0]
        if not answers:
            raise LaunchError(f"Ray at {self.address}: must answer within {self.timeout:g} s")
        return answers[0]


class _Output:
    """Prints a job's output, of which a new connection repeats the beginning; keeps the last of it."""

    def __init__(self) -> None:
        self.printed, self._seen = 0, 0
        self._last: deque[str] = deque(maxlen=200)

    def begin(self) -> None:
        """A new connection."""
        self._seen = 0

    def add(self, text: str) -> None:
        """The next text of this connection."""
        new = text[max(0, self.printed - self._seen) :]
        self._seen += len(text)
        if new:
            self.printed += len(new)
            self._last.append(new)
            print(new, end="", flush=True)

    def tail(self) -> str:
        """The last of it."""
        return "".join(self._last)


async def _follow(jobs: _Jobs, number: str) -> str:
    """Print the output until the job ends; returns the last of it. Raises LaunchError when contact is lost."""
    output = _Output()
    heard = time.monotonic()
    while True:
        try:
            ended = await asyncio.to_thread(jobs.ended, number)  # asked first: what is read below is then complete
            heard = time.monotonic()
            await _read(jobs, number, output)
            if ended:
                return output.tail()
        except jobs.broken as err:
            if time.monotonic() - heard > jobs.timeout:
                raise LaunchError(
                    f"Ray at {jobs.address}: must answer while the job runs (got nothing for {jobs.timeout:g} s: "
                    f"{_first_line(err)}). Job {number} may go on; ask with: ray job status --address {jobs.address} "
                    f"{number}"
                ) from None
        await asyncio.sleep(RETRY_SECONDS)


async def _read(jobs: _Jobs, number: str, output: _Output) -> None:
    """Print what comes from one connection, until it ends, or is silent although the job has ended."""
    output.begin()
    texts = jobs.client.tail_job_logs(number)
    ended = False
    while True:
        text = asyncio.ensure_future(anext(texts))
        while not (await asyncio.wait({text}, timeout=SILENCE_SECONDS))[0]:
            if ended:
                text.cancel()
                return
            ended = await asyncio.to_thread(jobs.ended, number)
        try:
            output.add(text.result())
        except StopAsyncIteration:
            return


def _first_line(err: Exception) -> str:
    lines = [line for line in str(err).splitlines() if line.strip()]
    return lines[0] if lines else type(err).__name__
