"""Tables -> graph folder.

    build_graph(config)  makes the folder `config.path` (at once when it is up to date) and returns its manifest
    is_current(config)   is the folder up to date?
    fingerprint(config)  what "up to date" is decided by: the configuration and the state of the input files
    table_problems(config)  what headers of the tables tell without reading rows

`gconstruct.stitching` makes one graph folder of two: an application's with its neighbourhood in a corpus.

Importing this package is light: pyarrow and numpy come with the first build.
"""

from gconstruct.build import build_graph, fingerprint, is_current, table_problems

__all__ = ["build_graph", "fingerprint", "is_current", "table_problems"]
