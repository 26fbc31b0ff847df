"""Time encodings, one a file, found by the class of their configuration."""

from graphstorm_like.models.time_encodings.base import TIME_ENCODINGS, TimeEncoding

__all__ = ["TIME_ENCODINGS", "TimeEncoding"]
