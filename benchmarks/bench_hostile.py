"""`gsl serve` under hostile questions and connections: what comes back, and whether honest clients notice.

    python benchmarks/bench_hostile.py probe MODEL GRAPH NODE_TYPE ID_COLUMN TEXT_COLUMN NUMBER_COLUMN
    python benchmarks/bench_hostile.py soak  MODEL GRAPH NODE_TYPE ID_COLUMN TEXT_COLUMN NUMBER_COLUMN --minutes 60

probe prints a Markdown table: each attack, its answer, and how long an honest question takes right after it. soak lets
honest clients compare every answer with the first one while attacks go on; it ends with exit code 1 when an answer or a
worker is lost, or memory grows. Both start a server of their own on the loopback address.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench_serve import free_port, running

HEAD = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
WAIT_SECONDS = 12.0
"""For the answer to an attack; the server cuts silent connections off after 10 s."""
CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
CHUNKS = 600 << 4
"""600 MB"""
GROWTH = 1.15
"""Of the memory, from the first half of a soak to its end, at most."""


class Target:
    """A server, and what its model is about."""

    def __init__(self, port: int, options: argparse.Namespace) -> None:
        self.port, self.node_type, self.id = port, options.node_type, options.id_column
        self.text, self.number = options.text_column, options.number_column
        self.known = [str(name) for name in self.get("/model")["node_types"][self.node_type]["examples"]]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.load(answer)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS)

    def post(self, body: bytes, head: str = HEAD) -> bytes:
        """The start of what comes back for a body."""
        with self.connect() as client:
            with suppress(OSError):  # refused before all of it was sent
                client.sendall(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            return received(client)

    def rows(self, *rows: dict[str, Any]) -> bytes:
        """A question about new nodes, each row with the columns that the model reads, unless it says otherwise."""
        whole = []
        for number, row in enumerate(rows):
            whole.append({self.id: f"new-{number}", self.text: "a plain title", self.number: 1.0} | row)
        return json.dumps({"nodes": {self.node_type: whole}}).encode()

    def honest(self) -> Any:
        """An answer about known and new nodes, both without what changes from one to the next."""
        bodies = (json.dumps({"ids": self.known}).encode(), self.rows({}))
        answers = [self.post(body).partition(b"\r\n\r\n")[2] for body in bodies]
        return [json.loads(answer)["predictions"] for answer in answers]

    def deaths(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return int(sum(float(line.split()[-1]) for line in lines if line.startswith("gsl_worker_deaths_total ")))


def received(client: socket.socket) -> bytes:
    """What a server sends until it closes the connection, or falls silent."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except TimeoutError:
        return b"".join(parts) or b"- nothing -"
    except OSError:
        pass
    return b"".join(parts) or b"- closed -"


def raw(data: bytes, pause: float = 0.0) -> Callable[[Target], bytes]:
    """Send bytes, with a pause after each where there is one, and read what comes."""

    def attack(target: Target) -> bytes:
        with target.connect() as client:
            for start in range(0, len(data), 1 if pause else len(data) or 1):
                try:
                    client.sendall(data[start : start + 1] if pause else data)
                except OSError:
                    break
                time.sleep(pause)
            return received(client)

    return attack


def request(line: str) -> Callable[[Target], bytes]:
    """Send a request without a body."""
    return raw(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


def chunked(target: Target) -> bytes:
    """600 MB in chunks, or as many as the server takes."""
    with target.connect() as client:
        client.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        with suppress(OSError):
            for _ in range(CHUNKS):
                client.sendall(CHUNK)
        return received(client)


def half_closed(target: Target) -> bytes:
    """A question whose client closes its side before the answer."""
    body = json.dumps({"ids": target.known}).encode()
    with target.connect() as client:
        client.sendall(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        client.shutdown(socket.SHUT_WR)
        return received(client)


def many(count: int) -> Callable[[Target], bytes]:
    """Silent connections, all open while an honest question is asked."""

    def attack(target: Target) -> bytes:
        clients = []
        try:
            for _ in range(count):
                clients.append(target.connect())
            target.honest()
            return b"an honest question was answered meanwhile"
        finally:
            for client in clients:
                client.close()

    return attack


def nested(depth: int) -> bytes:
    return b'{"ids": ' + b"[" * depth + b"]" * depth + b"}"


Attack = Callable[[Target], bytes]
LONE = "\ud800"


def attacks() -> dict[str, Attack]:
    """By name; the slow ones are named in SLOW."""

    def rows(*of_rows: Callable[[Target], dict[str, Any]]) -> Attack:
        return lambda target: target.post(target.rows(*(row(target) for row in of_rows)))

    def body(content: bytes) -> Attack:
        return lambda target: target.post(content)

    return {
        "lone surrogate as id": body(b'{"ids": ["\\ud800"]}'),
        "lone surrogate as new id": rows(lambda t: {t.id: LONE}),
        "lone surrogate in a text": rows(lambda t: {t.text: LONE}),
        "lone surrogate as column": rows(lambda t: {LONE: 1}),
        "number and text in a column": rows(lambda t: {t.number: 1}, lambda t: {t.number: "x"}),
        "2^64": rows(lambda t: {t.number: 2**64}),
        "NaN": rows(lambda t: {t.number: float("nan")}),
        "infinity": rows(lambda t: {t.number: float("inf")}),
        "null id": rows(lambda t: {t.id: None}),
        "a value nested 100 deep": rows(lambda t: {t.number: json.loads(nested(100))}),
        "JSON nested 100,000 deep": body(nested(100_000)),
        "no columns": lambda t: t.post(json.dumps({"nodes": {t.node_type: [{}]}}).encode()),
        "unknown key": body(b'{"idz": []}'),
        "unknown node type": body(b'{"nodes": {"nobody": [{"a": 1}]}}'),
        "empty body": body(b""),
        "no JSON": body(b"\xff\xfe{"),
        "10,001 ids": body(json.dumps({"ids": ["x"] * 10_001}).encode()),
        "wrong content type": lambda t: t.post(
            b"<a/>", HEAD.replace("/predict", "/invocations").replace("json", "xml")
        ),
        "wrong method": request("DELETE /predict"),
        "path traversal": request("GET /../../etc/passwd"),
        "path traversal, encoded": raw(
            b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ),
        "9 MB, by Content-Length": body(b" " * (9 << 20)),
        "600 MB in chunks": chunked,
        "Content-Length too small": raw(
            f"{HEAD}Content-Length: 2\r\nConnection: close\r\n\r\n".encode() + b'{"ids": []}'
        ),
        "Content-Length too large": raw(f"{HEAD}Content-Length: 99\r\n\r\n{{}}".encode()),
        "1 MB of headers": raw(b"GET /health HTTP/1.1\r\nx: " + b"a" * (1 << 20) + b"\r\n\r\n"),
        "a TLS hello": raw(bytes.fromhex("160301020001fc0303") + b"\x00" * 500),
        "random bytes": raw(random.Random(0).randbytes(4096)),
        "half-closed": half_closed,
        "silent": raw(b""),
        "a byte of headers each second": raw(HEAD.encode()[:30], pause=1.0),
        "200 silent connections": many(200),
        "1,000 silent connections": many(1000),
    }


SLOW = (
    "600 MB in chunks",
    "Content-Length too large",
    "silent",
    "a byte of headers each second",
    "1,000 silent connections",
)


def memory(server: int) -> int:
    """Resident bytes of the server and its workers."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            facts = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue
        if str(server) in (facts["Pid"], facts["PPid"]) and "VmRSS" in facts:
            total += int(facts["VmRSS"].split()[0]) * 1024
    return total


def probe(target: Target) -> bool:
    """Print the table. Whether every honest question was answered rightly, and no worker was lost."""
    expected, lost = target.honest(), 0
    print("| attack | answer | honest question after it, s | workers lost |\n|---|---|---|---|")
    for name, attack in attacks().items():
        before = target.deaths()
        said = attack(target)
        started = time.monotonic()
        right = target.honest() == expected
        took, died = time.monotonic() - started, target.deaths() - before
        lost += died + (not right)
        line = said.split(b"\r\n", 1)[0].decode("latin-1")[:60].replace("HTTP/1.1 ", "")
        print(f"| {name} | {line} | {took:.2f}{'' if right else ', WRONG'} | {died} |", flush=True)
    return lost == 0


def hostile_clients(target: Target, until: float, statuses: Counter[str]) -> Iterator[threading.Thread]:
    """A client that makes quick attacks one after the other, and one that makes the slow ones."""

    def run(names: list[str], pause: float) -> None:
        rng, known = random.Random(0), attacks()
        while time.monotonic() < until:
            try:
                said = known[rng.choice(names)](target)
                statuses[said[9:12].decode("latin-1") if said.startswith(b"HTTP") else "cut off"] += 1
            except (OSError, ValueError, KeyError):
                statuses["refused"] += 1
            time.sleep(pause)

    quick = [name for name in attacks() if name not in SLOW and "silent connections" not in name]
    yield threading.Thread(target=run, args=(quick, 0.2))
    yield threading.Thread(target=run, args=([*SLOW, "200 silent connections"], 5.0))


def soak(target: Target, server: int, minutes: float, clients: int) -> bool:
    """Print a line each minute. Whether nothing was lost and memory stayed level."""
    expected, until = target.honest(), time.monotonic() + 60 * minutes
    answers: Counter[str] = Counter()
    statuses: Counter[str] = Counter()

    def honest() -> None:
        while time.monotonic() < until:
            try:
                answers["right" if target.honest() == expected else "wrong"] += 1
            except (OSError, ValueError, KeyError) as err:
                answers[f"lost ({type(err).__name__})"] += 1

    threads = [threading.Thread(target=honest) for _ in range(clients)]
    threads += hostile_clients(target, until, statuses)
    for thread in threads:
        thread.start()
    held: list[int] = []
    while time.monotonic() < until:
        time.sleep(min(60.0, max(until - time.monotonic(), 0.1)))
        held.append(memory(server))
        line = f"{dict(answers)}; hostile {dict(statuses)}; workers lost {target.deaths()}; {held[-1] / 1e6:.0f} MB"
        print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
    for thread in threads:
        thread.join()
    grown = max(held[len(held) // 2 :]) / max(held[: len(held) // 2 + 1])
    print(f"memory of the second half, beside that of the first: {grown:.2f}")
    return set(answers) == {"right"} and target.deaths() == 0 and grown <= GROWTH


def main() -> None:
    """Start a server, and do what is asked; exit code 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("probe", "soak"))
    for name in ("model", "graph", "node_type", "id_column", "text_column", "number_column"):
        parser.add_argument(name)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    port = free_port()
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "serve", options.model, "--graph", options.graph]
    command += ["--unknown", "mean", "--port", str(port), "--workers", "2"]
    with running(command, port):
        target = Target(port, options)
        server = _server_of(os.getpid())
        fine = probe(target) if options.what == "probe" else soak(target, server, options.minutes, options.clients)
    sys.exit(0 if fine else 1)


def _server_of(parent: int) -> int:
    """The process that this one has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(children[0])


if __name__ == "__main__":
    main()
