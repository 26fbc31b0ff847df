"""`train.adversarial.type: fgm`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.attacks.base import AttackConfig


class FgmConfig(AttackConfig):
    """The fast gradient method: one step of the largest size along the gradient (Goodfellow et al. 2015; with norm l2
    Miyato et al. 2017)."""

    type: Literal["fgm"]
