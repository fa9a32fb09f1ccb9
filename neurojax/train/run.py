"""A run from config to record; commands, experiments and notebooks call this.

train_and_evaluate(config, workdir) -> record      what `neurojax train` does
train(config, workdir)                             without a look at the test trials
evaluate(workdir) -> record                        what `neurojax evaluate` does
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from neurojax.data.checks import usable
from neurojax.data.session import Session
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.evals import evaluators
from neurojax.files import read_json, require_writable, write_json
from neurojax.finetune.weights import Weights
from neurojax.runs import processes, random_numbers, threads, workdir
from neurojax.runs.writer import read_metrics
from neurojax.train import description, loop, pass_memory, run_files, run_folder
from neurojax.train import plan as planning
from neurojax.train.predictor import Predictor
from neurojax.train.state import TrainState, steps_taken

RECORD_NAME = "evaluation.json"
Log = Callable[[str], Any]


def train_and_evaluate(
    config: Mapping[str, Any],
    folder: Path | str,
    *,
    dataset: Dataset | None = None,
    log: Log = print,
    dry_run: bool = False,
    allow_dataset_change: bool = False,
) -> dict[str, Any] | None:
    """Trains a run in `folder` from where it stands, then evaluates and draws it.

    Args:
        config: plain nested dict, see configs/mtm.py.
        folder: the workdir.
        dataset: sessions in memory; default: those that the config names.
        log: takes one line, or several with newlines between; only process 0 calls it.
        dry_run: tell shapes, parameters, memory and time; train and write nothing.
        allow_dataset_change: go on although the data changed under the checkpoint.

    Returns:
        the content of evaluation.json; None after a dry run, and with several processes, which do
        not evaluate.

    Raises:
        InputError: config, data or workdir cannot be used.
        Interrupted: a signal stopped the run after saving.
    """
    folder, log = Path(folder), processes.spoken_by_first(log)
    plan = planning.plan(config, folder, dataset, log)
    evaluator, asked = evaluators.named(plan.config["eval"]), plan.config["eval"]
    evaluator.about(asked)
    scored = evaluator.prepare(plan.dataset, asked, log=log)
    for path in _written(folder):
        require_writable(path)
    planning.tell(plan, log)
    if dry_run:
        log(description.estimated(plan.recipe, plan.source, plan.loop))
        return None
    description.require_room(plan.recipe, plan.source, plan.loop)
    if "memory_mb" in asked:  # judged before hours of training, not after them
        pass_memory.require_one_trial(plan.recipe, plan.source, asked["memory_mb"])
    with run_files.held(folder, plan, allow_dataset_change, log=log) as commit:
        state = _train(plan, folder, log, commit)
        if jax.process_count() > 1:  # reading a checkpoint would wait for the other processes
            log(f"trained; score it in one process: neurojax evaluate --workdir={folder}")
            return None
        record = _finished(folder, plan.config, scored, steps_taken(state))
        if record is not None:
            log(f"{folder} is finished and evaluated: see {folder / 'report.html'}")
            return record
        return evaluate_run(folder, plan.config, scored, log=log)


def train(
    config: Mapping[str, Any],
    folder: Path | str,
    *,
    dataset: Dataset | None = None,
    log: Log = print,
    allow_dataset_change: bool = False,
    base: Weights | None = None,
    known_sessions: Sequence[Session] = (),
) -> TrainState:
    """Trains a run and does not look at its test trials; arguments and errors as of
    `train_and_evaluate`, and:

    Args:
        base: weights in memory that fine-tuning starts from, in place of config.init_from; the
            config leaves nothing open then.
        known_sessions: of the base, for the alignment of new rows.

    Returns:
        the final state.
    """
    folder, log = Path(folder), processes.spoken_by_first(log)
    plan = planning.plan(config, folder, dataset, log, base, known_sessions)
    planning.tell(plan, log)
    description.require_room(plan.recipe, plan.source, plan.loop)
    usable.require_usable(plan.dataset.sessions, besides=usable.OF_TESTS)
    with run_files.held(folder, plan, allow_dataset_change, base, log) as commit:
        return _train(plan, folder, log, commit)


def evaluate(
    folder: Path | str,
    *,
    data: Path | None = None,
    protocol: str | None = None,
    out: Path | None = None,
    log: Log = print,
) -> dict[str, Any]:
    """Evaluates a run's newest checkpoint.

    Args:
        folder: the workdir of a run.
        data: sessions to score; default: those of the config. Those the run has no rows for, or
            that the protocol cannot score, are counted and left out.
        protocol: a name or the path of a protocol file; default: that of the config.
        out: where to write the scores, alone; default <workdir>/evaluation.json with figures and
            report.html, under another protocol than the config's evaluation_<protocol>.json,
            figures_<protocol> and report_<protocol>.html.
        log: takes one line, or several with newlines between.

    Returns:
        the record that was written.

    Raises:
        InputError: no run, no checkpoint, or no session that can be scored.
    """
    folder = Path(folder)
    config = run_folder.read_run(folder)
    evaluator, suffix = evaluators.named(config["eval"]), ""
    if protocol is not None:
        config, suffix = _under(config, protocol, evaluator)
    evaluator.about(config["eval"])
    for path in [Path(out)] if out else _written(folder, suffix):
        require_writable(path)
    dataset = run_folder.data_of(config, data)
    if data is not None:  # what is fitted to these is kept with them, not with the data of the run
        config = {**config, "data": {**config["data"], "root": str(data)}}
    dataset = evaluator.prepare(dataset, config["eval"], run=folder, log=log)
    return evaluate_run(folder, config, dataset, out, suffix, log)


def _written(folder: Path, suffix: str = "") -> list[Path]:
    """What an evaluation writes; its figures, which need not be made, left out."""
    return [folder / f"evaluation{suffix}.json", folder / f"report{suffix}.html"]


def _under(config: Mapping[str, Any], protocol: str, evaluator) -> tuple[dict[str, Any], str]:
    """(config with another protocol, suffix of its files: empty for the config's own)."""
    own = config["eval"]
    require(
        "protocol" in own,
        f"--protocol={protocol}, but this run is evaluated without a protocol; leave it out",
    )
    config = {**config, "eval": {**own, "protocol": protocol}}
    about = evaluator.about(config["eval"])
    with contextlib.suppress(InputError):  # its own protocol may be a file that is gone
        if evaluator.about(own) == about:
            return config, ""
    return config, f"_{about['protocol']}"


@threads.one_a_call()
def evaluate_run(
    folder: Path,
    config: Mapping[str, Any],
    dataset: Dataset,
    out: Path | None = None,
    suffix: str = "",
    log: Log = print,
) -> dict[str, Any]:
    """Scores sessions that are known to be fit for it; arguments as of `evaluate`.

    Writes evaluation<suffix>.json, figures<suffix>/ and report<suffix>.html, or `out` alone.
    """
    asked, evaluator = config["eval"], evaluators.named(config["eval"])
    model, manifest = run_folder.load_predictor(folder, config, dataset, log)
    start, metrics = time.monotonic(), read_metrics(folder)
    seed, root = run_folder.data_seed(config), config["data"]["root"]
    found = evaluator.evaluate(model, dataset, asked, seed, folder=folder, root=root, log=log)
    example = found.pop("example", None)
    record = {
        "schema": 1,
        **evaluator.about(asked),
        "eval": dict(asked),
        "seed": config["seed"],
        "step": manifest["step"],
        "dataset_fingerprint": dataset.fingerprint,
        "config_hash": manifest["config_hash"],
        "cost": _cost(model, metrics),
        **found,
    }
    where = Path(out) if out else folder / f"evaluation{suffix}.json"
    write_json(where, record)
    evaluator.show(record, log)
    under = f" under protocol {record['protocol']}" if "protocol" in record else ""
    took = f"in {time.monotonic() - start:.1f} s: {where}"
    log(f"evaluated {dataset.contents}{under} {took}")
    if out is None:
        evaluator.draw(folder, record, example, metrics, suffix=suffix, log=log)
    return read_json(where)


def _cost(model: Predictor, metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Parameters of a model, of an ensemble those of all members, and seconds of its training, to
    its last logged step; those between a logged step and a stop are missing."""
    count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))  # noqa: E731
    return {
        "shared_parameters": count(model.params),
        "row_parameters": count(model.tables),
        "training_s": metrics[-1].get("time_s") if metrics else None,
    }


@threads.one_a_call()
def _train(plan: planning.Plan, folder: Path, log: Log, commit: Callable[[], None]) -> TrainState:
    """Trains a plan in a folder that is held; what every manifest says of the run stands here."""
    facts = plan.source.facts
    record = {
        "config_hash": workdir.config_hash(plan.config),
        "dataset_fingerprint": plan.dataset.fingerprint,
        "bin_size_s": plan.dataset.bin_size_s,
        "seed": plan.config["seed"],
        "sessions": plan.source.table,
        "num_bins": max(facts.num_bins, getattr(plan.recipe.model.config, "num_positions", 0)),
        "facts": facts.to_record(),
        "mesh": [plan.config["sharding"]["data"], plan.config["sharding"]["model"]],
        "versions": workdir.package_versions(),
        "random_numbers": random_numbers.settings(),
        **({"init_from": plan.origin} if plan.origin else {}),
    }
    asked = (plan.recipe, plan.source, plan.loop, folder, record, log)
    return loop.train(*asked, start=plan.start, commit=commit)


def _finished(
    folder: Path, config: Mapping[str, Any], dataset: Dataset, step: int
) -> dict[str, Any] | None:
    """The record of a run already evaluated and drawn, if of this config, data and step."""
    try:
        record = read_json(folder / RECORD_NAME)
    except InputError:
        return None
    expected = {
        "step": step,
        "config_hash": workdir.config_hash(config),
        "dataset_fingerprint": dataset.fingerprint,
        "eval": config["eval"],
        **evaluators.named(config["eval"]).about(config["eval"]),
    }
    same = all(record.get(name) == value for name, value in expected.items())
    return record if same and (folder / "report.html").is_file() else None
