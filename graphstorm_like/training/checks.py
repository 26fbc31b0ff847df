"""What training needs, checked before an earlier run's results are moved and before hours of embedding."""

from __future__ import annotations

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.text_encoders import language_model
from graphstorm_like.device import choose_device
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.inputs.choose import chosen_edge_inputs, chosen_inputs, scored_inputs
from graphstorm_like.inputs.edge_facts import types_with_number, weighed_types
from graphstorm_like.sampling.loss_weights import weighed_relations
from graphstorm_like.tasks import task_node_types
from graphstorm_like.training.optimizers import check_optimizer
from graphstorm_like.training.start_run import check_start
from graphstorm_like.training.tracking import check_tracking


def check_training(pipeline: Pipeline) -> None:
    """Raise now what would end the training later: a missing device, package or language model (ConfigError,
    MissingExtraError), inputs or types that the graph does not have (DataError)."""
    check_tracking(pipeline.train.track)
    choose_device(pipeline.train.device)
    check_optimizer(pipeline.train.optimizer)
    check_start(pipeline.train.start_from)
    assert pipeline.graph.path is not None, "paths are resolved before"
    manifest = read_manifest(pipeline.graph.path)
    task_node_types(pipeline.task, manifest)
    for node_type in manifest.nodes:
        chosen_inputs(pipeline.model, manifest, node_type)
    chosen_edge_inputs(pipeline.model, manifest)
    weighed_types(pipeline.model.gnn, manifest)
    types_with_number(pipeline.train.draw_by, manifest, "train.draw_by")
    scored_inputs(pipeline.task, manifest)
    for feature, edge_types in pipeline.task.weighed(manifest.original_edge_types()):
        weighed_relations(manifest, edge_types, feature)
    encoders = list(pipeline.model.text_encoders().values())
    for phase in pipeline.train.phase_list():
        encoders += phase.own_encoders()
    if encoders:
        from graphstorm_like.text.folders import resolve_model_folder
        from graphstorm_like.text.loading import load_tokenizer
        from graphstorm_like.text.pooling_files import detect_pooling

        for any_config in encoders:
            if any_config.model_name is None:
                continue
            config = language_model(any_config)
            folder = resolve_model_folder(config.name)
            load_tokenizer(detect_pooling(folder, config.pooling).transformer_folder, folder)
