"""The peer's own virtual environment: GraphStorm 0.5.1 pins versions that no environment of ours could share.

Made once (5.7 GB with pip's default torch for x86 Linux, 160 s with a fast network), marked whole by a stamp file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGES = (
    "torch==2.2.1", "dgl==2.1.0", "torchdata==0.7.1", "numpy==1.26.4", "pandas==2.2.3", "pyarrow==16.1.0",
    "transformers==4.48.0", "pydantic==2.7.0", "h5py", "ogb==1.3.6", "scikit-learn==1.4.2", "packaging", "psutil",
    "pyyaml",
)  # fmt: skip
PEER = "graphstorm==0.5.1"
STAMP = "peer-is-whole"

# GraphStorm imports these when it starts, for a transform that nothing here uses, and does not declare them.
_MITRA = "autogluon/tabular/models/mitra/_internal"
STAND_INS = {
    "autogluon/tabular": ("TabularPredictor",),
    f"{_MITRA}/data/dataset_finetune": ("DatasetFinetune",),
    f"{_MITRA}/config/enums": ("Task", "LossName", "ModelName"),
    f"{_MITRA}/core/trainer_finetune": ("CollatorWithPadding",),
}
"""module -> its empty classes"""

_INSTALL_TIMEOUT_S = 3600.0


class PeerError(Exception):
    """The peer, or the command that prepares it, did not do what was asked; the message says what to do."""


def peer_python(folder: Path) -> Path:
    """Interpreter of the peer's environment in `folder`, which is made first when it is not there or not whole."""
    python = folder.absolute() / "bin" / "python"
    if (folder / STAMP).exists():
        return python
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise PeerError(f"--peer-venv: must be a new folder or a virtual environment (got '{folder}'). Choose another")
    print(f"installing {PEER} into {folder} (several GB, some minutes)", flush=True)
    _call([_python_311(), "-m", "venv", str(folder)])
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    _call([*pip, *PACKAGES])
    _call([*pip, "--no-deps", PEER])
    site = Path(_call([str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]).strip())
    write_stand_ins(site)
    _call([str(python), "-c", "import graphstorm.gconstruct.construct_graph"], environment())
    (folder / STAMP).touch()
    return python


def write_stand_ins(site_packages: Path) -> None:
    """Write the empty modules that stand for AutoGluon, unless it is there. Folders between need no files."""
    if (site_packages / "autogluon").exists():
        return
    for module, names in STAND_INS.items():
        (site_packages / module).mkdir(parents=True, exist_ok=True)
        source = "".join(f"class {name}: ...\n" for name in names)
        (site_packages / module / "__init__.py").write_text(source, encoding="utf-8")


def environment(**more: str) -> dict[str, str]:
    """Environment variables of the peer's processes: offline, without a GPU, nothing of ours on its path."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    fixed = {"HF_HUB_OFFLINE": "1", "DGLBACKEND": "pytorch", "TOKENIZERS_PARALLELISM": "false"}
    # `outdated`, which ogb brings along, would ask PyPI for newer versions.
    return kept | fixed | {"CUDA_VISIBLE_DEVICES": "", "OUTDATED_IGNORE": "1"} | more


def _python_311() -> str:
    """DGL 2.1.0 has no wheel for later Pythons."""
    found = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if found is None:
        raise PeerError("the peer needs Python 3.11 (none was found). Install python3.11 and python3.11-venv")
    return found


def _call(command: Sequence[str], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False, env=env)
    if done.returncode:
        raise PeerError(f"{' '.join(command[:5])} ... ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout
