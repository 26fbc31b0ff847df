"""Every operator has a section of the reference, a test with a known answer, and a YAML for people that uses it.

Who adds one writes its docstring, marks the test that verifies it with `@pytest.mark.known_answer("<folder>/<tag>")`,
and uses it in a YAML of training_scripts/ or of a page in docs/. A marked test that does not run it fails (`verified`);
`test_gradients` checks the gradients of those that have some.
"""

from __future__ import annotations

import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline, load_pipeline
from graphstorm_like.config.gnns.hops import HopsConfig
from graphstorm_like.config.label_losses import AbsoluteErrorConfig, MseConfig
from graphstorm_like.models.encoders import GNNS
from graphstorm_like.models.label_losses import LABEL_LOSSES

from .operators import REFERENCE, known_answers, lacks_documents, names_it, operators, used_in
from .test_docs import pipeline_of, yaml_blocks
from .test_house_rules import shipped_pipelines
from .verified import Together, called, run_of


def test_there_are_operators() -> None:
    """The families are found: else the other tests would say nothing."""
    found = operators()
    assert len(found) > 100
    assert {"gnns/rgcn", "link_heads/transe", "features/one_hot", "launchers/slurm"} <= set(found)


def test_the_reference_has_every_operator() -> None:
    reference = REFERENCE.read_text(encoding="utf-8")
    lacking = {name: lacks_documents(name, config, reference) for name, config in operators().items()}
    missing = [f"{name} must have {lack}" for name, lack in lacking.items() if lack is not None]
    assert missing == []


def test_every_operator_has_a_known_answer() -> None:
    """Expected values that its own code has not made: by hand, from the formula, of another library; of what starts
    processes or writes elsewhere, what must arrive there."""
    verified = {name for test in known_answers() for name in test.operators}
    missing = [
        f'{name} must have a test with a known answer. Mark it: @pytest.mark.known_answer("{name}")'
        for name in operators()
        if name not in verified
    ]
    assert missing == []


def test_marks_are_of_tests_that_verify() -> None:
    """Of operators that there are, in a module that names them, with something that is compared."""
    known, wrong = operators(), []
    for test in known_answers():
        if not test.compares:
            wrong.append(f"{test.where} must assert something")
        for name in test.operators:
            if name not in known:
                wrong.append(f"{test.where} must name an operator (got '{name}')")
            elif not names_it(test.source, name, known[name]):
                wrong.append(f"{test.where} must be about {name}: its module names neither its class nor its tag")
    assert wrong == []


def test_every_operator_is_used_in_a_yaml() -> None:
    """By name, in a pipeline of training_scripts/ or a block of a page, which are validated here."""
    used: set[str] = set()
    for path in shipped_pipelines():
        used.update(used_in(load_pipeline(path)))
    for block in yaml_blocks():
        used.update(used_in(pipeline_of(*block.values)))
    missing = [
        f"{name} must be used in a YAML of training_scripts/ or of a page in docs/"
        for name in operators()
        if name not in used
    ]
    assert missing == []


def test_what_is_saved_of_a_configuration_is_read_again() -> None:
    """Defaults are written out then, and no rule may take them for something that the user has said."""
    pipelines = [load_pipeline(path) for path in shipped_pipelines()]
    pipelines += [pipeline_of(*block.values) for block in yaml_blocks()]
    read = [pipeline for pipeline in pipelines if isinstance(pipeline, Pipeline)]
    assert len(read) > 50
    for pipeline in read:
        assert build_pipeline(pipeline.model_dump(mode="json")) == pipeline


@pytest.mark.parametrize(
    ("source", "named"),
    [('config = RgcnConfig(type="x")', True), ('{"type": "rgcn"}', True), ("gnn: rgcn", True), ("rgcn_2", False)],
)
def test_the_name_of_an_operator_is_a_word(source: str, named: bool) -> None:
    assert names_it(source, "gnns/rgcn", operators()["gnns/rgcn"]) is named


def test_what_a_test_has_run_is_seen() -> None:
    """Being imported, configured or named is not being run; a class without functions runs those that it inherits."""
    names = ("gnns/none", "gnns/hops", "label_losses/mse", "label_losses/mae", "launchers/local")
    mse, hops = MseConfig(type="mse"), HopsConfig(type="hops", hidden=4, layers=1)
    with called() as seen:
        LABEL_LOSSES.of(AbsoluteErrorConfig(type="mae"))
        LABEL_LOSSES.of(mse)(mse)(torch.zeros(2, 1), torch.ones(2))
    assert run_of(names, seen) == ["label_losses/mse"]
    with called() as seen:
        GNNS.of(hops)(hops, ["a"], [])
    assert set(run_of(names, seen)) == {"gnns/none", "gnns/hops"}


def test_all_runs_of_a_test_together_must_run_what_it_names() -> None:
    together = Together()
    note = {"test": "t", "runs": 2, "marked": ["a", "b", "c"]}
    together.notes["t"] = [{**note, "run": ["a"]}]
    assert together.wrong() == []  # some were left out
    together.notes["t"].append({**note, "run": ["b"]})
    assert together.wrong() == ["t is marked known_answer of c, which it must run"]
