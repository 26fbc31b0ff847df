"""Messages: what goes in comes out; what is malformed is refused, and never read as something else or run."""

from __future__ import annotations

import ast
import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote import messages
from graphstorm_like.graph.remote.messages import Message, from_batches, from_bytes, to_batches, to_bytes

numbers = st.sampled_from(["<i8", "<i4", ">u2", "|u1", "|b1", "<f2", "<f4", "<f8"]).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)
texts = st.lists(st.none() | st.text(max_size=5), max_size=5).map(lambda values: pa.array(values, pa.large_string()))
calls = st.dictionaries(st.text(max_size=4), st.none() | st.integers(-(2**60), 2**60) | st.text(max_size=4), max_size=3)


def assert_same(one: Message, two: Message) -> None:
    assert (one.view, one.calls) == (two.view, two.calls)
    for some, others in zip(one.arrays, two.arrays, strict=True):
        for a, b in zip(some, others, strict=True):
            if isinstance(a, pa.Array):
                assert a.equals(b)
                continue
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(calls, st.lists(numbers | texts, max_size=3)), max_size=3), st.sampled_from([1, 8, 1 << 20]))
def test_round_trip(content: list[tuple[Any, list[Any]]], piece: int) -> None:
    """As a question and as an answer, in one piece and in many."""
    message = Message(view="v")
    for call, arrays in content:
        message.add(call, arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "PIECE_BYTES", piece)
        assert_same(message, from_bytes(to_bytes(message)))
        schema, batches = to_batches(message)
        assert piece > 1 or len(batches) >= max((np.asarray(a).nbytes for m in message.arrays for a in m), default=0)
        assert_same(message, from_batches(schema, batches))


def test_arrays_are_not_copied() -> None:
    rows = np.arange(10)
    message = Message()
    message.add({}, [rows])
    (found,) = from_batches(*to_batches(message)).arrays[0]
    assert np.shares_memory(found, rows)


@pytest.mark.parametrize("array", [np.arange(9)[::2], np.arange(12).reshape(3, 4).T, np.zeros((0, 3)), np.int64(3)])
def test_views_travel_as_what_they_show(array: Any) -> None:
    message = Message()
    message.add({}, [array])
    (found,) = from_bytes(to_bytes(message)).arrays[0]
    np.testing.assert_array_equal(found, array)


def test_a_slice_of_a_long_text_column_is_not_sent_whole() -> None:
    message = Message()
    message.add({}, [pa.array(["x" * 1000] * 1000).slice(10, 2)])
    assert len(to_bytes(message)) < 20_000


@pytest.mark.parametrize(
    "array", [np.array([{}, []], dtype=object), np.array(["a"]), np.array([1j]), np.array(["2020"], "M8[Y]")]
)
def test_only_numbers_are_sent(array: Any) -> None:
    message = Message()
    message.add({}, [array])
    with pytest.raises(TypeError, match="cannot be sent"):
        to_bytes(message)


def test_what_is_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_QUESTION", 100)
    message = Message()
    message.add({}, [np.zeros(101, dtype=np.uint8)])
    with pytest.raises(LaunchError, match="questions must be smaller than 100 bytes"):
        to_bytes(message)


def with_header(header: Any, column: pa.Array | None = None) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    column = pa.array([bytes(8)], pa.large_binary()) if column is None else column
    schema = pa.schema([pa.field("0", column.type)], metadata={b"gsl": text})
    return schema, [pa.RecordBatch.from_arrays([column], schema=schema)]


def of(kind: str, shape: list[int]) -> dict[str, Any]:
    return {"view": "", "calls": [{}], "arrays": [[[kind, shape]]]}


def test_the_forger_is_right() -> None:
    """What it makes is read when nothing is wrong with it."""
    assert from_batches(*with_header(of("<i8", [1]))).arrays[0][0].tolist() == [0]


@pytest.mark.parametrize(
    "forged",
    [
        with_header(b"{"), with_header([]), with_header({"calls": []}), with_header(of("|O", [1])),
        with_header(of("<i8", [2])), with_header(of("<i8", [-1])), with_header(of("<U2", [1])),
        with_header(of("arrow", [1])), with_header(of("<i8", [1]), pa.array([1])),
        with_header({**of("<i8", [1]), "calls": [3]}), with_header({**of("<i8", [1]), "calls": []}),
        with_header(of("<i8", [1]), pa.array([bytes(8), bytes(8)], pa.large_binary())),
        with_header({**of("<i8", [1]), "arrays": [[["<i8", [1]], ["<i8", [1]]]]}),
        (pa.schema([]), []),
    ],
)  # fmt: skip
def test_malformed_messages_are_refused(forged: tuple[pa.Schema, list[pa.RecordBatch]]) -> None:
    with pytest.raises(LaunchError, match="must be of this protocol"):
        from_batches(*forged)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_broken_arrow_is_refused_or_read(at: int, change: int) -> None:
    """Whatever byte is another: an error of ours or a message, and never a crash."""
    message = Message(view="v")
    message.add({"do": "rows"}, [np.arange(20), pa.array(["a", None, "bc"])])
    raw = bytearray(to_bytes(message))
    raw[at % len(raw)] ^= change
    with contextlib.suppress(LaunchError):
        repr(from_bytes(bytes(raw)).arrays)


def test_nothing_is_ever_unpickled() -> None:
    folder = Path(messages.__file__).parent
    for path in folder.glob("*.py"):
        names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        names |= {a.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Import) for a in n.names}
        assert not names & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "eval", "exec"}, path
