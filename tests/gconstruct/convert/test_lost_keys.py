"""No key of GraphStorm's files is lost: each is converted or named."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct.convert.notes import Notes, Section
from gconstruct.convert.training import Pool

from .examples import GCONSTRUCT, training
from .test_convert import BOOKS, converted

# Keys that GraphStorm documents, with values that are not their defaults.
DOCUMENTED: dict[str, Any] = {
    "backend": "nccl", "ip_config": "ips", "part_config": "parts.json", "verbose": True,
    "node_feat_name": ["book:pages"], "edge_feat_name": ["reader,lends,book:days"], "edge_feat_mp_op": "mul",
    "num_layers": 1, "hidden_size": 48, "fanout": "7,3", "eval_fanout": "4,4", "use_mini_batch_infer": True,
    "gnn_norm": "batch", "num_heads": 2, "num_bases": 3, "use_self_loop": False, "self_loop_init": True,
    "num_ffn_layers_in_input": 1, "num_ffn_layers_in_gnn": 1, "input_activate": "relu",
    "use_node_embeddings": True, "construct_feat_ntype": ["author"], "construct_feat_encoder": "rgcn",
    "construct_feat_fanout": 5, "use_wholegraph_embed": True, "dropout": 0.3, "lr": 0.05, "num_epochs": 4,
    "batch_size": 99, "eval_batch_size": 98, "wd_l2norm": 0.5, "alpha_l2norm": 0.1, "sparse_optimizer_lr": 0.2,
    "lm_tune_lr": 0.1, "max_grad_norm": 2.0, "grad_norm_type": 1, "use_early_stop": True, "early_stop_rounds": 5,
    "early_stop_burnin_rounds": 2, "early_stop_strategy": "consecutive_increase", "eval_frequency": 77,
    "no_validation": True, "fixed_test_size": 10, "save_model_path": "m", "save_model_frequency": 50,
    "topk_model_to_save": 4, "save_embed_path": "e", "save_prediction_path": "p", "restore_model_path": "r",
    "restore_model_layers": "embed", "restore_optimizer_path": "o", "return_proba": False,
    "task_tracker": "sagemaker_task_tracker", "log_report_frequency": 13, "lm_train_nodes": 3,
    "lm_infer_batch_size": 8, "freeze_lm_encoder_epochs": 1, "cache_lm_embed": True, "use_pseudolabel": True,
    "max_seq_len": 9, "textual_data_path": "t", "max_distill_step": 7, "label_field": "genre", "num_classes": 3,
    "multilabel": True, "multilabel_weights": "1,2", "imbalance_class_weights": "1,2", "class_loss_func": "focal",
    "alpha": 0.3, "gamma": 1.5, "regression_loss_func": "shrinkage", "eval_metric": ["accuracy"],
    "target_ntype": "book", "eval_target_ntype": "book", "target_etype": ["reader,lends,book"],
    "remove_target_edge_type": False, "decoder_type": "MLPDecoder", "num_decoder_basis": 2,
    "num_ffn_layers_in_decoder": 2, "decoder_norm": "batch", "decoder_bias": False,
    "decoder_edge_feat": ["reader,lends,book:days"], "train_etype": ["reader,lends,book"],
    "eval_etype": ["book,by,author"], "lp_decoder_type": "rotate", "lp_loss_func": "contrastive",
    "lp_embed_normalizer": "l2_norm", "lp_edge_weight_for_loss": ["days"], "adversarial_temperature": 0.5,
    "contrastive_loss_temperature": 0.5, "num_negative_edges": 5, "num_negative_edges_eval": 6,
    "train_negative_sampler": "localuniform", "eval_negative_sampler": "joint", "exclude_training_targets": False,
    "reverse_edge_types_map": ["reader,lends,lent,book"], "model_select_etype": "reader,lends,book",
    "num_train_hard_negatives": 2, "train_etypes_negative_dstnode": ["wrong"],
    "eval_etypes_negative_dstnode": ["wrong"], "report_eval_per_type": True, "infer_all_target_nodes": True,
    "use_graphbolt": True, "profile_path": "x", "node_id_mapping_file": "n", "edge_id_mapping_file": "n",
    "save_perf_results_path": "s", "task_weight": 0.5,
}  # fmt: skip
TASKS: dict[str, dict[str, Any]] = {
    "node_classification": BOOKS,
    "node_regression": {"target_ntype": "book", "label_field": "price"},
    "edge_classification": {"target_etype": ["reader,lends,book"], "label_field": "stars"},
    "link_prediction": {"train_etype": ["reader,lends,book"]},
}


@settings(max_examples=8, deadline=None)
@given(
    kind=st.sampled_from(sorted(TASKS)),
    known=st.lists(st.sampled_from(sorted(DOCUMENTED)), unique=True, max_size=20),
    unknown=st.lists(st.from_regex(r"\A[a-z]{3,8}_x\Z"), unique=True, max_size=4),
    everything=st.booleans(),
)
def test_no_key_is_lost(kind: str, known: list[str], unknown: list[str], everything: bool) -> None:
    """Every key is converted or named, and one that is unknown is never said to have a counterpart."""
    names = sorted(DOCUMENTED) if everything else known
    more = {name: DOCUMENTED[name] for name in names if name not in TASKS[kind]} | dict.fromkeys(unknown, 1)
    with tempfile.TemporaryDirectory() as folder:
        found, _ = converted(Path(folder), GCONSTRUCT, training(**{kind: TASKS[kind]}, more=more))
    outcomes: dict[str, set[str]] = {}
    for note in found.notes:
        outcomes.setdefault(note.key, set()).add(note.outcome)
    assert {name for name in more if f"gsf.more.{name}" not in outcomes} == set()
    assert all(outcomes[f"gsf.more.{name}"] == {"none"} for name in unknown)
    reasons = {note.key.rpartition(".")[2]: note.text for note in found.notes}
    assert [name for name in more if name in DOCUMENTED and "misspelt" in reasons[name]] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(TASKS))
def test_a_key_with_a_counterpart_changes_the_pipeline(kind: str, tmp_path: Path) -> None:
    """Or its note says why not. One that is read and comes to nothing would be lost without a word."""
    without = converted(tmp_path, GCONSTRUCT, training(**{kind: TASKS[kind]}))[1]
    silent = []
    for name, value in DOCUMENTED.items():
        if name in TASKS[kind]:
            continue
        data = training(**{kind: {**TASKS[kind], name: value}})
        for section in data["gsf"].values():
            if section is not data["gsf"][kind]:
                section.pop(name, None)
        found, pipeline = converted(tmp_path, GCONSTRUCT, data)
        texts = [note.text for note in found.notes if note.key == f"gsf.{kind}.{name}"]
        if not any(texts) and pipeline == without:
            silent.append(name)
    assert not silent, silent


def test_a_key_that_is_taken_without_a_word_is_named() -> None:
    """Whoever writes a reader cannot lose a key: neither by forgetting it, nor by taking it for nothing."""
    notes = Notes()
    section = Section({"said": 1, "taken": 2, "forgotten": 3, "empty": None, "below": {"x": 4}}, "top", notes)
    section.take("said")
    section.take("taken", note=None)
    section.section("below").take("x", note=None)
    notes.close_all()
    assert [note.key for note in notes.of("same")] == ["top.said"]
    assert {note.key for note in notes.of("none")} == {"top.taken", "top.forgotten", "top.below.x"}
    pool_notes = Notes()
    pool = Pool([Section({"a": 1}, "first", pool_notes), Section({"a": 2}, "second", pool_notes)], pool_notes)
    assert pool.take("a") == 1
    assert [(note.key, note.text) for note in pool_notes.of("near")] == [("second.a", "first.a goes before it")]
