"""Columns of node and edge tables -> columns of the graph folder, in pieces that any engine can process."""

from gconstruct.encoding.table import Encoded, TableEncoder, TableState

__all__ = ["Encoded", "TableEncoder", "TableState"]
