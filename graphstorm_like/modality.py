"""Modalities: raw data of rows that an encoder turns into vectors (texts, images). Features are numbers already.

A model's input of a modality is named '<modality>:<name>', which cannot be the name of a feature.
"""

from __future__ import annotations

TEXT = "text"
IMAGE = "image"


def input_name(modality: str, name: str) -> str:
    """'text', 'title' -> 'text:title'."""
    return f"{modality}:{name}"


def split_input_name(written: str) -> tuple[str | None, str]:
    """'text:title' -> ('text', 'title'); a feature has no modality: 'price' -> (None, 'price')."""
    modality, colon, name = written.partition(":")
    return (modality, name) if colon else (None, written)
