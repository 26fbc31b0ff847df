"""/opt/ml of a machine, as SageMaker would lay it out: folders in a temporary folder, which SM_ROOT names."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from graphstorm_like.config import load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.testing.graphs import shop_pipeline
from graphstorm_like.training.tracking import read_metrics

IN_S3 = "s3://bucket/tables"
CONTAINER = [sys.executable, "-m", "graphstorm_like.container"]
LAUNCH = {
    "on": "sagemaker",
    "role": "arn:aws:iam::123456789012:role/SageMaker",
    "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/graphstorm-like:1",
    "s3": "s3://bucket/gsl",
    "region": "us-east-1",
    "threads": 1,
}


def shop_yaml(folder: Path, tables: Path | str, hosts: int = 1, **launch: Any) -> Path:
    """A pipeline whose results depend on nothing but the graph: all neighbours, no dropout, float32."""
    data = shop_pipeline(Path("tables"), folder / "run")
    data["graph"]["base"] = str(tables)
    data["graph"]["partitions"] = {"count": hosts}
    data["model"] |= {"gnn": {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.0}, "input_dropout": 0.0}
    data["train"] |= {"fanouts": [-1, -1], "precision": "float32", "epochs": 3, "early_stop": None}
    data["train"] |= {"checkpoint": {"every_steps": 3, "keep": 2}}
    data["launch"] = {**LAUNCH, "hosts": hosts, **launch}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return folder / "pipeline.yaml"


@dataclass(frozen=True)
class Machine:
    """One machine of a training job."""

    root: Path

    @classmethod
    def made(
        cls,
        root: Path,
        yaml_file: Path,
        parameters: Mapping[str, str],
        hosts: Sequence[str] = ("algo-1",),
        own: int = 0,
    ) -> Machine:
        """As a training job finds it, but for its channels other than `pipeline`."""
        made = cls(root)
        made.config("hyperparameters", parameters)
        made.config("resourceconfig", {"current_host": hosts[own], "hosts": list(hosts)})
        made.channel("pipeline").joinpath("pipeline.yaml").write_text(yaml_file.read_text())
        return made

    def config(self, name: str, content: Mapping[str, Any]) -> None:
        file = self.root / f"input/config/{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))

    def channel(self, name: str, source: Path | None = None) -> Path:
        """A new channel, with a copy of what is in a folder."""
        file = self.root / "input/config/inputdataconfig.json"
        told = json.loads(file.read_text()) if file.exists() else {}
        self.config("inputdataconfig", {**told, name: {"TrainingInputMode": "File", "S3DistributionType": "Full"}})
        folder = self.root / "input/data" / name
        if source is None:
            folder.mkdir(parents=True)
        else:
            shutil.copytree(source, folder, copy_function=shutil.copyfile)  # with times of their own, as from S3
        return folder

    @property
    def environment(self) -> dict[str, str]:
        return {"SM_ROOT": str(self.root)}

    @property
    def run(self) -> Path:
        return self.root / "checkpoints/run"

    @property
    def failure(self) -> str:
        file = self.root / "output/failure"
        return file.read_text() if file.exists() else ""

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        return json.loads((self.run / "evaluate/metrics.json").read_text())

    @property
    def losses(self) -> list[float]:
        return losses_in(self.run)


def losses_in(run: Path) -> list[float]:
    return [record["loss"] for record in read_metrics(run / "train") if record["kind"] == "train"]


def local_pipeline(yaml_file: Path, *changes: str) -> Pipeline:
    """The same pipeline, for a run in this process."""
    keys = {"on": "local", "threads": 1}
    return load_pipeline(yaml_file, [f"launch={json.dumps(keys)}", *changes])
