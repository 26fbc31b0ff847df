"""`train.phases`, type joint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.phases.base import PhaseConfig, PhaseSurroundings

if TYPE_CHECKING:
    from graphstorm_like.config.model import ModelConfig


class JointPhase(PhaseConfig):
    """Graph network and language model end to end: gradients into the texts of the seeds and of a few neighbours.

    The vectors of all other texts come from a table, and newly computed ones are written back into it.
    """

    type: Literal["joint"]
    neighbors: Annotated[int, Field(ge=0)] = 1
    """How many neighbours per seed get gradients, within the budget, and as many of its edges if texts of edges enter
    the messages (`model.edge_inputs`)."""
    choose: Literal["random", "weight"] = "random"
    """Which neighbours: random ones, or those with the most sampled edges."""
    lm_tokens: PositiveInt = 32768
    """Tokens per step that get gradients: seeds first, then edges, then neighbours. Time grows with it."""
    refresh_steps: PositiveInt | None = None
    """No vector is used that is older than this many steps: each step recomputes the next part of the table. Set it
    for long epochs. null: all vectors are recomputed before each validation, which then sees the same as inference."""

    trains_lm: ClassVar[bool] = True
    trains_graph: ClassVar[bool] = True
    reads_graph_network: ClassVar[bool] = True

    def check(self, around: PhaseSurroundings) -> Iterator[str]:
        """Without texts of nodes or scored edges, there must be texts of edges next to the seeds to train on."""
        if around.reads_edge_text or around.text_node_types:
            return
        read, ends = around.message_texts, around.task_node_types
        if not read:
            yield "must be another strategy: no text enters the model, so there is no language model to train"
        elif not any(name.rsplit(":", 1)[1] in ends for name in read):
            targets = " or ".join(f"'{end}'" for end in ends)
            yield (
                f"must be another strategy, or model.edge_inputs must read texts of edges that lead to {targets} (got "
                f"{', '.join(read)}): the language model learns from those next to the seeds"
            )
        elif self.neighbors == 0:
            yield (
                f"must have neighbors of 1 or more for phase {self.name}: the only texts are of edges, and without "
                f"neighbors none is trained"
            )

    def check_hosts(self, model: ModelConfig, hosts: int) -> Iterator[tuple[tuple[str, ...], str]]:
        """A table of vectors over several hosts has one row per text, not one per piece of it."""
        if hosts == 1:
            return
        for path, encoder in model.encoder_places().items():
            if encoder.chunks is not None:
                yield (
                    (*path, "long_texts"),
                    "must be truncate for a joint phase on several hosts (got 'chunk'). Set it, or train on one host",
                )
