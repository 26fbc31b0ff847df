"""Keys of GraphStorm's training YAML that have no counterpart, each with the reason.

Keys that were renamed between its versions, and that it now ignores itself, stand here too.
"""

from __future__ import annotations

_AUTOMATIC = "chosen by the machine: nothing to set"
_ALWAYS = "always so"
_OUTPUT = "everything that a run writes goes under `output`"
_DECODER = "heads are without it"
_IDS = "ids come back in every result: no mapping is needed"
_OF_OTHERS = (
    "adversarial_temperature", "class_loss_func", "contrastive_loss_temperature", "decoder_edge_feat", "decoder_type",
    "eval_etype", "eval_etypes_negative_dstnode", "exclude_training_targets", "gamma", "imbalance_class_weights",
    "label_field", "lp_decoder_type", "lp_edge_weight_for_loss", "lp_embed_normalizer", "lp_loss_func", "mask_fields",
    "max_seq_len", "multilabel", "num_ffn_layers_in_decoder", "num_negative_edges", "num_negative_edges_eval",
    "num_train_hard_negatives", "regression_loss_func", "remove_target_edge_type", "target_etype", "target_ntype",
    "train_etype", "train_etypes_negative_dstnode", "train_negative_sampler",
)  # fmt: skip
"""Keys that are read where they mean something."""

NO_COUNTERPART: dict[str, str] = {
    "backend": _AUTOMATIC,
    "verbose": "gsl run prints what it does; --quiet prints errors only",
    "debug": "GSL_TRACEBACK=1 shows tracebacks",
    "local_rank": _AUTOMATIC,
    "graph_name": "a graph folder has no name of its own: `name` is the pipeline's",
    "part_config": "partitions of DistDGL: gsl import makes a graph folder of them, or gsl construct one of the tables",
    "ip_config": "hosts: launch.on with slurm, ray or external, and launch.hosts",
    "node_id_mapping_file": _IDS,
    "edge_id_mapping_file": _IDS,
    "use_graphbolt": "graph folders have one format",
    "use_wholegraph_embed": "features lie in memory-mapped files of each host",
    "profile_path": "gsl show batch prints the time and bytes of every step of a batch",
    "save_perf_results_path": f"{_OUTPUT}: evaluate/metrics.json",
    "save_model_path": _OUTPUT,
    "save_embed_path": _OUTPUT,
    "save_embeds_path": _OUTPUT,
    "save_embed_format": "embeddings are Parquet files, under your own ids",
    "save_prediction_path": _OUTPUT,
    "save_result_path": _OUTPUT,
    "return_proba": "probabilities are always written",
    "restore_model_path": "a run goes on from its own checkpoints; weights of GraphStorm cannot be read",
    "restore_model_layers": "a run goes on from its own checkpoints",
    "restore_optimizer_path": "checkpoints hold the optimizers' state",
    "grad_norm_type": "gradients are clipped by their 2-norm",
    "input_activate": "inputs go through layer norm and ReLU, unless model.inputs.<type>.activation is none",
    "out_emb_size": "vectors are as wide as model.gnn.hidden",
    "edge_feat_mp_op": "inputs of edges are projected and added to the message, which concat and sub come to as well",
    "construct_feat_encoder": "model.inputs.<type>.neighbors takes means, which do not learn",
    "construct_feat_fanout": "model.inputs.<type>.neighbors takes all neighbours",
    "alpha_l2norm": "weight_decay is the only penalty",
    "fixed_test_size": "all validation and test edges are ranked",
    "early_stop_burnin_rounds": "without use_early_stop it does nothing",
    "lm_infer_batch_size": "batches of texts are as large as the device likes: text_encoder.batch_tokens",
    "bert_infer_bs": "batches of texts are as large as the device likes: text_encoder.batch_tokens",
    "mp_opt_level": "train.precision: auto takes bfloat16 where the hardware computes in it",
    "num_classes": "counted in the table",
    "multilabel_weights": "task.class_weights: numbers by the name of a class, or balanced",
    "eval_target_ntype": "a task is about one node type; several: task.type: multi",
    "infer_all_target_nodes": f"{_ALWAYS}: predictions are for all nodes of the type",
    "decoder_norm": _DECODER,
    "decoder_bias": _DECODER,
    "num_decoder_basis": "of decoder_type DenseBiDecoder of edge tasks alone",
    "eval_negative_sampler": "candidates are drawn uniformly: task.ranking",
    "report_eval_per_type": "each of several relations has its own numbers, mrr/source:relation:target",
    "model_select_etype": "of link prediction alone",
    "alpha": "of losses that are not named",
    **dict.fromkeys(_OF_OTHERS, "of another kind of task, model or loss: it does nothing here"),
    "self_loop_init": "initial weights of the self loop are drawn as all others",
    "use_dot_product": "an old name of lp_decoder_type",
    "evaluation_frequency": "an old name of eval_frequency, which it ignores",
    "train_nodes": "an old name of lm_train_nodes",
    "max_distill_step": "train.lm.epochs counts epochs",
    "textual_data_path": "the student learns on the texts of the graph's own nodes",
    "task_weight": "of several tasks alone",
    "reconstruct_nfeat_name": "task.type: feature_reconstruction learns from all features of a type",
    "reconstruct_efeat_name": "task.type: edge_feature_reconstruction; a number may also be a label",
}
"""Key -> why it has none."""
