"""TF-IDF of words and of n-grams of characters."""

from __future__ import annotations

import datetime
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gconstruct.transforms.words as words_module
from gconstruct import build_graph
from gconstruct.features import fit_feature
from graphstorm_like.config.features.words import WordsFeature
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import FeatureSchema
from graphstorm_like.graph.sparse import is_sparse

from ..features import source_of
from ..tables import graph, item, write
from .pieces import applied, assert_pieces_do_not_matter, config_of, fitted, numbers_of, refused, strings
from .tables_of_columns import encode_columns, encode_edges

PATTERN = r"(?u)\w+(?:[+#]+(?![\w+#]))?"
"""The tokens of `of: words`, for texts without Unicode's marks"""
TEXTS = [
    "Tools for C++ and C#: a parser, a linter; C++11 is fine",
    "A parser of JSON (libjson-dev 1.2), in C and C++",
    "  Été à Paris, été à Nice\n\tGrüße aus Köln",
    "",
    None,
    "+++ a+b #1 c## under_score x",
    "数据 数据 图 🙂 🙂 a",
    "a parser",
]


def terms_of(schema: FeatureSchema) -> list[str]:
    return list(schema.fitted["terms"])


@pytest.mark.known_answer("features/words")
def test_the_weights_by_hand() -> None:
    values, schema = fitted(strings("b a a", "a", None), encode="words", ngrams=[1, 1], min_rows=1)
    assert terms_of(schema) == ["a", "b"]
    assert (schema.fitted["rows"], schema.fitted["rows_of_terms"]) == (3, [2, 1])
    a, b = (1 + math.log(2)) * (math.log(4 / 3) + 1), math.log(4 / 2) + 1
    assert values.tolist() == pytest.approx(np.array([[a, b] / np.hypot(a, b), [1, 0], [0, 0]]))


@pytest.mark.known_answer("features/words")
@pytest.mark.parametrize("of", ["words", "characters"])
@pytest.mark.parametrize("ngrams", [[1, 1], [1, 3], [2, 5], [6, 8]], ids=str)
def test_scikit_learn_gives_the_same(of: str, ngrams: list[int]) -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    known: dict[str, Any] = {"token_pattern": PATTERN} if of == "words" else {"analyzer": "char_wb"}
    vectorizer = text.TfidfVectorizer(sublinear_tf=True, ngram_range=tuple(ngrams), **known)
    expected = vectorizer.fit_transform([row or "" for row in TEXTS]).toarray()
    values, schema = fitted(strings(*TEXTS), encode="words", of=of, ngrams=ngrams, min_rows=1)
    assert sorted(terms_of(schema)) == sorted(vectorizer.vocabulary_)
    order = [vectorizer.vocabulary_[term] for term in terms_of(schema)]
    np.testing.assert_allclose(values, expected[:, order], atol=1e-6)


def test_the_terms_that_most_rows_hold_are_kept() -> None:
    column = strings("the b a", "the a b", "the c", "the d d d")
    options = {"encode": "words", "ngrams": [1, 1]}
    assert terms_of(fitted(column, **options)[1]) == ["the", "a", "b"]
    assert terms_of(fitted(column, **options, max_words=2)[1]) == ["the", "a"]
    assert terms_of(fitted(column, **options, max_share=0.75)[1]) == ["a", "b"]
    assert terms_of(fitted(column, **options, min_rows=1, max_words=4)[1]) == ["the", "a", "b", "c"]
    cased = fitted(strings("Go", "go", "Go"), **options, lowercase=False)[1]
    assert terms_of(cased) == ["Go"]
    assert terms_of(fitted(column, encode="words")[1]) == ["the", "a", "b"]
    assert "the a" in terms_of(fitted(column, encode="words", min_rows=1)[1])


def test_marks_belong_to_words() -> None:
    schema = fitted(strings("हिन्दी é", "e\u0301"), encode="words", ngrams=[1, 1], min_rows=1)[1]
    assert sorted(terms_of(schema)) == ["e\u0301", "é", "हिन्दी"]


def test_new_rows() -> None:
    _, schema = fitted(strings("a b", "b c"), encode="words", min_rows=1)
    new = applied(schema, strings("never seen", None, "", "b never b", "c b"))
    assert terms_of(schema) == ["b", "a", "a b", "b c", "c"]
    np.testing.assert_array_equal(new[:4], [[0] * 5, [0] * 5, [0] * 5, [1, 0, 0, 0, 0]])
    assert (new[4] > 0).tolist() == [True, False, False, False, True]
    characters = fitted(strings("libx", "liby"), encode="words", of="characters")[1]
    assert applied(characters, strings("mylib", "zzz", None)).any(axis=1).tolist() == [True, False, False]


def test_numbers_and_dates_are_texts() -> None:
    values = numbers_of(pa.array([12, 12, None]), encode="words")
    np.testing.assert_array_equal(values, [[1], [1], [0]])
    days = pa.array([datetime.date(2024, 5, 1)] * 2)
    assert terms_of(fitted(days, encode="words", ngrams=[1, 1])[1]) == ["01", "05", "2024"]


def test_what_has_no_terms() -> None:
    for column in (strings(None, ""), strings("a", "b"), strings("?", "?")):
        [message] = refused(column, encode="words")
        assert "column 'x' must have at least one term that 2 rows or more and at most a share of 1" in message
    assert fitted(strings(), encode="words")[0].shape == (0, 1)


def test_too_many_terms_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_module, "MOST_TERMS", 3)
    monkeypatch.setattr(words_module, "_BLOCK_BYTES", 2)
    assert len(terms_of(fitted(strings("a b", "b a", "c c"), encode="words", ngrams=[1, 1], min_rows=1)[1])) == 3
    [message] = refused(strings("a b", "a b", "c", "d"), encode="words", ngrams=[1, 1])
    assert "must hold at most 3 different terms (got more). Shorten features.f.ngrams" in message


parts = st.sampled_from(["a", "b", "Ab", "c++", "é", "the end", "x-y", " ", "\n"])
texts = st.lists(st.none() | st.lists(parts, max_size=5).map(" ".join), max_size=20)


@given(texts, st.lists(st.integers(0, 20), max_size=4), st.sampled_from(["words", "characters"]), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_pieces_do_not_matter(column: list[str | None], cuts: list[int], of: str, keep: int) -> None:
    values = strings("a", *column)
    options = {"encode": "words", "of": of, "max_words": keep, "min_rows": 1}
    assert_pieces_do_not_matter(values, cuts, **options)
    whole, schema = fitted(values, **options)
    rows = [applied(schema, values.slice(row, 1))[0] for row in range(len(values))]
    np.testing.assert_array_equal(whole, rows)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"encode": "words", "min_rows": 1}
    whole, schema = fitted(strings(*TEXTS), **options)
    monkeypatch.setattr(words_module, "_BLOCK_BYTES", 30)
    in_blocks, other = fitted(strings(*TEXTS), **options)
    assert other == schema
    np.testing.assert_array_equal(in_blocks, whole)


def test_counts_are_added_up_only_as_they_grow() -> None:
    config = config_of(encode="words")
    total = pickle.loads(pickle.dumps(fit_feature(config, source_of(strings("a b c d")))))
    for _ in range(3):
        total = total.merged(fit_feature(config, source_of(strings("a"))))
    assert [len(table) for table in total.tables] == [7, 1, 1, 1]
    [table] = total.added_up().tables
    assert dict(zip(*table.to_pydict().values(), strict=True))["a"] == 4


def test_columns_share_their_words_but_no_pairs(tmp_path: Path) -> None:
    table = {"short": ["a b", "c", None], "long": ["c", None, "a b"]}
    options = {"encode": "words", "columns": ["short", "long"], "min_rows": 1}
    values, schema = encode_columns(tmp_path, table, **options)
    assert terms_of(schema) == ["a", "a b", "b", "c"]
    assert (values[0] > 0).all()
    assert (values[1] > 0).tolist() == (values[1] == 1).tolist() == [False, False, False, True]
    np.testing.assert_array_equal(encode_edges(tmp_path, table, **options), values)


def test_a_wide_feature_is_stored_by_its_entries(tmp_path: Path) -> None:
    texts = [f"word{number} word{number + 1} shared" for number in range(600)]
    write(tmp_path / "items.parquet", id=[str(row) for row in range(603)], text=[*texts, None, "", "unknown"])
    features = {"f": {"encode": "words", "column": "text", "ngrams": [1, 1], "min_rows": 1, "dtype": "float16"}}
    schema = build_graph(graph(tmp_path, {"item": item(features=features)}), force=True).node("item").features["f"]
    assert (schema.sparse, schema.width) == (True, 603)
    folder = LocalGraph(tmp_path / "out/graph")
    column = folder.parts[0].column(("item", "feature:f"))
    assert is_sparse(column.type)
    assert len(column.flatten()) == 600 * 3 + 1
    rows = folder.feature("item", "f")
    assert np.linalg.norm(rows.astype(np.float64), axis=1) == pytest.approx([1] * 600 + [0, 0, 1], abs=1e-3)


def test_partitions_hold_the_same_rows(tmp_path: Path) -> None:
    texts = [f"common word{number % 40}" for number in range(60)]
    write(tmp_path / "items.parquet", id=[str(row) for row in range(60)], text=texts)
    found = []
    for count in (1, 3):
        plain = graph(tmp_path, {"item": item(features={"f": {"encode": "words", "column": "text"}})})
        parted = {**plain.model_dump(mode="json"), "partitions": {"count": count}}
        build_graph(GraphConfig.model_validate(parted), force=True)
        folder = LocalGraph(tmp_path / "out/graph")
        order = np.argsort(folder.ids("item").to_numpy(zero_copy_only=False))
        found.append((folder.manifest.node("item").features["f"], folder.feature("item", "f")[order]))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_the_model_divides_by_the_magnitude_of_entries() -> None:
    values, schema = fitted(strings("a b", "c d", "e f a", None), encode="words", ngrams=[1, 1], min_rows=1)
    magnitude = WordsFeature.magnitude(schema.fitted)
    assert magnitude == pytest.approx(np.sqrt(np.square(values[values > 0]).mean()))
    assert WordsFeature.magnitude(fitted(strings(), encode="words")[1].fitted) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["a"]}, "must have either 'column' or 'columns'"),
        ({"column": None, "columns": ["a", "a"]}, "must name each column once"),
        ({"ngrams": [2, 1]}, r"must be \[shortest, longest\] \(got 2, 1\)"),
        ({"ngrams": [1, 9]}, "must be of at most 8"),
        ({"max_share": 0}, "greater than 0"),
    ],
    ids=str,
)
def test_configurations_that_say_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_of(encode="words", **options)
