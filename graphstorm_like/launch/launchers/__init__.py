"""Launchers: one per file, looked up by the class of their configuration."""

from graphstorm_like.launch.launchers.base import LAUNCHERS, Extra, Launcher, Source

__all__ = ["LAUNCHERS", "Extra", "Launcher", "Source"]
