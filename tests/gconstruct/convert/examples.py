"""Small configurations in GraphStorm's forms, written for these tests."""

from __future__ import annotations

import copy
from typing import Any

GCONSTRUCT: dict[str, Any] = {
    "version": "gconstruct-v0.1",
    "nodes": [
        {
            "node_type": "reader",
            "node_id_col": "rid",
            "format": {"name": "csv", "separator": ";"},
            "files": "data/readers.csv",
            "features": [
                {"feature_col": "age", "transform": {"name": "max_min_norm", "max_bound": 99.0, "min_val": 0.0}},
                {"feature_col": "income", "out_dtype": "float16", "transform": {"name": "standard", "sum": 12.5}},
                {
                    "feature_col": "visits",
                    "transform": {
                        "name": "bucket_numerical",
                        "range": [0, 10],
                        "bucket_cnt": 4,
                        "slide_window_size": 2,
                    },
                },
                {"feature_col": "country", "transform": {"name": "to_categorical", "mapping": {"fr": 0}}},
                {"feature_col": "hobbies", "transform": {"name": "to_categorical", "separator": ","}},
                {"feature_col": "rank", "transform": {"name": "rank_gauss", "epsilon": 1e-6, "uniquify": True}},
                {"feature_col": ["x", "y"], "feature_name": "place"},
                {"feature_col": "vector", "transform": {"name": "no-op", "truncate_dim": 8}},
                {"feature_col": "anything", "transform": {"name": "tabular", "target_col": "age"}},
            ],
        },
        {
            "node_type": "book",
            "node_id_col": "isbn",
            "format": {"name": "parquet"},
            "files": ["data/books/*.parquet"],
            "features": [
                {
                    "feature_col": "blurb",
                    "transform": {"name": "tokenize_hf", "bert_model": "some/model", "max_seq_length": 48},
                },
                {"feature_col": "pages"},
            ],
            "labels": [
                {
                    "label_col": "genre",
                    "task_type": "classification",
                    "split_pct": [0.7, 0.2, 0.1],
                    "label_stats_type": "frequency_cnt",
                },
                {"label_col": "price", "task_type": "regression", "mask_field_names": ["a", "b", "c"]},
            ],
        },
    ],
    "edges": [
        {
            "relation": ["reader", "lends", "book"],
            "source_id_col": "who",
            "dest_id_col": "what",
            "format": {"name": "parquet"},
            "files": "data/lends.parquet",
            "features": [
                {"feature_col": "days"},
                {"feature_col": "wrong", "transform": {"name": "edge_dst_hard_negative", "separator": ","}},
            ],
            "labels": [
                {"task_type": "link_prediction", "split_pct": [0.8, 0.1, 0.1]},
                {"label_col": "stars", "task_type": "classification", "split_pct": [0.5, 0.25, 0.25]},
            ],
        },
        {
            "relation": ["book", "by", "author"],
            "source_id_col": "isbn",
            "dest_id_col": "author",
            "format": {"name": "parquet"},
            "files": ["data/books/*.parquet"],
        },
    ],
}

GSPROCESSING: dict[str, Any] = {
    "version": "gsprocessing-v1.0",
    "graph": {
        "nodes": [
            {
                "type": "book",
                "column": "isbn",
                "data": {"format": "csv", "files": ["books/"], "separator": ","},
                "features": [
                    {
                        "column": "pages",
                        "transformation": {"name": "numerical", "kwargs": {"normalizer": "min-max", "imputer": "mean"}},
                    },
                    {
                        "column": "weight",
                        "transformation": {"name": "numerical", "kwargs": {"normalizer": "rank-gauss", "epsilon": 0.1}},
                    },
                    {
                        "column": "year",
                        "transformation": {
                            "name": "bucket_numerical",
                            "kwargs": {"range": [1900, 2000], "bucket_cnt": 2, "imputer": "mean"},
                        },
                    },
                    {"column": "shelf", "transformation": {"name": "categorical"}},
                    {"column": "tags", "transformation": {"name": "multi-categorical", "kwargs": {"separator": "|"}}},
                    {
                        "column": "blurb",
                        "transformation": {
                            "name": "huggingface",
                            "kwargs": {"action": "embedding_hf", "hf_model": "some/model", "max_seq_length": 32},
                        },
                    },
                    {"column": "far", "data": {"format": "csv", "files": ["far/"]}},
                ],
                "labels": [
                    {
                        "column": "genre",
                        "type": "classification",
                        "separator": ";",
                        "split_rate": {"train": 0.9, "val": 0.1, "test": 0.0},
                    }
                ],
            }
        ],
        "edges": [
            {
                "data": {"format": "parquet", "files": ["lends.parquet"]},
                "source": {"column": "reader"},
                "dest": {"column": "book"},
                "relation": {"type": "lends"},
                "labels": [
                    {"column": "", "type": "link_prediction", "split_rate": {"train": 0.8, "val": 0.1, "test": 0.1}}
                ],
            }
        ],
    },
}


_GENERAL: dict[str, Any] = {
    "basic": {
        "backend": "gloo",
        "ip_config": "ips.txt",
        "part_config": "parts/books.json",
        "save_perf_results_path": None,
    },
    "gnn": {
        "model_encoder_type": "rgat",
        "num_layers": 2,
        "num_heads": 4,
        "hidden_size": 64,
        "fanout": "15,5",
        "use_mini_batch_infer": False,
    },
    "output": {
        "save_model_path": "models",
        "topk_model_to_save": 3,
        "task_tracker": "tensorboard_task_tracker:./logs",
    },
    "hyperparam": {
        "dropout": 0.1,
        "lr": 0.002,
        "num_epochs": 7,
        "batch_size": 256,
        "wd_l2norm": 0,
        "sparse_optimizer_lr": "1e-2",
        "eval_frequency": 500,
        "eval_batch_size": 512,
        "max_grad_norm": 1.0,
    },
    "rgcn": {"num_bases": -1, "use_self_loop": True},
}


def training(**sections: Any) -> dict[str, Any]:
    """A training YAML with a graph network and usual numbers; `sections` of `gsf` are added or replaced."""
    return copy.deepcopy({"version": 1.0, "gsf": {**_GENERAL, **sections}})
