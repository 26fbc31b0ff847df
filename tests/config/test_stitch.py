"""stitch.yaml: as strict as a pipeline, with the same kind of messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphstorm_like.config import StitchConfig, load_stitch
from graphstorm_like.errors import ConfigError

GOOD = """\
application: runs/app/graph
corpus: /data/corpus
output: runs/stitched/graph
align:
  item: {corpus: package, application_key: title}
"""


def load(folder: Path, text: str, *overrides: str) -> StitchConfig:
    path = folder / "stitch.yaml"
    path.write_text(text, encoding="utf-8")
    return load_stitch(path, overrides)


def test_folders_start_at_the_yaml(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD, "max_neighbors=5", "align.item.corpus_key=name", "leave_out=['a:b:c', [a, d, c]]")
    assert config.application == str(tmp_path / "runs/app/graph")
    assert config.corpus == "/data/corpus"
    assert config.output == str(tmp_path / "runs/stitched/graph")
    assert (config.hops, config.max_neighbors, config.prefix) == (1, 5, "corpus_")
    assert config.align["item"].model_dump() == {
        "corpus": "package", "application_key": "title", "corpus_key": "name"
    }  # fmt: skip
    assert config.leave_out == [("a", "b", "c"), ("a", "d", "c")]
    assert StitchConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("text", "overrides", "problems"),
    [
        (
            GOOD + "hop: 2\n",
            (),
            [
                "{path}:6: hop: unknown key (known: application, corpus, output, align, hops, edge_types, leave_out, "
                "copies_of_split_edges, max_neighbors, seed, prefix). Did you mean 'hops'?"
            ],
        ),
        (
            GOOD.replace("application_key", "aplication_key"),
            (),
            [
                "{path}:5: align.item.aplication_key: unknown key (known: corpus, application_key, corpus_key). "
                "Did you mean 'application_key'?"
            ],
        ),
        ("application: a\n", (), [f"{{path}}: {key}: must be given" for key in ("corpus", "output", "align")]),
        ("", (), ["{path}: must be a mapping, 'application: ...' and so on (got nothing)"]),
        (
            GOOD,
            ("hops=0", "corpus=s3://b/g", "align={}", "edge_types=[a:b]", "prefix=1-", "copies_of_split_edges=drop"),
            [
                "override 'hops=0': hops: must be greater than 0 (got 0)",
                "override 'corpus=s3://b/g': corpus: must be a local folder: graphs are memory-mapped. Copy it to a "
                "local disk (got 's3://b/g')",
                "override 'align={}': align: must have at least 1 entry (got {})",
                "override 'edge_types=[a:b]': edge_types[0]: must be an edge type, 'source:relation:target' (got "
                "'a:b')",
                "override 'prefix=1-': prefix: must be a name: letters, digits, '_', '-' or '.', starting with a "
                "letter or '_' (got '1-')",
                "override 'copies_of_split_edges=drop': copies_of_split_edges: must be 'leave_out', "
                "'leave_out_held_out' or 'keep' (got 'drop')",
            ],
        ),
    ],
)
def test_broken(tmp_path: Path, text: str, overrides: tuple[str, ...], problems: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, *overrides)
    said = [problem.replace(str(tmp_path / "stitch.yaml"), "{path}") for problem in caught.value.problems]
    assert sorted(said) == sorted(problems)
