"""The only importer of dgl, an optional package (extra `dgl`)."""
