from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphstorm_like.arrays import ArrayWriter, create_array, map_array, save_array
from graphstorm_like.errors import DataError


@pytest.mark.parametrize("dtype", ["uint8", "<u2", "<i4", "<i8", "<f2"])
@pytest.mark.parametrize("length", [0, 1, 1000])
def test_parts_become_one_array(tmp_path: Path, dtype: str, length: int) -> None:
    values = np.arange(length) % 200
    with ArrayWriter(tmp_path / "a.npy", dtype) as writer:
        for start in range(0, length, 300):
            writer.append(values[start : start + 300])
    save_array(tmp_path / "b.npy", values.astype(dtype))
    for name in ("a.npy", "b.npy"):
        mapped = map_array(tmp_path / name, (length,))
        assert isinstance(mapped, np.memmap)
        assert mapped.dtype == np.dtype(dtype)
        assert np.array_equal(mapped, values)
        assert np.array_equal(np.load(tmp_path / name), values)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (5, 3)])
def test_an_array_is_made_and_filled_in_place(tmp_path: Path, shape: tuple[int, ...]) -> None:
    create_array(tmp_path / "a.npy", shape, np.float16)
    mapped = map_array(tmp_path / "a.npy", shape, "r+")
    assert not mapped.any()
    mapped += 1
    mapped.flush()  # type: ignore[attr-defined]
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.ones(shape, np.float16))
    with pytest.raises(ValueError, match="read-only"):
        map_array(tmp_path / "a.npy")[...] = 2


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    remedy = "Delete the folder .* and run again; it will be rebuilt"
    with pytest.raises(DataError, match=f"a.npy: the file is missing. {remedy}"):
        map_array(path)
    save_array(path, np.arange(9))
    whole = path.read_bytes()
    for content in (b"", b"x", whole[:100], whole[:-1], b"\x80" + whole[1:], whole[:20] + b"\xff" + whole[21:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"a.npy: must be a whole .npy file.*{remedy}"):
            map_array(path)
    path.write_bytes(whole + b"0")
    with pytest.raises(DataError, match=rf"must have 200 bytes by its header \(got 201\). {remedy}"):
        map_array(path)
    path.write_bytes(whole)
    with pytest.raises(DataError, match=rf"must hold an array of shape \(8,\) \(got \(9,\)\). {remedy}"):
        map_array(path, (8,))
    np.save(path, np.array([{}]))
    with pytest.raises(DataError, match=f"must be a whole .npy file.*{remedy}"):
        map_array(path)
