"""Folders of DistDGL 1.1.3 -> graph folders. The format is frozen, and so is this."""

from gconstruct.dgl.folder_import import import_dgl

__all__ = ["import_dgl"]
