"""Metrics of torchmetrics whose states add up: the states, one behind the other, are the vector of sums."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import torch

from graphstorm_like.tasks.metrics.base import Metric, Numbers, Sums


class TorchMetric(Metric):
    """`build` makes the metric when something is measured: importing it takes time."""

    @abstractmethod
    def build(self) -> Any:
        """A fresh torchmetrics.Metric. Its states must be tensors that add up (dist_reduce_fx='sum')."""

    def sums(self, predicted: Numbers, labels: Numbers) -> Sums:
        """See Metric. In float64, in which counts are exact up to 2^53."""
        metric = self._fresh()
        if len(labels):
            metric.update(torch.from_numpy(np.asarray(predicted)), torch.from_numpy(np.asarray(labels)))
        return np.concatenate([state.double().reshape(-1).numpy() for state in metric.metric_state.values()])

    def value(self, sums: Sums) -> float:
        """See Metric."""
        return float(self._computed(sums))

    def _computed(self, sums: Sums) -> torch.Tensor:
        """What torchmetrics makes of these states."""
        metric, begin = self._fresh(), 0
        for name, state in metric.metric_state.items():
            part = torch.from_numpy(sums[begin : begin + state.numel()])
            setattr(metric, name, part.reshape(state.shape))
            begin += state.numel()
        with warnings.catch_warnings():
            # torchmetrics warns that `update` was not called, and that classes without a row are left out.
            warnings.simplefilter("ignore")
            computed: torch.Tensor = metric.compute()
        return computed

    @cached_property
    def _built(self) -> Any:
        metric = self.build().set_dtype(torch.float64)
        for name, state in metric.metric_state.items():
            assert isinstance(state, torch.Tensor), f"{type(metric).__name__}.{name} must be a tensor that adds up"
        return metric

    def _fresh(self) -> Any:
        """Without rows. It is built once: reports measure hundreds of samples."""
        self._built.reset()
        return self._built
