"""The triples of the Debian package graph, from the lists of test_debian_tables."""

from __future__ import annotations

from tests.training_scripts.test_debian_tables import PACKAGES, TRANSLATIONS, edges

import debian_tables  # isort: skip - its folder is on the path since the import above
from debian_control import read_packages  # isort: skip
from debian_relations import triple_split  # isort: skip


def test_triples_hold_all_relations_between_packages() -> None:
    tables, _ = debian_tables.make_tables(read_packages(PACKAGES, TRANSLATIONS)[0])
    triples = edges(tables["triples"])
    assert ("libtwo", "provides", "libone") in {triple[:3] for triple in triples}  # a name that a package bears
    assert {triple[1] for triple in triples} == {"depends", "recommends", "suggests", "enhances", "breaks", "provides"}
    assert ("app", "breaks", "app") not in {triple[:3] for triple in triples}
    # Both directions, and all relations between two sources: one split.
    splits = {triple[:3]: triple[3] for triple in triples}
    of_both = [splits["app", relation, "libtwo"] for relation in ("depends", "breaks", "suggests")]
    assert {*of_both, splits["libtwo", "enhances", "app"]} == {of_both[0]}


def test_triples_within_one_source_are_never_evaluated() -> None:
    of_one = {name: f"src{number // 2}" for number, name in enumerate(f"n{i}" for i in range(120))}
    found = {triple_split((f"n{2 * i}", f"n{2 * i + 1}"), of_one) for i in range(60)}
    assert found == {"train", None}
