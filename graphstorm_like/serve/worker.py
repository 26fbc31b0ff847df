"""A process of the server: it holds a model and a graph, and answers batches of questions that come through a pipe.

    python -m graphstorm_like.serve.worker SETTINGS.json    questions on stdin, answers on stdout, length-prefixed

Several workers share the vectors of known nodes, which the first one computes, as memory-mapped files.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from gconstruct.held import SCHEME
from graphstorm_like.errors import ConfigError, DataError, GslError

MAX_MESSAGE = 1 << 30
REFUSED, FAILED = "Refused", "Failed"
"""Kinds of errors: of the question, and of the server."""
PREPARE_SECONDS = 24 * 3600.0
"""How long a worker waits for the one that prepares."""


@dataclass(frozen=True)
class Settings:
    """model, graph: folders. work: folder for what workers share. search: options of the index. cache: of text vectors;
    None: in `work`. unknown, max_neighbours: see Engine. plugins: whether the model's plug-ins may run."""

    model: str
    graph: str
    work: str
    search: dict[str, Any] = field(default_factory=dict)
    cache: str | None = None
    unknown: str = "refuse"
    max_neighbours: int | None = None
    plugins: bool = False
    threads: int = 1


def write_message(stream: BinaryIO, content: Any) -> None:
    """A JSON message with its length before it."""
    write_bytes(stream, json.dumps(content).encode())


def write_bytes(stream: BinaryIO, data: bytes) -> None:
    """A message that is JSON already."""
    stream.write(len(data).to_bytes(8, "little"))
    stream.write(data)
    stream.flush()


def read_message(stream: BinaryIO) -> Any:
    """The next message. EOFError at the end."""
    size = int.from_bytes(_exactly(stream, 8), "little")
    if size > MAX_MESSAGE:
        raise EOFError(f"a message of {size:,} bytes")
    return json.loads(_exactly(stream, size))


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def load(settings: Settings) -> Any:
    """The Answers of a worker; what workers share is there afterwards."""
    import torch

    from graphstorm_like.deploy.model import Model
    from graphstorm_like.files import exclusive
    from graphstorm_like.search.run import parse_search
    from graphstorm_like.serve.answers import Answers
    from graphstorm_like.serve.engine import Engine

    torch.set_num_threads(settings.threads)
    work = Path(settings.work)
    model = Model.load(settings.model, plugins=settings.plugins)
    cache = settings.cache or str(work / "cache")
    with exclusive(work / "prepare.lock", "preparing the vectors of known nodes", wait_s=PREPARE_SECONDS):
        applied = model.open(settings.graph, unknown=settings.unknown, sweep=True, cache=cache)  # type: ignore[arg-type]
        engine = Engine(model, applied, unknown=settings.unknown, max_neighbours=settings.max_neighbours)
        answers = Answers(engine, work, parse_search(settings.search))
        answers.prepare()
    engine.load_text_encoders()
    return answers


def serve(answers: Any, questions: BinaryIO, replies: BinaryIO) -> None:
    """Answer until the pipe ends. A reply is {'ok': answer}, or {'error': message, 'kind': one of those below}."""
    from graphstorm_like.serve.answers import Question

    while True:
        try:
            batch = [Question(**question) for question in read_message(questions)]
        except EOFError:
            return
        write_bytes(replies, b"[" + b",".join(map(_reply, answers.answer_all(batch))) + b"]")


def _reply(answer: dict[str, Any] | BaseException) -> bytes:
    """A reply as JSON; an answer that JSON cannot hold (NaN, infinity) is an error of ours."""
    if not isinstance(answer, BaseException):
        try:
            return json.dumps({"ok": answer}, allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError, MemoryError) as err:
            answer = err
    if isinstance(answer, DataError | ConfigError):
        kind, message = REFUSED, str(answer).replace(SCHEME, "")  # rows of a question are no table of ours
    elif isinstance(answer, GslError):
        kind, message = FAILED, str(answer)
    else:
        incident = secrets.token_hex(4)
        logged = "".join(traceback.format_exception(answer))
        sys.stderr.buffer.write(f"incident {incident}: a question failed\n{logged}".encode("utf-8", "backslashreplace"))
        sys.stderr.flush()
        kind, message = FAILED, f"the question could not be answered; the server's log says why (incident {incident})"
    return json.dumps({"error": message, "kind": kind}).encode()


def main(settings_file: str) -> None:
    """Load, say that it is ready, and serve until the server closes the pipe, or dies."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not come between the answers
    settings = Settings(**json.loads(Path(settings_file).read_text(encoding="utf-8")))
    try:
        answers = load(settings)
        facts = describe(answers)
    except (GslError, OSError) as err:
        write_message(replies, {"error": str(err)})
        return
    write_message(replies, {"ready": facts})
    serve(answers, sys.stdin.buffer, replies)


def describe(answers: Any) -> dict[str, Any]:
    """What clients want to know of the model: task, types, examples of ids."""
    engine = answers.engine
    model = engine.model.describe()
    nodes = {}
    for name, node in engine.graph.manifest.nodes.items():
        examples = engine.graph.ids_of(name, _first(node.count))
        nodes[name] = {"count": node.count, "examples": examples.to_pylist()}
    return {
        "name": model["name"],
        "task": model["task"],
        "node_types": nodes,
        "edge_types": [":".join(edge.edge_type) for edge in engine.graph.manifest.edges if not edge.is_reverse],
        "answers_about": list(engine.task.node_types),
        "weights": model["weights"],
    }


def _first(count: int) -> Any:
    import numpy as np

    return np.arange(min(count, 5))


def as_json(settings: Settings) -> dict[str, Any]:
    """For the settings file."""
    return asdict(settings)


if __name__ == "__main__":
    main(sys.argv[1])
