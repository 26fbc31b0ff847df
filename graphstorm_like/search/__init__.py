"""Nearest vectors: kinds of indexes, index folders, exports to other stores."""
