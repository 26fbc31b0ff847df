"""Tables -> graph folder.

    build(path, nodes, edges)  makes a graph folder of tables in memory or of files
    build_graph(config)  makes the folder `config.path`, unless it is up to date, and returns its manifest
    is_current(config)   whether the folder is up to date
    fingerprint(config)  decides what "up to date" means: the configuration and the state of the input files
    input_paths(config), input_files(config)  what it reads, as the configuration has it, and the files that means
    table_problems(config)  errors that the headers of the tables show, without reading rows

`gconstruct.stitching` combines two graph folders: an application's with its neighbourhood in a corpus.

Importing this package is fast: pyarrow and numpy are imported by the first build.
"""

from gconstruct.api import build
from gconstruct.construction import build_graph, fingerprint, input_files, input_paths, is_current, table_problems

__all__ = ["build", "build_graph", "fingerprint", "input_files", "input_paths", "is_current", "table_problems"]
