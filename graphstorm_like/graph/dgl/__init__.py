"""DGL 1.1.3: the only package that imports dgl (extra `dgl`). METIS, and partition folders of DistDGL in and out."""
