"""`neurojax audit`: what the scores of a run rest on, each item a number with a null."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax import by_name
from neurojax.data.store import trained_trials
from neurojax.errors import InputError, require
from neurojax.evals import evaluators, leaks
from neurojax.evals.audits import audit as audits
from neurojax.files import read_json, require_writable, write_json
from neurojax.report import audit_block
from neurojax.runs.progress import Progress
from neurojax.train import run_folder

RECORD_NAME, PAGE_NAME = "audit.json", "audit.html"
SCHEMA = 1
NOT_AUDITED = ("image_retrieval", "joint")  # they have controls of their own, and no parts


def audit(
    folder: Path, *, data: Path | None = None, out: Path | None = None, seed: int = 0
) -> None:
    """Audits the newest checkpoint of a workdir; writes audit.json and audit.html, and the audit
    into report.html and, with the next export, into the model card.

    Args:
        folder: workdir of a run of any system.
        data: other recordings to audit it on; then `out` is needed, another folder than `folder`.
        out: a folder; default the workdir.
        seed: of every draw.

    Raises:
        InputError: no run, no sound checkpoint, nothing to audit it on, or test trials that the
            run was trained on.
    """
    folder, started = Path(folder), time.monotonic()
    config = run_folder.read_run(folder)
    where = Path(out) if out else folder
    if data is not None and where.resolve() == folder.resolve():
        raise InputError(
            "--data without another folder as --out: the audit in a workdir is that of its own "
            "data; set --out=DIR"
        )
    require_writable(where, folder=True)
    record = of_run(folder, config, data, seed)
    where.mkdir(parents=True, exist_ok=True)
    write_json(where / RECORD_NAME, record)
    audit_block.write_page(where / PAGE_NAME, record)
    print(audit_block.terminal(record))
    put = where == folder and audit_block.put_into(folder / "report.html", record)
    print(
        f"audited in {time.monotonic() - started:.0f} s: {where / RECORD_NAME}, {PAGE_NAME}"
        f"{' and report.html' if put else ''}"
    )


def of_run(folder: Path, config: Mapping[str, Any], data: Path | None, seed: int) -> dict[str, Any]:
    """The content of audit.json."""
    evaluator, name = evaluators.named(config["eval"]), _evaluator(config)
    require(
        name not in NOT_AUDITED,
        f"neurojax audit replaces inputs of predictions, which it cannot do yet for a run of "
        f"eval.evaluator={name}; its own controls stand in evaluation.json",
    )
    dataset = run_folder.data_of(config, data)
    dataset = evaluator.prepare(dataset, config["eval"], run=folder)
    model, manifest = run_folder.load_predictor(folder, config, dataset)
    module, scores = _module(name), []
    if module is None:
        found = audits.of_no_parts(f"the audit cannot replace inputs of eval.evaluator={name} yet")
        bounds = "no item was predicted again"
    else:
        leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
        scores, reason = _scores_of_seeds(folder, module)
        parts = module.parts_of(model, dataset, config["eval"], seed)
        with Progress(len(audits.LABELS), "audit", unit="items") as progress:
            found = audits.audit(
                parts,
                seed=seed,
                scores_of_seeds=scores,
                no_seeds=reason,
                progress=progress.update,
            )
        bounds = module.BOUNDS[:1].upper() + module.BOUNDS[1:]
    facts = {
        "schema": SCHEMA,
        "evaluator": name,
        "seed": seed,
        "step": manifest["step"],
        "config_hash": manifest["config_hash"],
        "dataset_fingerprint": dataset.fingerprint,
        "bounds": bounds,
    }
    return facts | found


def asked_again(folder: Path, config: Mapping[str, Any]) -> tuple[Any, Any]:
    """(a run's newest checkpoint as a predictor, its own data as its evaluator takes them); raises
    InputError where one of them cannot be read."""
    evaluator = evaluators.named(config["eval"])
    dataset = evaluator.prepare(run_folder.data_of(config, None), config["eval"], run=folder)
    return run_folder.load_predictor(folder, config, dataset)[0], dataset


def parts_of_splits(
    model, dataset, config: Mapping[str, Any], splits: Sequence[int]
) -> list[Any] | None:
    """Parts of each split, for `api.membership.of_parts`; None of an evaluator without any."""
    module = _module(_evaluator(config))
    if module is None:
        return None
    return [module.parts_of(model, dataset, config["eval"], 0, split) for split in splits]


def read(folder: Path) -> dict[str, Any] | None:
    """The audit of a run; None where there is none; raises InputError for a damaged one."""
    path = folder / RECORD_NAME
    if not path.is_file():
        return None
    record = read_json(path)
    items = record.get("items")
    sound = (
        record.get("schema") == SCHEMA
        and isinstance(items, dict)
        and set(items) <= set(audits.LABELS)
        and all(
            isinstance(item, dict)
            and {"value", "null", "p_holm", "alarm", "words"} <= set(item)
            and isinstance(item["words"], str)
            and all(
                item[key] is None or isinstance(item[key], int | float)
                for key in ("value", "null", "p_holm")
            )
            for item in items.values()
        )
        and record.get("alarms") == [key for key, item in items.items() if item["alarm"]]
        and isinstance(record.get("step"), int)
        and isinstance(record.get("num_items"), int)
    )
    if not sound:
        raise InputError(f"{path} is damaged; run `neurojax audit` again")
    return record


def _evaluator(config: Mapping[str, Any]) -> str:
    return str(config["eval"].get("evaluator", evaluators.SPIKES))


def _module(name: str) -> Any:
    """The module that makes the parts of an evaluator's runs; None where there is none."""
    needs = ("BOUNDS", "parts_of", "headline")
    known = by_name.names("evals.audits", needs)
    wanted = f"of_{name}"
    return by_name.module_named("evals.audits", wanted, needs) if wanted in known else None


def _scores_of_seeds(folder: Path, module: Any) -> tuple[list[float], str]:
    """(score of each seed beside this run, why there are fewer than two)."""
    beside = sorted(folder.resolve().parent.glob("seed_*/evaluation.json"))
    if not folder.resolve().name.startswith("seed_") or len(beside) < 2:
        return [], audits.NO_SEEDS
    found = []
    for path in beside:
        try:
            value = module.headline(read_json(path))
        except (InputError, AttributeError, TypeError):
            value = None
        found += [] if value is None else [value]
    return found, "the evaluations of the other seeds cannot be read"
