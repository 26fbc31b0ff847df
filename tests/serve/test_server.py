"""The server as its users meet it: over HTTP, with workers that die."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from graphstorm_like.deploy.model import Model
from tests.deploy.conftest import Packed

pytestmark = pytest.mark.slow
START_SECONDS = 120.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    def __init__(
        self,
        *arguments: str,
        command: list[str] | None = None,
        port: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.port = port or free_port()
        serve = [sys.executable, "-m", "graphstorm_like.cli.main", "serve", *arguments, "--port", str(self.port)]
        self.process = subprocess.Popen(
            command or serve, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )

    def wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.get("/health")[0] == 200:
                    return
            except OSError:
                time.sleep(0.3)
        raise AssertionError(self.end())

    def end(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=60)[0]

    def get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()

    def post(self, path: str, body: Any, content_type: str = "application/json") -> tuple[int, Any]:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"content-type": content_type}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=200) as answer:
                text = answer.read().decode()
                return answer.status, json.loads(text) if content_type.endswith("json") else text
        except urllib.error.HTTPError as err:
            return err.code, json.loads(err.read())

    def workers(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in listed]


@pytest.fixture(scope="module")
def server(packed: Packed) -> Iterator[Server]:
    made = Server(
        str(packed.folder), "--graph", str(packed.graph), "--unknown", "mean", "--workers", "2", "--timeout", "150"
    )
    made.wait()
    yield made
    said = made.end()
    assert made.process.returncode == 0, said
    assert "Traceback" not in said, said


def a_new_item(packed: Packed, name: str) -> dict[str, Any]:
    row = packed.tables()["nodes"]["item"].slice(0, 1).to_pylist()[0]
    return {key: value for key, value in row.items() if key in ("id", "title", "price", "colour")} | {"id": name}


def test_answers_are_those_of_apply(server: Server, packed: Packed) -> None:
    ids = packed.inferred()["id"].slice(0, 5).to_pylist()
    status, answer = server.post("/predict", {"ids": ids})
    assert status == 200
    wanted = Model.load(packed.folder).predict(packed.graph, ids, unknown="mean").to_pylist()
    assert [row["prediction"] for row in answer["predictions"]] == [row["prediction"] for row in wanted]
    status, answer = server.post("/predict", {"nodes": {"item": [a_new_item(packed, "new")]}})
    assert (status, answer["predictions"][0]["id"]) == (200, "new")
    lines = "\n".join(json.dumps({"kind": kind, "ids": ids[:1], "k": 2}) for kind in ("embed", "neighbors"))
    status, text = server.post("/invocations", lines, "application/jsonlines")
    first, second = map(json.loads, text.splitlines())
    assert len(first["embeddings"]) == 1
    assert len(second["neighbors"][0]["nearest"]) == 2


def test_batches_of_a_transform_job(server: Server, packed: Packed) -> None:
    """SageMaker sends lines, many in a request or one; each has its answer in its place, with the ids."""
    ids = packed.inferred()["id"].slice(0, 60).to_pylist()
    wanted = Model.load(packed.folder).predict(packed.graph, ids, unknown="mean").to_pylist()
    new = {"nodes": {"item": [a_new_item(packed, "new")]}}
    questions = [*({"ids": [name]} for name in ids), new]
    text = "\r\n".join(map(json.dumps, questions)) + "\n\n"
    status, answered = server.post("/invocations", text, "application/jsonlines")
    assert status == 200
    lines = [json.loads(line)["predictions"] for line in answered.splitlines()]
    assert [line[0]["id"] for line in lines] == [*ids, "new"]
    assert [line[0]["prediction"] for line in lines[:-1]] == [row["prediction"] for row in wanted]
    csv = "\n".join(f'"{name}"' for name in ids) + "\n"
    for body, count in ((csv, len(ids)), (f"{ids[3]}\n", 1)):  # MultiRecord, SingleRecord
        status, answered = server.post("/invocations", body, "text/csv; charset=utf-8")
        rows = [json.loads(line) for line in answered.splitlines()]
        assert (status, len(rows)) == (200, count)
        expected = wanted if count > 1 else wanted[3:4]
        assert [row["id"] for row in rows] == [row["id"] for row in expected]
        for row, other in zip(rows, expected, strict=True):
            assert row["probability"] == pytest.approx(other["probability"], abs=1e-5)
    told = json.loads(server.get("/execution-parameters")[1])
    assert told == {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
    bad = "\n".join(json.dumps({"ids": [name]}) for name in (*ids[:3], "nobody"))
    for body, content_type, status, message in (
        (bad, "application/jsonlines", 422, "line 4: ids: ids must be of known nodes of type item (got nobody)"),
        (json.dumps({"ids": ids[:1]}) + '\n{"idz": 1}', "application/jsonlines", 422, '"line": 2'),
        (f"{ids[0]}\nid,and,more\n", "text/csv", 422, "line 2: must have an id, or a pair of ids"),
        ("nobody", "text/csv", 422, "line 1: ids: ids must be of known nodes"),
    ):
        got, answer = server.post("/invocations", body, content_type)
        assert (got, message in json.dumps(answer)) == (status, True), answer


def test_bad_questions_say_what_is_wrong(server: Server) -> None:
    for path, body, status, message in (
        ("/predict", {"ids": ["nobody"]}, 422, "got nobody"),
        ("/predict", {"idz": ["a"]}, 422, "Extra inputs"),
        ("/predict", "{", 422, "JSON"),
        ("/links", {"ids": ["a"]}, 422, "link_prediction"),
        ("/predict", {"nodes": {"item": [{}] * 10_001}}, 413, "at most 10,000 rows"),
        ("/embed", {"ids": ["a"], "k": 0}, 422, "greater than or equal to 1"),
        ("/invocations", {"kind": "sing"}, 422, "pattern"),
    ):
        got, answer = server.post(path, body)
        assert got == status, (body, answer)
        assert message in json.dumps(answer)
    assert server.post("/invocations", "a,b", "text/plain")[0] == 415
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/predict")
    connection.putheader("content-length", str(9 << 20))
    connection.endheaders()  # the answer comes before the body
    assert connection.getresponse().status == 413
    connection.close()


def test_nothing_is_lost_when_workers_are_killed(server: Server, packed: Packed) -> None:
    """Every question gets its answer, though the worker that had it is gone."""
    ids = packed.inferred()["id"].slice(0, 4).to_pylist()

    def kill() -> None:
        """Each of the two workers once, while questions come in."""
        for pid in server.workers():
            time.sleep(0.5)
            os.kill(pid, signal.SIGKILL)

    def ask(number: int) -> tuple[int, Any]:
        return server.post("/predict", {"nodes": {"item": [a_new_item(packed, f"new{number}")]}, "ids": ids})

    killer, answers = threading.Thread(target=kill), []
    killer.start()
    with ThreadPoolExecutor(8) as pool:
        while killer.is_alive():
            answers += pool.map(ask, range(len(answers), len(answers) + 24))
        answers += pool.map(ask, range(len(answers), len(answers) + 24))
    assert {status for status, _ in answers} == {200}
    assert [answer["predictions"][-1]["id"] for _, answer in answers] == [f"new{i}" for i in range(len(answers))]
    deaths = next(line for line in server.get("/metrics")[1].splitlines() if line.startswith("gsl_worker_deaths_total"))
    assert float(deaths.split()[1]) >= 1


def test_page_model_and_probes(server: Server) -> None:
    assert "<title>gsl serve</title>" in server.get("/")[1]
    assert json.loads(server.get("/model")[1])["answers_about"] == ["item"]
    assert server.get("/ping")[0] == 200
    assert "/predict" in json.loads(server.get("/openapi.json")[1])["paths"]
    assert 'gsl_requests_total{path="/model",status="200"}' in server.get("/metrics")[1]


def test_what_cannot_be_served(packed: Packed, tmp_path: Path) -> None:
    for arguments, message in (
        ([str(tmp_path)], "must be a model folder"),
        ([str(packed.folder)], "--graph: must be given"),
        ([str(packed.folder), "--graph", str(packed.graph), "--unknown", "guess"], "unknown policy 'guess'"),
        ([str(packed.folder), "--graph", str(packed.graph), "--search", "type=hnws"], "hnws"),
    ):
        command = [sys.executable, "-m", "graphstorm_like.cli.main", "serve", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode != 0
        assert message in done.stderr
        assert "Traceback" not in done.stderr
