"""Batches of rows -> the same file as `gconstruct.write.write_columns` makes of whole columns, in bounded memory.

Each Arrow buffer of a column (values, offsets, validity) grows by itself: in memory, then in a file of its own once all
of them exceed `memory` bytes. In the end pyarrow lays out the one record batch, and the buffers' files are copied to
where it wants them: nothing is read into memory, and the bytes are pyarrow's own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.spill.growing import GrowingBits, GrowingBuffer
from gconstruct.write import check_space, file_options, to_arrow


class ColumnsWriter:
    """Columns of one Arrow file of a graph folder, of which a few rows at a time are appended.

    scratch: an empty folder for buffers, on the disk of `path`; it is deleted by `finish`.
    memory: bytes of columns that are kept in memory before they go to disk.
    """

    def __init__(self, path: Path, scratch: Path, memory: int) -> None:
        self._path, self._scratch, self._memory = path, scratch, memory
        self._columns: dict[str, _Column] = {}
        self._on_disk = False
        self._files = 0

    def __len__(self) -> int:
        return max((len(column) for column in self._columns.values()), default=0)

    def append(self, columns: Mapping[str, np.ndarray | pa.Array]) -> None:
        """Add rows: numpy (n,) or (n, width), or Arrow arrays, of the same types each time. Some columns may be added
        later than others."""
        for name, values in columns.items():
            array = to_arrow(values)
            if name not in self._columns:
                self._columns[name] = _column(array.type)
                if self._on_disk:
                    self._move(self._columns[name])
            self._columns[name].append(array)
        if not self._on_disk and sum(buffer.size for buffer in self._buffers()) > self._memory:
            self._scratch.mkdir(parents=True, exist_ok=True)
            self._on_disk = True
            for column in self._columns.values():
                self._move(column)

    def finish(self, first: Sequence[str] = ()) -> int:
        """Write the file and sync it to disk; returns its size in bytes. first: columns that stand before the others,
        which stand in the order in which they were first added. At least one (empty) column was."""
        rows, names = len(self), list(dict.fromkeys([*first, *self._columns]))
        assert names
        assert {len(column) for column in self._columns.values()} == {rows}
        buffers = self._buffers()
        check_space(self._path, sum(buffer.size for buffer in buffers))
        by_address = {buffer.finish().address: buffer for buffer in buffers if buffer.size}
        batch = pa.record_batch([self._columns[name].array(rows) for name in names], names=names)
        with open(self._path, "wb") as file:
            with pa.ipc.new_file(_Sink(file, by_address), batch.schema, options=file_options(batch.num_rows)) as writer:
                writer.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        del batch
        self._columns = {}
        if self._on_disk:
            shutil.rmtree(self._scratch)
        return size

    def _move(self, column: _Column) -> None:
        for buffer in column.buffers():
            self._files += 1
            buffer.move_to(self._scratch / f"{self._files}.buffer")

    def _buffers(self) -> list[GrowingBuffer]:
        return [buffer for column in self._columns.values() for buffer in column.buffers()]


class _Sink:
    """A file whose `write` takes the contents of finished buffers from where they are."""

    def __init__(self, file: IO[bytes], by_address: Mapping[int, GrowingBuffer]) -> None:
        self._file, self._by_address = file, by_address
        self.closed = False

    def write(self, data: Any) -> int:
        """Write bytes, or what an Arrow buffer stands for."""
        buffer = self._by_address.get(data.address) if isinstance(data, pa.Buffer) else None
        if buffer is None:
            return self._file.write(data)
        assert buffer.size == data.size
        buffer.write_to(self._file)
        return int(data.size)

    def tell(self) -> int:
        """Bytes so far."""
        return self._file.tell()

    def flush(self) -> None:
        """What the owner of the file does."""

    def close(self) -> None:
        """The owner closes the file."""
        self.closed = True


class _Column:
    """An array that grows: its validity, which is kept from the first null on, and the rest by its type."""

    def __init__(self, data_type: pa.DataType) -> None:
        self.type = data_type
        self._valid = GrowingBits()
        self._nulls = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, array: pa.Array) -> None:
        """Add the array's rows."""
        assert array.type == self.type
        if len(array) == 0:
            return
        if array.null_count and not self._nulls:
            self._valid.append(np.ones(self._length, bool))
        self._nulls += array.null_count
        if self._nulls:
            self._valid.append(pc.is_valid(array).to_numpy(zero_copy_only=False))
        self._length += len(array)
        self._append_values(array)

    def buffers(self) -> list[GrowingBuffer]:
        """All of its buffers."""
        return [self._valid, *self._value_buffers()]

    def array(self, length: int) -> pa.Array:
        """The whole array; its buffers must be finished."""
        validity = self._valid.finish() if self._nulls else None
        return pa.Array.from_buffers(
            self.type,
            length,
            [validity, *(buffer.finish() for buffer in self._own_buffers())],
            self._nulls,
            0,
            self._children(length),
        )

    def _append_values(self, array: pa.Array) -> None:
        raise NotImplementedError

    def _own_buffers(self) -> list[GrowingBuffer]:
        raise NotImplementedError

    def _value_buffers(self) -> list[GrowingBuffer]:
        return self._own_buffers()

    def _children(self, length: int) -> list[pa.Array] | None:
        return None


class _Fixed(_Column):
    """Numbers of a fixed width."""

    def __init__(self, data_type: pa.DataType) -> None:
        super().__init__(data_type)
        self._width = data_type.bit_width // 8
        self._values = GrowingBuffer()

    def _append_values(self, array: pa.Array) -> None:
        start = array.offset * self._width
        self._values.append(array.buffers()[1].slice(start, len(array) * self._width))

    def _own_buffers(self) -> list[GrowingBuffer]:
        return [self._values]


class _Bits(_Column):
    """Booleans, a bit each."""

    def __init__(self, data_type: pa.DataType) -> None:
        super().__init__(data_type)
        self._values = GrowingBits()

    def _append_values(self, array: pa.Array) -> None:
        self._values.append(pc.fill_null(array, False).to_numpy(zero_copy_only=False))

    def _own_buffers(self) -> list[GrowingBuffer]:
        return [self._values]


class _Offsets(_Column):
    """What the rows of strings and lists share: offsets into something else."""

    def __init__(self, data_type: pa.DataType, dtype: type[np.int32 | np.int64]) -> None:
        super().__init__(data_type)
        self._dtype = dtype
        self._offsets = GrowingBuffer(is_read=True)
        self._offsets.append(pa.py_buffer(np.zeros(1, dtype)))
        self._last = 0

    def _append_offsets(self, array: pa.Array) -> tuple[int, int]:
        """Add the offsets of an array's rows; the range of what they point to in the array."""
        offsets = np.frombuffer(array.buffers()[1], self._dtype)[array.offset : array.offset + len(array) + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        if self._last + last - first > np.iinfo(self._dtype).max:
            raise OverflowError(f"a column of {self.type} must have at most {np.iinfo(self._dtype).max:,} bytes")
        moved = (offsets[1:] + (self._last - first)).astype(self._dtype, copy=False)
        self._offsets.append(pa.py_buffer(moved))
        self._last += last - first
        return first, last


class _Strings(_Offsets):
    """Strings and bytes."""

    def __init__(self, data_type: pa.DataType, dtype: type[np.int32 | np.int64]) -> None:
        super().__init__(data_type, dtype)
        self._data = GrowingBuffer()

    def _append_values(self, array: pa.Array) -> None:
        first, last = self._append_offsets(array)
        if last > first:
            self._data.append(array.buffers()[2].slice(first, last - first))

    def _own_buffers(self) -> list[GrowingBuffer]:
        return [self._offsets, self._data]


class _Lists(_Offsets):
    """Lists of any length."""

    def __init__(self, data_type: pa.DataType, dtype: type[np.int32 | np.int64]) -> None:
        super().__init__(data_type, dtype)
        self._items = _column(data_type.value_type)

    def _append_values(self, array: pa.Array) -> None:
        first, last = self._append_offsets(array)
        self._items.append(array.values.slice(first, last - first))

    def _own_buffers(self) -> list[GrowingBuffer]:
        return [self._offsets]

    def _value_buffers(self) -> list[GrowingBuffer]:
        return [self._offsets, *self._items.buffers()]

    def _children(self, length: int) -> list[pa.Array]:
        return [self._items.array(self._last)]


class _FixedLists(_Column):
    """Lists of one length: vectors."""

    def __init__(self, data_type: pa.DataType) -> None:
        super().__init__(data_type)
        self._items = _column(data_type.value_type)

    def _append_values(self, array: pa.Array) -> None:
        width = self.type.list_size
        self._items.append(array.values.slice(array.offset * width, len(array) * width))

    def _own_buffers(self) -> list[GrowingBuffer]:
        return []

    def _value_buffers(self) -> list[GrowingBuffer]:
        return self._items.buffers()

    def _children(self, length: int) -> list[pa.Array]:
        return [self._items.array(length * self.type.list_size)]


class _Structs(_Column):
    """Rows of several columns."""

    def __init__(self, data_type: pa.DataType) -> None:
        super().__init__(data_type)
        self._fields = [_column(data_type.field(i).type) for i in range(data_type.num_fields)]

    def _append_values(self, array: pa.Array) -> None:
        for field, values in zip(self._fields, array.flatten(), strict=True):
            field.append(values)

    def _own_buffers(self) -> list[GrowingBuffer]:
        return []

    def _value_buffers(self) -> list[GrowingBuffer]:
        return [buffer for field in self._fields for buffer in field.buffers()]

    def _children(self, length: int) -> list[pa.Array]:
        return [field.array(length) for field in self._fields]


def _column(data_type: pa.DataType) -> _Column:
    t = pa.types
    if t.is_struct(data_type):
        return _Structs(data_type)
    if t.is_fixed_size_list(data_type):
        return _FixedLists(data_type)
    if t.is_large_list(data_type) or t.is_list(data_type):
        return _Lists(data_type, np.int64 if t.is_large_list(data_type) else np.int32)
    if t.is_large_string(data_type) or t.is_large_binary(data_type):
        return _Strings(data_type, np.int64)
    if t.is_string(data_type) or t.is_binary(data_type):
        return _Strings(data_type, np.int32)
    if t.is_boolean(data_type):
        return _Bits(data_type)
    assert t.is_primitive(data_type) or t.is_fixed_size_binary(data_type), data_type
    return _Fixed(data_type)
