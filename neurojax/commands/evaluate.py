"""`neurojax evaluate`: scores a run on the four activity tasks, beside baselines and oracle, and draws it."""

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.commands import baselines as baseline_scores
from neurojax.commands import runs
from neurojax.data.sessions import Dataset, dataset_of, open_dataset
from neurojax.errors import InputError
from neurojax.evals import activity, examples, leaks, oracle, protocols, reliability, report, scoring, tables
from neurojax.evals.baselines import NAMES
from neurojax.files import require_writable, write_json
from neurojax.train.progress import Progress
from neurojax.train.writer import read_metrics
from neurojax.types import TEST, Session

SMOOTHER_GROUPS = 8  # units hidden together by the observer who knows the dynamics: speed against a little harder


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises InputError for an unknown protocol or baseline, or sizes that make no sense."""
    protocols.get_protocol(settings["protocol"])
    for name in names_of(settings["baselines"]):
        if name not in NAMES:
            raise InputError(f"eval.baselines names {name!r}; choose from {', '.join(NAMES)}")
    for name, least in (("trials_per_pass", 1), ("num_boot", 0)):
        if settings[name] < least:
            raise InputError(f"eval.{name}={settings[name]}; expected at least {least}")


def names_of(listed: str) -> tuple[str, ...]:
    """`a,b` -> ("a", "b")."""
    return tuple(name for name in listed.split(",") if name)


def evaluate(folder: Path, *, data: Path | None = None, protocol: str | None = None, out: Path | None = None) -> None:
    """Evaluates a run's newest checkpoint.

    Args:
        folder: the workdir of a run.
        data: sessions to score (must be ones the run has rows for); default: those of the config.
        protocol: default: that of the config.
        out: where to write the scores; default <workdir>/evaluation.json with figures and report.html.

    Raises:
        InputError: no run, no checkpoint, unknown sessions or units, no test trials.
    """
    config = runs.read_run(Path(folder))
    if out is not None:
        require_writable(Path(out))
    if protocol is not None:
        config = {**config, "eval": {**config["eval"], "protocol": protocol}}
    check_settings(config["eval"])
    if data is None:
        dataset = runs.load_data(config)
    else:  # what is fitted to these sessions is kept with them, not with the data of the run
        dataset = _with_test_trials(open_dataset(Path(data)))
        config = {**config, "data": {**config["data"], "root": str(data)}}
    evaluate_run(Path(folder), config, dataset, out)


def _with_test_trials(dataset: Dataset) -> Dataset:
    """The sessions that can be scored; the others are counted and named, and refused where none is left."""
    kept = [session for session in dataset.sessions if len(session.trials_of(TEST))]
    left_out = [session.session_id for session in dataset.sessions if not len(session.trials_of(TEST))]
    if not kept:
        raise InputError(f"session {left_out[0]} has no test trial, nor has another; convert them with a split")
    if not left_out:
        return dataset
    print(f"left out {len(left_out)} of {len(dataset.sessions)} sessions without a test trial: {', '.join(left_out)}")
    return dataset_of(kept)


def evaluate_run(folder: Path, config: Mapping[str, Any], dataset: Dataset, out: Path | None = None) -> dict[str, Any]:
    """Predicts, scores, prints the table, writes evaluation.json (or `out`), figures and report.html."""
    settings, seed = config["eval"], config["seed"]
    model, manifest = runs.load_predictor(folder, config, dataset)
    baselines = baseline_scores.cached_scores(dataset, config["data"]["root"], folder, settings, seed)
    start = time.monotonic()
    leak_checks = leaks.check_evaluation(
        model, dataset.sessions, seed=seed, trials_per_pass=settings["trials_per_pass"]
    )
    sessions, example = {}, None
    with Progress(len(dataset.sessions), "evaluating", unit="sessions") as progress:
        for number, session in enumerate(dataset.sessions):
            predictions = activity.predict_session(model, session, trials_per_pass=settings["trials_per_pass"])
            score = functools.partial(scoring.score_session, session, seed=seed, num_boot=settings["num_boot"])
            sessions[session.session_id] = {
                "num_units": session.num_units,
                "num_test_trials": len(session.trials_of(TEST)),
                "tasks": score(predictions),
                "baselines": baselines[session.session_id].scores,
                "leak_checks": leak_checks[session.session_id],
                **reliability.psth_reliability(session, seed=seed),
                **_ceilings(session, score),
            }
            if example is None:
                source_only = activity.predict_from_single_regions(model, session, settings["trials_per_pass"])
                unit_scores = baselines[session.session_id].unit_scores
                known = {name: values for name, values in unit_scores.items() if np.isfinite(values).any()}
                example = examples.of_session(session, predictions, source_only, known)
            sessions[session.session_id]["paired"] = _paired(
                session, predictions, sessions[session.session_id], baselines[session.session_id].excess, settings, seed
            )
            progress.update(number + 1)
    paired = scoring.paired_mean({name: entry["paired"] for name, entry in sessions.items()})
    mean = scoring.mean_over_sessions({name: entry["tasks"] for name, entry in sessions.items()})
    evaluation = {
        "schema": 1,
        "protocol": settings["protocol"],
        "protocol_hash": protocols.protocol_hash(settings["protocol"]),
        "eval": dict(settings),
        "seed": seed,
        "step": manifest["step"],
        "dataset_fingerprint": dataset.fingerprint,
        "config_hash": manifest["config_hash"],
        "sessions": sessions,
        "mean": {task: block | {"paired_mean": paired[task]} for task, block in mean.items()},
    }
    write_json(Path(out) if out else folder / "evaluation.json", evaluation)
    print(report.terminal_table(evaluation))
    print(f"evaluated {len(sessions)} sessions in {time.monotonic() - start:.1f} s")
    if out is None:
        _draw(folder, evaluation, example)
    return evaluation


def _paired(session: Session, predictions, entry, excess, settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The model minus the strongest baseline of each task in this session."""
    strongest = {task: tables.best_baseline(entry, task) for task in predictions}
    names = {task: found[0] for task, found in strongest.items() if found}
    return scoring.compare_with_best(session, predictions, names, excess, seed=seed, num_boot=settings["num_boot"])


def _ceilings(session: Session, score: Callable) -> dict[str, Any]:
    """Scores of what knows the truth, for synthetic sessions."""
    if session.true_rates is None:
        return {}
    found = {"oracle": score(oracle.oracle_predictions(session))}
    try:
        found["known_dynamics_smoother"] = score(oracle.known_dynamics_smoother(session, num_groups=SMOOTHER_GROUPS))
    except InputError:  # its dynamics have no smoother, or the session came without its truth
        pass
    return found


def _draw(folder: Path, evaluation: Mapping[str, Any], example: Mapping[str, Any]) -> None:
    metrics = read_metrics(folder)
    try:
        figures = report.draw_figures(evaluation, example, metrics)
    except ImportError:
        print('figures need matplotlib: pip install "neurojax[viz]", then run `neurojax evaluate` again')
        figures = {}
    report.write_report(folder, evaluation, figures, metrics, log=print)
