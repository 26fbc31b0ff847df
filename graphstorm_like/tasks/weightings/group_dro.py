"""GroupDRO (Sagawa et al., ICLR 2020): w_t <- w_t exp(eta L_t), scaled to the sum T."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from graphstorm_like.config.task_weightings import GroupDroConfig
from graphstorm_like.tasks.weightings.base import WEIGHTINGS, AdaptiveWeighting, StepLosses


@WEIGHTINGS.register(GroupDroConfig)
class GroupDro(AdaptiveWeighting):
    """See module."""

    def change(self, step: StepLosses, shared: Sequence[Tensor], warm: bool) -> Tensor | None:
        """See AdaptiveWeighting."""
        return self.grown(self.settings.step_size * step.means) if warm else None
