"""DGL's messages between trainers and servers: questions with an answer each, over `dgl.distributed.rpc`.

What DGL does that a job of ours cannot bear is replaced here, in this process only: waits of seconds at the start,
signal handlers that abort, and unpickling of whatever a message holds. A number, string or tuple is read; a class or
function in a message is an error.
"""

from __future__ import annotations

import io
import os
import pickle
import time
import warnings
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from graphstorm_like.graph.dgl.module import require_dgl
from graphstorm_like.graph.remote.cluster import Cluster

SERVICE = 72_001
NET = "socket"
"""DGL's other transport, tensorpipe, prints of every peer that leaves."""
SLEEP_SECONDS = 0.1
ARROW = "arrow"

Call = tuple[Any, ...]
"""(view, what, ...): plain numbers, strings and tuples."""


def prepared(cluster: Cluster) -> Any:
    """The module dgl.distributed, with the changes above. Every server is a machine of its own for DGL, so that a
    question goes to the one that was chosen."""
    distributed = require_dgl("launch.store: dgl").distributed
    rpc = distributed.rpc
    names = {number: [number, *address, 1] for number, address in enumerate(addresses(cluster))}
    rpc.read_ip_config = lambda *_: names
    distributed.rpc_client.get_local_machine_id = lambda _: cluster.host
    rpc.register_sig_handler = lambda: None
    rpc.pickle = SimpleNamespace(dumps=pickle.dumps, loads=plain_loads)
    for module in (distributed.rpc_client, distributed.rpc_server):
        module.time = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, SLEEP_SECONDS)))
    os.environ["DGL_DIST_MAX_TRY_TIMES"] = str(int(cluster.timeout_seconds / SLEEP_SECONDS))
    # Columns of memory maps are sent as they are, and never written to.
    warnings.filterwarnings("ignore", "The given NumPy array is not writable")
    rpc.reset()
    rpc.register_service(SERVICE, Question, Answer)
    return distributed


def addresses(cluster: Cluster) -> list[tuple[str, int]]:
    """The servers of all hosts, in order: DGL's numbers of them are positions here."""
    return [address for of_host in cluster.servers for address in of_host]


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"a message must hold plain values only (got {module_name}.{global_name})")


def plain_loads(data: Any) -> Any:
    """Numbers, strings, and tuples and lists of them, from a pickle."""
    return _PlainUnpickler(io.BytesIO(bytes(data))).load()


class _Message:
    """What DGL asks of its requests and responses: state is a tuple, whose tensors travel without a copy."""

    service_id = SERVICE

    def __init__(self, plain: tuple[Any, ...], tensors: Sequence[Any]) -> None:
        self.plain, self.tensors = plain, tuple(tensors)

    def __getstate__(self) -> tuple[Any, ...]:
        return (self.plain, *self.tensors)

    def __setstate__(self, state: Any) -> None:
        self.plain, *tensors = state if self._has_tensors(state) else (state,)
        self.tensors = tuple(tensors)

    @staticmethod
    def _has_tensors(state: Any) -> bool:
        """DGL takes a state of one value out of its tuple."""
        return len(state) > 1 and hasattr(state[1], "numpy")


class Question(_Message):
    """plain: (call, descriptions of its arrays) for each call."""

    def process_request(self, server: Any) -> Answer:
        """Runs in the server: an answer to each call."""
        plain, tensors = [], []
        for call, arrays in unpack(self.plain, self.tensors):
            facts, own_arrays = server.answer(call, arrays)
            described, own_tensors = packed(own_arrays)
            plain.append((facts, described))
            tensors += own_tensors
        return Answer(tuple(plain), tensors)


class Answer(_Message):
    """plain: (error or '', descriptions of its arrays) for each call."""


def packed(arrays: Sequence[Any]) -> tuple[tuple[Any, ...], list[Any]]:
    """Arrays as tensors of bytes, so that DGL, which knows few number types, need not know theirs. Empty ones are only
    described."""
    import torch

    described, tensors = [], []
    for array in arrays:
        raw: Any = array
        if isinstance(array, pa.Array):
            described.append((ARROW, (len(array),)))
            raw = _arrow_bytes(array)
        else:
            raw = np.asarray(array)
            described.append((raw.dtype.str, raw.shape))
            raw = np.ascontiguousarray(raw).reshape(-1).view(np.uint8)
        if len(raw):
            tensors.append(torch.from_numpy(raw))
    return tuple(described), tensors


def unpack(plain: tuple[Any, ...], tensors: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    """(call or error, its arrays) for each part of a message."""
    rest = iter(tensors)
    parts = []
    for what, described in plain:
        arrays: list[Any] = []
        for dtype, shape in described:
            if dtype == ARROW:
                arrays.append(
                    pa.ipc.open_stream(pa.py_buffer(next(rest).numpy())).read_all().column(0).combine_chunks()
                )
            elif 0 in shape:
                arrays.append(np.zeros(shape, dtype=dtype))
            else:
                arrays.append(next(rest).numpy().view(dtype).reshape(shape))
        parts.append((what, arrays))
    return parts


def _arrow_bytes(array: pa.Array) -> Any:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([array], names=["values"])
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return np.frombuffer(sink.getvalue(), dtype=np.uint8)
