"""Keys of GraphStorm's training YAML about training and inference."""

from __future__ import annotations

from typing import Any

from gconstruct.convert.training import Pool, Training, listed


def convert_train(training: Training) -> None:
    """Fill the sections `train` and `infer`."""
    train, infer, pool = training.ours["train"], training.ours["infer"], training.pool
    student = train.pop("_student", None)
    epochs = int(pool.take("num_epochs", 0))
    if epochs > 0:
        train["epochs"] = epochs
    numbers = {
        "batch_size": ("batch_size", int), "lr": ("lr", float), "sparse_optimizer_lr": ("embedding_lr", float),
        "max_grad_norm": ("clip_norm", float),
    }  # fmt: skip
    for theirs, (ours, kind) in numbers.items():
        if theirs in pool:
            train[ours] = kind(float(pool.take(theirs)))
    decay = pool.take("wd_l2norm", note="AdamW: the decay does not go through the gradient")
    if decay is not None:
        train["weight_decay"] = float(decay)
    if float(pool.take("alpha_l2norm", 0.0) or 0.0) > 0:
        pool.none("alpha_l2norm", "weight_decay is the only penalty")
    _fanouts(train, infer, pool, training.ours["model"]["gnn"]["type"] == "none")
    _stopping(train, pool)
    _saving(train, pool)
    _strategy(train, pool, student, "distill" in [s.key.rpartition(".")[2] for s in pool.sections])
    size = pool.take("eval_batch_size")
    if size is not None:
        infer["batch_size"] = int(size)


def _fanouts(train: dict[str, Any], infer: dict[str, Any], pool: Pool, without: bool) -> None:
    """Theirs begin at the layer that is farthest from the seeds, ours at the nearest."""
    said = "in the other order: ours begin at the layer next to the seeds"
    fanouts = pool.take("fanout", note=said if not without else "there are no messages")
    if fanouts is not None and not without:
        train["fanouts"] = [_fanout(layer) for layer in reversed(str(fanouts).split(","))]
    mini_batch = pool.take("use_mini_batch_infer", pool.take("mini_batch_infer"))
    evaluated = pool.take("eval_fanout", note=None)
    if mini_batch is not None and not without:
        infer["mode"] = "mini_batch" if mini_batch else "layer_wise"
    if evaluated is not None and mini_batch and not without:
        infer["fanouts"] = [_fanout(layer) for layer in reversed(str(evaluated).split(","))]
        pool.take("eval_fanout", note=said)
        pool.notes.same(pool.key("eval_fanout"), said)
    elif evaluated is not None:
        pool.none("eval_fanout", "layer-wise inference takes all neighbours")


def _fanout(layer: str) -> int | dict[str, Any]:
    """'10', or 'user/rates/movie:10@movie/rates-rev/user:5'."""
    if ":" not in layer:
        return int(layer)
    by_type = {}
    for part in layer.strip().split("@"):
        name, _, number = part.rpartition(":")
        by_type[name.strip().replace("/", ":")] = int(number)
    return {"default": 0, "by_edge_type": by_type}


def _stopping(train: dict[str, Any], pool: Pool) -> None:
    rounds = pool.take("early_stop_rounds", note=None)
    stops = pool.take("use_early_stop", False)
    if stops:
        train["early_stop"] = {"patience": int(pool.take("early_stop_rounds", rounds or 3))}
        if burn_in := int(pool.take("early_stop_burnin_rounds", 0, note="in epochs") or 0):
            train["early_stop"]["burn_in"] = burn_in
    elif rounds is not None:
        pool.near("early_stop_rounds", "without use_early_stop it does nothing")
    train.setdefault("early_stop", None)
    strategy = str(pool.take("early_stop_strategy", "average_increase" if stops else ""))
    if stops and strategy.startswith("average"):
        train["early_stop"]["rule"] = "mean"
    elif strategy and not stops:
        pool.near("early_stop_strategy", "without use_early_stop it does nothing")
    if pool.take("no_validation", False):
        train |= {"evaluate_every": None, "early_stop": None}
    every = int(pool.take("eval_frequency", 0, note="besides, at the end of each epoch") or 0)
    if every > 0 and train.get("evaluate_every", 1) is not None:
        train["evaluate_steps"] = every


def _saving(train: dict[str, Any], pool: Pool) -> None:
    every = pool.take("save_model_frequency", pool.take("save_model_per_iters"))
    if every is not None and int(every) > 0:
        train.setdefault("checkpoint", {})["every_steps"] = int(every)
    keep = pool.take("topk_model_to_save", note=None)
    if keep is not None and int(keep) > 0:
        is_validated = train.get("evaluate_every", 1) is not None
        if is_validated:
            train["keep_best"] = int(keep)
        said = "the best models, listed in train/kept.json; points to go on from: train.checkpoint.keep"
        pool.near("topk_model_to_save", said if is_validated else "without validation the last model is kept")
    tracker = str(pool.take("task_tracker", ""))
    if tracker.startswith("tensorboard"):
        train["track"] = {"trackers": ["tensorboard"]}
    elif tracker:
        pool.none("task_tracker", "metrics.jsonl is always written, lines for SageMaker on SageMaker")
    report = pool.take("log_report_frequency")
    if report is not None:
        train.setdefault("track", {})["every_steps"] = int(report)


def _strategy(train: dict[str, Any], pool: Pool, student: dict[str, Any] | None, distils: bool) -> None:
    """How language models learn: not at all, with the graph network, in turn with it, or from it."""
    rate = pool.take("lm_tune_lr", pool.take("bert_tune_lr"))
    lm = train.setdefault("lm", {})
    if rate is not None:
        lm["lr"] = float(rate)
    pool.take("cache_lm_embed", note="vectors of frozen models are always kept")
    method = pool.take("training_method", {}, note=None)
    if pool.take("use_pseudolabel", note=None):
        pool.none("use_pseudolabel", "train.strategy: glem has pseudo labels")
    nodes = int(pool.take("lm_train_nodes", 0) or 0)
    frozen = int(pool.take("freeze_lm_encoder_epochs", 0) or 0)
    if isinstance(method, dict) and method.get("name") == "glem":
        _glem(train, pool, dict(method.get("kwargs") or {}))
    elif distils or student is not None:
        _distil(train, pool, student)
    elif nodes > 0:
        train["strategy"] = "joint"
        if frozen > 0:
            train["phases"] = [{"name": "gnn", "type": "gnn", "epochs": frozen}, {"name": "joint", "type": "joint"}]
    if nodes > 0:
        pool.near(
            "lm_train_nodes", "joint: texts of the seeds and of `neighbors` get gradients, within lm_tokens a step"
        )
    elif frozen > 0:
        pool.near("freeze_lm_encoder_epochs", "without lm_train_nodes the language model is always frozen")
    if not lm:
        del train["lm"]


def _glem(train: dict[str, Any], pool: Pool, settings: dict[str, Any]) -> None:
    train["strategy"] = "glem"
    weight = float(settings.pop("pl_weight", 0.5))
    first_gnn = bool(settings.pop("em_order_gnn_first", False))
    pretrain = int(settings.pop("num_pretrain_epochs", 0) or 0)
    ends_with_gnn = bool(settings.pop("inference_using_gnn", True))
    phases: list[dict[str, Any]] = []
    if not first_gnn or pretrain:
        phases.append({"name": "lm", "type": "lm"} | ({"epochs": pretrain} if pretrain else {}))
    pseudo: dict[str, Any] = {"name": "pseudo", "type": "pseudo"}
    if 0.0 < weight < 1.0:
        pseudo["weight"] = weight
    train["phases"] = [*phases, {"name": "gnn", "type": "gnn"}, pseudo, {"name": "gnn2", "type": "gnn"}]
    said = "glem: language model and graph network in turn, by whole phases" + (
        "" if ends_with_gnn else "; predictions are the graph network's"
    )
    pool.near("training_method", said)
    for name in settings:
        pool.notes.none(f"{pool.key('training_method')}.kwargs.{name}", "not a setting of strategy glem")


def _distil(train: dict[str, Any], pool: Pool, student: dict[str, Any] | None) -> None:
    train["strategy"] = "distill"
    phase: dict[str, Any] = {"name": "student", "type": "student"}
    if student is not None:
        phase["text_encoder"] = dict(student)
        length = pool.take("max_seq_len")
        if length is not None:
            phase["text_encoder"]["max_tokens"] = int(length)
    train["phases"] = [{"name": "gnn", "type": "gnn"}, phase]
    for name in ("textual_data_path", "max_distill_step"):
        for _ in listed(pool.take(name, [], note=None)):
            pool.none(name, "the student learns on the graph's own texts, by train.lm.epochs")
