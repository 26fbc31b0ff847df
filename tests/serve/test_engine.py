"""Questions about new nodes: the numbers of `gsl apply --attach`, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from graphstorm_like.config.search import ExactSearchConfig
from graphstorm_like.deploy.model import Model
from graphstorm_like.deploy.tables import NewTables, given_tables
from graphstorm_like.errors import GslError
from graphstorm_like.serve.answers import Answers, Question
from graphstorm_like.serve.engine import Engine, refuse_files
from tests.deploy.conftest import BUYS, SIMILAR, Packed


def rows_like(packed: Packed, table: pa.Table, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a table with some values changed; without the columns of labels and splits."""
    labels = {"kind", "rating", "split", "kind_split", "rating_split"}
    rows = []
    for row, changed in zip(table.to_pylist(), changes, strict=False):
        rows.append({name: value for name, value in (row | changed).items() if name not in labels})
    return rows


def answers_of(packed: Packed, folder: Path, **options: Any) -> Answers:
    model = Model.load(packed.folder)
    applied = model.open(packed.graph, unknown="mean", sweep=True)
    engine = Engine(model, applied, unknown=options.pop("unknown", "mean"), **options)
    folder.mkdir(exist_ok=True)
    answers = Answers(engine, folder, ExactSearchConfig(type="exact"))
    answers.prepare()
    return answers


@pytest.fixture(scope="module")
def opened(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    answers = answers_of(packed, tmp_path_factory.mktemp("known"))
    yield answers
    answers.engine.applied.close()


@pytest.fixture(scope="module")
def request_of(packed: Packed) -> Callable[..., dict[str, Any]]:
    """New items, like the first ones, with edges to and from known nodes and one another."""
    tables = packed.tables()
    items, buys, similar = tables["nodes"]["item"], tables["edges"][BUYS], tables["edges"][SIMILAR]

    def make(prefix: str = "n", count: int = 3) -> dict[str, Any]:
        item_id = items.column_names[0]
        new = rows_like(packed, items, [{item_id: f"{prefix}{i}"} for i in range(count)])
        bought = rows_like(packed, buys, [{buys.column_names[1]: f"{prefix}{i % count}"} for i in range(5)])
        known = items[item_id][7].as_py()
        ends = similar.column_names
        pairs = [{ends[0]: f"{prefix}0", ends[1]: f"{prefix}1"}, {ends[0]: known, ends[1]: f"{prefix}0"}]
        pairs.append({ends[0]: f"{prefix}1", ends[1]: known})
        alike = rows_like(packed, similar, pairs)
        return {"nodes": {"item": new}, "edges": {":".join(BUYS): bought, ":".join(SIMILAR): alike}}

    return make


def applied_tables(request: dict[str, Any]) -> dict[str, Any]:
    """The same for `Model.predict`."""
    tables: dict[str, Any] = {}
    for kind, by_type in request.items():
        tables[kind] = {}
        for name, rows in by_type.items():
            tables[kind][tuple(name.split(":")) if ":" in name else name] = pa.Table.from_pylist(rows)
    return tables


def only(answers: Answers, **question: Any) -> dict[str, Any]:
    (answer,) = answers.answer_all([Question(**question)])
    if isinstance(answer, BaseException):
        raise answer
    return answer


def test_new_nodes_are_predicted_as_apply_does(
    opened: Answers, packed: Packed, request_of: Callable[..., dict[str, Any]]
) -> None:
    request = request_of()
    mine = only(opened, kind="predict", **request)["predictions"]
    model = Model.load(packed.folder)
    applied = model.predict(applied_tables(request), attach=packed.graph, unknown="mean").to_pylist()
    assert [row["id"] for row in mine] == [str(row["id"]) for row in applied] == ["n0", "n1", "n2"]
    for one, other in zip(mine, applied, strict=True):
        assert one["prediction"] == other["prediction"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
    vectors = only(opened, kind="embed", node_type="item", **request)["embeddings"]
    embedded = model.embed(applied_tables(request), "item", attach=packed.graph, unknown="mean")
    np.testing.assert_allclose([row["embedding"] for row in vectors], embedded["embedding"].to_pylist(), atol=1e-5)


def test_known_nodes_are_those_of_infer(opened: Answers, packed: Packed) -> None:
    inferred = packed.inferred().slice(3, 4).to_pylist()
    mine = only(opened, kind="predict", ids=[row["id"] for row in inferred])["predictions"]
    assert [row["prediction"] for row in mine] == [row["prediction"] for row in inferred]
    assert mine[0]["probabilities"] == pytest.approx(inferred[0]["probabilities"], abs=1e-5)
    found = only(opened, kind="neighbors", ids=[inferred[0]["id"]], k=3)["neighbors"][0]
    assert inferred[0]["id"] not in [near["id"] for near in found["nearest"]]
    assert len(found["nearest"]) == 3
    assert any(relation.startswith("user:") for relation in found["linked"])


def test_requests_in_one_batch_do_not_touch_each_other(
    opened: Answers, request_of: Callable[..., dict[str, Any]]
) -> None:
    """Though their new nodes have the same ids and neighbours; and a wrong one does not spoil the others."""
    wrong = {"nodes": {"item": [{"sku": "x"}]}}
    requests = [request_of(count=3), request_of(count=2), wrong, request_of("m", 3)]
    together = opened.answer_all([Question("predict", **request) for request in requests])
    assert isinstance(together[2], GslError)
    for i in (0, 1, 3):
        alone, answer = only(opened, kind="predict", **requests[i]), together[i]
        assert not isinstance(answer, BaseException)
        for one, other in zip(answer["predictions"], alone["predictions"], strict=True):
            assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


def test_what_is_refused(opened: Answers, request_of: Callable[..., dict[str, Any]]) -> None:
    request = request_of()
    known = opened.engine.graph.ids_of("item", np.array([5]))[0].as_py()
    item_id = next(iter(request["nodes"]["item"][0]))

    def refused(message: str, **question: Any) -> None:
        with pytest.raises(GslError, match=message):
            only(opened, **{"kind": "predict", **question})

    refused(r"ids: ids must be of known nodes of type item \(got nobody\)", ids=["nobody"])
    refused(r"ids: must name nodes of type item", ids=[])
    refused(r"node_type: must be item here \(got 'user'\)", ids=["x"], node_type="user")
    refused(r"links: needs a model of link_prediction", kind="links", ids=[known])
    again = [request["nodes"]["item"][0] | {item_id: known}]
    refused(rf"nodes\.item: ids must be new \(the graph has {known} already\)", nodes={"item": again})
    twice = [request["nodes"]["item"][0]] * 2
    refused(r"nodes\.item: ids must be distinct", nodes={"item": twice})
    buys = ":".join(BUYS)
    lost = [row | dict.fromkeys(list(row)[1:2], "lost") for row in request["edges"][buys]]
    refused(r"edges\.user:buys:item: target: must be an id of a known node .*'lost'", edges={buys: lost})
    refused(r"request: nodes: unknown node type 'itm'.*Did you mean 'item'", nodes={"itm": [{"a": 1}]})
    refused(r"column", nodes={"item": [{item_id: "q"}]})
    mixed = [request["nodes"]["item"][0], request["nodes"]["item"][1] | {item_id: 3}]
    refused(r"nodes\.item: rows must have values of one type in each column", nodes={"item": mixed})


def test_no_question_makes_the_server_open_a_file() -> None:
    """Images are paths in tables; null ones are all that a question may bring."""
    packed = {"nodes": {"item": {"id": "id", "files": ["x"], "image": {"photo": {"column": "photo"}}}}, "edges": []}

    def given(photo: str | None) -> NewTables:
        table = pa.table({"id": ["a"], "photo": pa.array([photo], pa.string())})
        return given_tables({"nodes": {"item": table}}, packed, {"item"})

    refuse_files(given(None), "request")
    with pytest.raises(GslError, match=r"nodes\.item: column 'photo' must be null: images cannot be sent"):
        refuse_files(given("secret.png"), "request")


def test_links_of_new_sources(
    make_packed: Any, tmp_path: Path, request_of: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `gsl apply --attach` ranks them: new nodes are targets, too, and the question's edges are in the vectors of
    known ones, unless these are too many."""
    packed = make_packed("link_prediction")
    answers = answers_of(packed, tmp_path / "known")
    request = request_of()
    wanted: dict[str, list[tuple[str, float]]] = {}
    table = Model.load(packed.folder).links(applied_tables(request), None, 4, attach=packed.graph, unknown="mean")
    for row in table.to_pylist():
        wanted.setdefault(row["source"], []).append((row["target"], row["score"]))
    answer = only(answers, kind="links", k=4, **request)
    assert answer["exact"]
    assert [found["source"] for found in answer["links"]] == list(wanted)
    for found in answer["links"]:
        assert [target["id"] for target in found["targets"]] == [name for name, _ in wanted[found["source"]]]
        scores = [target["score"] for target in found["targets"]]
        assert scores == pytest.approx([score for _, score in wanted[found["source"]]], abs=1e-5)
    monkeypatch.setattr("graphstorm_like.serve.links.MOST_CHANGED", 0)
    assert only(answers, kind="links", k=4, **request)["exact"] is False
    known = answers.engine.graph.ids_of("item", np.array([1, 2])).to_pylist()
    scored = only(answers, kind="predict", pairs=[(known[0], known[1])])["predictions"][0]["score"]
    direct = Model.load(packed.folder).score_pairs(packed.graph, [tuple(known)], unknown="mean")
    assert scored == pytest.approx(direct["score"][0].as_py(), abs=1e-5)


def test_unlearnt_users_are_refused_unless_told(packed: Packed, tmp_path: Path) -> None:
    answers = answers_of(packed, tmp_path / "known", unknown="refuse")
    engine = answers.engine
    source = engine.applied.experiment.sources["user"]["@embedding"]
    with pytest.raises(GslError, match=r"nodes\.user: must be known nodes, since the model reads a learnt vector"):
        engine._unlearnt("user", source, 2, "request")  # type: ignore[arg-type]


def test_language_models_are_loaded_before_the_first_question(
    packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_of: Callable[..., dict[str, Any]]
) -> None:
    answers = answers_of(packed, tmp_path / "known")
    answers.engine.load_text_encoders()

    def loaded(encoders: dict[str, Any], _: object, key: str, __: object) -> Any:
        return encoders[key]

    monkeypatch.setattr("graphstorm_like.deploy.model.text_embedder", loaded)
    assert only(answers, kind="predict", **request_of("w"))["predictions"]
    answers.engine.applied.close()
