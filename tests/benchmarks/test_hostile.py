"""The attacks of benchmarks/bench_hostile.py, on a server of the test's own."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

OPTIONS = argparse.Namespace(node_type="item", id_column="id", text_column="title", number_column="price")


class Refusing(BaseHTTPRequestHandler):
    """Refuses every question, and says how long it was."""

    def do_GET(self) -> None:
        self.say(200, {"node_types": {"item": {"examples": ["a", "b"]}}})

    def do_POST(self) -> None:
        size = int(self.headers["content-length"])
        self.rfile.read(size)
        self.say(422, {"error": size})

    def say(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("name", ["lone surrogate as id", "a value nested 100 deep", "2^64", "NaN"])
def test_an_attack_reads_the_answer(port: int, name: str) -> None:
    from bench_hostile import Target, attacks

    said = attacks()[name](Target(port, OPTIONS))
    assert said.startswith(b"HTTP/1.0 422")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["error"] > 10


def test_slow_attacks_are_attacks() -> None:
    from bench_hostile import SLOW, attacks

    assert set(SLOW) < set(attacks())
