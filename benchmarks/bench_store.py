"""What an output in S3 costs beside one on a disk: seconds, CPU seconds, HTTP requests, bytes.

    python benchmarks/bench_store.py PIPELINE [KEY=VALUE ...] [--repeats 3]

A server with S3's API (moto) runs in this process and counts what arrives; `gsl run` runs in processes of its own: on a
disk, into the store, and on another machine for which all is there. Medians are printed, and a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


class CountingServer:
    """A WSGI application that counts requests by method, and bytes that come and go."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application, self.requests = application, Counter[str]()
        self.received = self.sent = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
        self.requests[environ["REQUEST_METHOD"]] += 1
        self.received += int(environ.get("CONTENT_LENGTH") or 0)
        for part in self.application(environ, start):
            self.sent += len(part)
            yield part

    def facts(self) -> dict[str, float]:
        """Since the last call."""
        found: dict[str, float] = {"requests": sum(self.requests.values()), **dict(self.requests)}
        found |= {"MB to the store": self.received / 1e6, "MB from the store": self.sent / 1e6}
        self.requests, self.received, self.sent = Counter(), 0, 0
        return found


@contextmanager
def serving() -> Iterator[tuple[CountingServer, str]]:
    """A store, and its endpoint."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name that werkzeug gives it
            pass

    counting = CountingServer(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, counting, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield counting, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def run(pipeline: Path, changes: list[str], endpoint: str) -> dict[str, float]:
    """One `gsl run`: wall and CPU seconds of it and its children."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "run", str(pipeline), "--quiet", *changes]
    environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
    subprocess.run(command, check=True, env=environment, timeout=1_800)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.perf_counter() - started, "CPU s": cpu}


def measure(pipeline: Path, changes: list[str], repeats: int) -> dict[str, dict[str, float]]:
    """Medians of each case, taken in turns."""
    found: dict[str, list[dict[str, float]]] = {"disk": [], "store": [], "store, all is there": []}
    with serving() as (counting, endpoint), tempfile.TemporaryDirectory() as folder:
        import s3fs

        s3 = s3fs.S3FileSystem(key="key", secret="secret", endpoint_url=endpoint)
        s3.mkdir("bucket")
        for repeat in range(repeats):
            here, url = Path(folder) / str(repeat), f"output=s3://bucket/{repeat}"
            places = {
                "disk": [f"output={here}/disk"],
                "store": [url, f"work={here}/first"],
                "store, all is there": [url, f"work={here}/second"],
            }
            for case, place in places.items():
                counting.facts()
                cost = run(pipeline, [*changes, "cache='{output}/cache'", *place], endpoint)
                found[case].append({**cost, **counting.facts()})
    medians: dict[str, dict[str, float]] = {}
    for case, facts in found.items():
        names = dict.fromkeys(name for fact in facts for name in fact)
        medians[case] = {name: statistics.median(fact.get(name, 0.0) for fact in facts) for name in names}
    return medians


def main() -> None:
    """See module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("changes", nargs="*")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    medians = measure(arguments.pipeline, arguments.changes, arguments.repeats)
    for case, facts in medians.items():
        print(f"{case}: " + ", ".join(f"{name} {value:,.1f}" for name, value in facts.items()))
    print(json.dumps(medians))


if __name__ == "__main__":
    main()
