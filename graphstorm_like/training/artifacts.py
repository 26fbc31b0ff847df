"""What training leaves for evaluation and inference: the weights with everything that belongs to them, in the folder
`best/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from graphstorm_like.graph.store import NodeType, RowType, type_name
from graphstorm_like.inputs.node_embeddings import NodeEmbeddings
from graphstorm_like.inputs.rank_rows import row_files
from graphstorm_like.inputs.source import TextSource
from graphstorm_like.ranks.group import Group
from graphstorm_like.sampling.steps import FeatureSource
from graphstorm_like.training.checkpoint import MODEL_FILE, check_folder, load_weights, write_folder

BEST = "best"
LM_FOLDER = "lm"
"""In `best/`: the language models, where training changed them."""
ORDER_FILE, RELATIONS_FILE = "order.json", "relations.json"
"""In `best/`. Order: names of node types, edge types, and what else numbered weights belong to. Relations: edge types,
in the order of the rows of task.head.relations [R, D] in model.safetensors."""


@dataclass(frozen=True)
class Artifacts:
    """The trained parts of an experiment that are saved and loaded.

    modules: model and task, what validation selects. embeddings: learnable vectors of nodes, by type.
    """

    modules: nn.ModuleDict
    embeddings: Mapping[NodeType, NodeEmbeddings]
    text_weights: Mapping[str, str]
    """Fingerprint of the language model behind each text input: weights may change while the name stays."""
    relations: Sequence[str]
    """Names of edge types: what the rows of the head's `relations` belong to."""
    order: Mapping[str, Sequence[str]]
    """What numbered weights belong to: node_types, edge_types, and the head's rows by their kind."""
    ranks: Group
    save_text_models: Callable[[Path], None] | None = None
    """Writes the language models that the weights belong to into a folder; None: those of the configuration."""

    def save(self, folder: Path, config: Mapping[str, Any], metrics: Mapping[str, Any], name: str = BEST) -> None:
        """Write everything as `folder`/`name`, all ranks together. config: the pipeline's; metrics: those that chose
        the weights."""
        files: dict[str, Any] = {
            MODEL_FILE: self.modules.state_dict(),
            "config.json": config,
            "text_models.json": self.text_weights,
            "metrics.json": metrics,
            ORDER_FILE: self.order,
        }
        if self.relations:
            files[RELATIONS_FILE] = self.relations
        if self.save_text_models is not None:
            files[LM_FOLDER] = self.save_text_models
        write_folder(folder / name, files, self.ranks, row_files(list(self.embeddings.values()), moments=False))

    def load(self, folder: Path) -> None:
        """Take the weights that training left in a `best/` folder; TrainingError names what is damaged or does not
        fit."""
        self.load_modules(folder)
        for table in self.embeddings.values():
            table.load(folder)
        self.ranks.barrier("loading weights")

    def load_modules(self, folder: Path) -> None:
        """The same without the learnable vectors of nodes."""
        check_folder(folder)
        load_weights(folder / MODEL_FILE, self.modules)


def text_weights(*sources: Mapping[RowType, Mapping[str, FeatureSource]]) -> dict[str, str]:
    """Fingerprints of the language models behind text inputs, by 'type.input'."""
    fingerprints: dict[str, str] = {}
    for by_type in sources:
        for row_type, inputs in by_type.items():
            for name, source in inputs.items():
                if isinstance(source, TextSource):
                    fingerprints[f"{type_name(row_type)}.{name}"] = source.weights
    return fingerprints
