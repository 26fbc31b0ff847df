"""What is said when dgl is not there, or does not load. Runs without it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from graphstorm_like.errors import LaunchError, MissingExtraError
from graphstorm_like.graph.dgl.export import export_dgl
from graphstorm_like.graph.dgl.module import require_dgl


def test_without_dgl_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "dgl"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dgl", None)
    with pytest.raises(
        MissingExtraError, match=r"^gsl export --to dgl needs the package 'dgl'.*graphstorm-like\[dgl\]"
    ):
        export_dgl(tmp_path / "graph", tmp_path / "out")


def test_a_release_for_another_torch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise FileNotFoundError("Cannot find DGL C++ graphbolt library at libgraphbolt_pytorch_2.13.0.so")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(LaunchError, match=r"dgl: must load beside the torch .*graphbolt.*pip install"):
        require_dgl()
