"""The config of a fine-tuning run: what it leaves open is as in the run it starts from."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.errors import require
from neurojax.finetune import release
from neurojax.objectives import interface as objectives
from neurojax.runs import workdir
from neurojax.runs.manifest import read_manifest, steps_on_disk
from neurojax.train import run_folder, settings

STRATEGIES = ("full", "lora", "stitcher_only", "gradual_unfreeze", "none")
OF_ANY_DATA = ("full", "lora")  # the others are about rows of new sessions
NEW_ROWS = ("random", "pca", "region_mean", "closed_form")
NEW_ROWS_OF_TWINS = ("random", "closed_form")
# Tables whose first rows of a new session are known, see `first_state`: those of `models.stitcher`.
ROWS = frozenset(("read_in", "read_in_bias", "read_out", "read_out_bias", "session_token"))
# Of the model, what may differ from the run it starts from: nothing here is the shape or the
# meaning of a weight.
FREE = frozenset(
    (
        "num_positions",
        "num_session_rows",
        "dropout_embed",
        "dropout",
        "dropout_attention",
        "own_alone_share",
    )
    + ("init", "read_in_init", "compute_dtype", "attention", "remat", "unroll")
    + ("norm_momentum", "smoothness", "sparsity")
)


def resolved(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Fills every entry that is None from the run `init_from` names; once begun, from the workdir
    itself.

    Args:
        config: of configs/finetune.py.
        folder: the workdir; a run that has begun needs nothing of the run it started from.

    Raises:
        InputError: no run there, a model that can be started neither by rows nor as it is, a width
            or another part of the architecture that differs, an unknown strategy.
    """
    config = {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in config.items()
    }
    require(
        "finetune" in config,
        f"init_from={config['init_from']!r} goes with --config=configs/finetune.py",
    )
    require(
        config["init_from"],
        "configs/finetune.py needs --config.init_from=RUN, the workdir of a finished `neurojax "
        "train`",
    )
    check_choices(config["finetune"])
    base = _begun(folder)
    if base is not None and config["init_from"] == base["init_from"]:
        digest = base["finetune"]["source_sha256"]
    else:
        found, digest, num_bins = base_of(Path(config["init_from"]))
        # its table has as many rows as the run's longest trial bins
        if found["model"].get("positions") == "learned":
            found["model"] |= {"num_positions": num_bins}
        base = base or found
    base["model"] = {name: value for name, value in base["model"].items() if name != "lora"}
    require_startable(base, config)
    require(
        base.get("members", 1) <= 1 and config["members"] <= 1,
        "fine-tuning starts from one model, not from an ensemble; train from a run with members=1",
    )
    for name, value in config["model"].items():
        there = base["model"].get(name)
        require(
            value is None or name in FREE or value == there,
            f"model.{name}={value!r}, but the run it starts from has {there!r}; leave it out: the "
            "architecture is that of init_from",
        )
    for block in workdir.LEARNED:
        chosen = {name: value for name, value in config[block].items() if value is not None}
        config[block] = {**base[block], **chosen}
    config["objective"] = _without_answers(config["objective"])
    if config["data"].get("bucket_units", 0) is None:
        config["data"]["bucket_units"] = base["data"]["bucket_units"]
    config["finetune"]["source_sha256"] = digest
    return _with_adapters(config)


def _with_adapters(config: dict[str, Any]) -> dict[str, Any]:
    """The block finetune.lora where the model is built from, or nowhere: a run without adapters
    does not depend on it."""
    chosen = dict(config["finetune"])
    adapters = chosen.pop("lora", None)
    config["finetune"] = chosen
    if chosen["strategy"] == "lora":
        settings.adapters_of(adapters)
        config["model"] = config["model"] | {"lora": dict(adapters)}
    return config


def _without_answers(objective: Mapping[str, Any]) -> dict[str, Any]:
    """The objective block of a fine-tuning; of one that needs more than counts, what stands for
    it."""
    name = getattr(objectives.named(objective["name"]), "FINE_TUNED_AS", None)
    if name is None:
        return dict(objective)
    known = {field.name for field in dataclasses.fields(objectives.named(name).Config)}
    return {key: value for key, value in objective.items() if key in known} | {"name": name}


def require_startable(base: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raises InputError for a run that fine-tuning cannot start from.

    Args:
        base: config of that run.
        config: of the fine-tuning; a model without rows of units or sessions starts as it is, from
            data of the same kind.
    """
    model = settings.model_of(base)
    tables, chosen = set(model.module.tables(model.config)), config["finetune"]
    source = config["data"].get("source")
    if not tables and source == base["data"].get("source") and "new_rows" not in chosen:
        require(
            chosen["strategy"] in OF_ANY_DATA,
            f"finetune.strategy={chosen['strategy']} is about rows of new sessions, which "
            f"model.name={model.name} does not have; choose from {', '.join(OF_ANY_DATA)}",
        )
        return
    if getattr(model.module, "NEW_ROWS_AS_IN_PRETRAINING", False):
        require(
            source == base["data"].get("source") and chosen.get("new_rows") in NEW_ROWS_OF_TWINS,
            f"the run is of model.name={model.name}, whose rows of new sessions start by "
            f"new_rows={' or '.join(NEW_ROWS_OF_TWINS)}; take "
            f"--config=configs/finetune_{model.name}.py",
        )
        settings.entry(chosen, "finetune", "unfreeze_step", int)
        return
    require(
        tables >= ROWS,
        f"fine-tuning needs an NDT, whose rows of new sessions it can start, but the run is of "
        f"model.name={model.name!r}; train that model on the new sessions instead",
    )
    for name in ("new_rows", "unfreeze_step"):
        settings.entry(chosen, "finetune", name, object)


def check_choices(finetune: Mapping[str, Any]) -> None:
    """Raises InputError for a strategy, an initialisation or a step that is not one."""
    for name, allowed in (("strategy", STRATEGIES), ("new_rows", NEW_ROWS)):
        found = finetune.get(name, allowed[0])  # configs without rows of sessions have no new_rows
        require(found in allowed, f"finetune.{name}={found!r}; choose from {', '.join(allowed)}")
    step = finetune.get("unfreeze_step", 1)
    require(step >= 1, f"finetune.unfreeze_step={step}; expected at least 1 frozen step")


def base_of(run: Path) -> tuple[dict[str, Any], str, int]:
    """Config, digest and bins of a run or an export; whether its files are whole is checked when
    they are read."""
    if release.is_release(run):
        facts = release.read_facts(run)
        return facts["config"], facts["weights_sha256"], facts["num_bins"]
    config, steps = (
        run_folder.read_run(run, workdir.OF_WEIGHTS),
        steps_on_disk(run / "checkpoints"),
    )
    require(steps, f"init_from={str(run)!r} has no checkpoint; train it first")
    manifest = read_manifest(run / "checkpoints" / str(steps[-1]))
    return config, manifest["manifest_sha256"], manifest["num_bins"]


def _begun(folder: Path) -> dict[str, Any] | None:
    """The config of a fine-tuning run that has a checkpoint in `folder`, or None."""
    if not steps_on_disk(folder / "checkpoints") or not (folder / workdir.CONFIG_NAME).is_file():
        return None
    config = run_folder.read_run(folder, workdir.OF_WEIGHTS)
    started = isinstance(config.get("finetune"), dict) and "source_sha256" in config["finetune"]
    return config if started and "init_from" in config else None
