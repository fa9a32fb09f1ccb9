"""`neurojax evaluate`: scores a run under a protocol, beside baselines and oracle, and draws it."""

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.commands import baselines as baseline_scores
from neurojax.commands import runs
from neurojax.commands.scorable import known_to_run, scorable
from neurojax.data import trained_trials
from neurojax.data.sessions import Dataset, open_dataset
from neurojax.errors import InputError
from neurojax.evals import (
    activity,
    behaviour_read_out,
    best_baseline,
    drift_note,
    examples,
    few_shot,
    leaks,
    oracle,
    protocols,
    reliability,
    report,
    scoring,
    trust,
)
from neurojax.evals.baselines import NAMES
from neurojax.files import require_writable, write_json
from neurojax.train import pass_memory
from neurojax.train.predictor import Predictor
from neurojax.train.progress import Progress
from neurojax.train.settings import entry
from neurojax.train.writer import read_metrics
from neurojax.types import TEST, TRAIN, Session

SMOOTHER_GROUPS = 8  # units hidden together by the observer who knows the dynamics: speed against a little harder


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises InputError for an unknown protocol or baseline, a wrong type, or sizes that make no sense."""
    protocols.get_protocol(entry(settings, "eval", "protocol", str))
    for name in names_of(entry(settings, "eval", "baselines", str)):
        if name not in NAMES:
            raise InputError(f"eval.baselines names {name!r}; choose from {', '.join(NAMES)}")
    present = {"num_permutations": 0, "memory_mb": 1} | dict(settings)  # absent from configs of older versions
    for name, least in (("trials_per_pass", 1), ("num_boot", 0), ("num_permutations", 0), ("memory_mb", 1)):
        if entry(present, "eval", name, int) < least:
            raise InputError(f"eval.{name}={present[name]}; expected at least {least}")


def names_of(listed: str) -> tuple[str, ...]:
    """`a,b` -> ("a", "b")."""
    return tuple(name for name in listed.split(",") if name)


def evaluate(folder: Path, *, data: Path | None = None, protocol: str | None = None, out: Path | None = None) -> None:
    """Evaluates a run's newest checkpoint.

    Args:
        folder: the workdir of a run.
        data: sessions to score; default: those of the config. Those the run has no rows for, or that the protocol
            cannot score, are counted and left out.
        protocol: a name or the path of a protocol file; default: that of the config.
        out: where to write the scores, alone; default <workdir>/evaluation.json with figures and report.html, under
            another protocol than the config's evaluation_<protocol>.json, figures_<protocol> and
            report_<protocol>.html.

    Raises:
        InputError: no run, no checkpoint, or no session that can be scored.
    """
    config = runs.read_run(Path(folder))
    if out is not None:
        require_writable(Path(out))
    suffix = ""
    if protocol is not None:
        chosen = protocols.get_protocol(protocol)
        if protocols.protocol_hash(chosen) != _own_protocol_hash(config):
            suffix = f"_{chosen.name}"
        config = {**config, "eval": {**config["eval"], "protocol": protocol}}
    check_settings(config["eval"])
    chosen = protocols.get_protocol(config["eval"]["protocol"])
    if data is None:
        dataset = runs.load_data(config)
    else:  # what is fitted to these sessions is kept with them, not with the data of the run
        dataset = open_dataset(Path(data))
        config = {**config, "data": {**config["data"], "root": str(data)}}
    dataset = known_to_run(Path(folder), dataset, chosen)
    dataset = scorable(dataset, chosen, with_baselines=bool(config["eval"]["baselines"]))
    evaluate_run(Path(folder), config, dataset, out, suffix)


def _own_protocol_hash(config: Mapping[str, Any]) -> str | None:
    try:
        return protocols.protocol_hash(config["eval"]["protocol"])
    except InputError:  # a file that is gone
        return None


def evaluate_run(
    folder: Path, config: Mapping[str, Any], dataset: Dataset, out: Path | None = None, suffix: str = ""
) -> dict[str, Any]:
    """Predicts, scores, prints the table, writes evaluation<suffix>.json (or `out` alone), figures and the report."""
    settings, seed = config["eval"], runs.data_seed(config)
    protocol = protocols.get_protocol(settings["protocol"])
    model, manifest = runs.load_predictor(folder, config, dataset)
    start = time.monotonic()
    trials_per_pass = _trials_per_pass(model, dataset, settings)
    in_use = {**settings, "trials_per_pass": trials_per_pass}
    leak_checks = leaks.check_evaluation(
        model,
        dataset.sessions,
        seed=seed,
        trials_per_pass=trials_per_pass,
        protocol=protocol,
        trained=trained_trials.read(folder),
    )
    baselines = baseline_scores.cached_scores(dataset, config["data"]["root"], folder, settings, seed)
    best = best_baseline.best_baselines(
        {key: {"baselines": one.scores} for key, one in baselines.items()}, protocol.tasks
    )
    sessions, example = {}, None
    with Progress(len(dataset.sessions), "evaluating", unit="sessions") as progress:
        for number, session in enumerate(dataset.sessions):
            predictions = activity.predict_session(model, session, protocol=protocol, trials_per_pass=trials_per_pass)
            options = {"seed": seed, "num_boot": settings["num_boot"], "protocol": protocol}
            score = functools.partial(scoring.score_session, session, **options)
            tasks, comparable = score(predictions), dict(predictions)
            _add_read_outs(model, session, protocol, in_use, options, tasks, comparable)
            sessions[session.session_id] = {
                "num_units": session.num_units,
                "num_test_trials": len(session.trials_of(TEST)),
                "subject": str(session.info.get("subject_id") or "") or None,
                "tasks": {task: tasks[task] for task in protocol.tasks},
                "baselines": baselines[session.session_id].scores,
                "leak_checks": leak_checks[session.session_id],
                **reliability.psth_reliability(session, seed=seed),
                **drift_note.of_session(session),
                **_ceilings(session, score, protocol),
                "notes": protocols.notes(session, protocol) + [few_shot.NOTE] * bool(protocol.read_out_tasks),
                **trust.of_session(model, session, comparable, in_use, seed, protocol),
            }
            if example is None:
                unit_scores = baselines[session.session_id].unit_scores
                known = {name: values for name, values in unit_scores.items() if np.isfinite(values).any()}
                against = best[look].name if (look := examples.first_look_task(protocol)) in best else None
                example = examples.of_session(session, predictions, known, protocol, against)
            excess = baselines[session.session_id].excess
            sessions[session.session_id]["paired"] = scoring.compare_with_best(
                session, comparable, best, excess, **options
            )
            progress.update(number + 1)
    subjects = {name: entry["subject"] for name, entry in sessions.items()}
    paired = scoring.paired_mean({name: entry["paired"] for name, entry in sessions.items()}, subjects)
    mean = scoring.mean_over_sessions({name: entry["tasks"] for name, entry in sessions.items()}, subjects)
    evaluation = {
        "schema": 1,
        **baseline_scores.protocol_fields(protocol),
        "eval": dict(settings),
        "seed": config["seed"],
        "step": manifest["step"],
        "dataset_fingerprint": dataset.fingerprint,
        "config_hash": manifest["config_hash"],
        "sessions": sessions,
        "mean": {
            task: block | ({"paired_mean": paired[task]} if task in paired else {}) for task, block in mean.items()
        },
    }
    where = Path(out) if out else folder / f"evaluation{suffix}.json"
    write_json(where, evaluation)
    print(report.terminal_table(evaluation))
    baseline_scores.print_notes(sessions)
    if leak := drift_note.line(evaluation):
        print(f"warning: {leak}")
    taken_s = time.monotonic() - start
    print(f"evaluated {len(sessions)} sessions under protocol {protocol.name} in {taken_s:.1f} s: {where}")
    if out is None:
        _draw(folder, evaluation, example, suffix)
    return evaluation


def _add_read_outs(model, session, protocol, settings, options, tasks, comparable) -> None:
    """Adds what is read from latents or rates beside the held-out units: to `tasks`, and to what can be paired."""
    boot = {name: options[name] for name in ("seed", "num_boot")}
    beside = functools.partial(
        activity.beside_held_out, model, session, protocol, trials_per_pass=settings["trials_per_pass"]
    )
    parts = [session.trials_of(split) for split in (TRAIN, TEST)]
    if protocol.read_out_tasks:
        _, bin_valid = session.gather_trials(parts[0])
        latents = few_shot.principal(*(beside(trial_ids, latents=True) for trial_ids in parts), bin_valid)
        blocks, sums = few_shot.score(session, protocol, [latents], **boot)
        tasks.update(blocks)
        comparable.update(sums)
    for task in protocol.behaviour_tasks:
        asked = protocol.tasks[task]
        scored = protocols.scored_units(session, protocol)
        has_it = behaviour_read_out.behaviour_of(session, asked) is not None
        rates = [beside(trial_ids)[:, :, scored] for trial_ids in parts] if has_it else [np.zeros((0, 0, 0))] * 2
        block = behaviour_read_out.score(session, asked, *rates, **boot)
        tasks[task] = scoring.with_headline(block, task, protocol)


def _trials_per_pass(model: Predictor, dataset: Dataset, settings: Mapping[str, Any]) -> int:
    """Trials of a forward pass: as many as the settings' memory holds, at most `trials_per_pass`; says so."""
    largest = max(session.num_units for session in dataset.sessions)
    memory_mb = settings.get("memory_mb", pass_memory.MEMORY_MB)
    size = model.pass_size(largest, memory_mb=memory_mb, at_most=settings["trials_per_pass"])
    print(
        f"evaluation: {size.trials} trials a forward pass, up to {size.memory_mb:,.0f} MB on each device "
        f"(eval.memory_mb={memory_mb})",
        flush=True,
    )
    return size.trials


def _ceilings(session: Session, score: Callable, protocol: protocols.Protocol) -> dict[str, Any]:
    """Scores of what knows the truth, for synthetic sessions."""
    if session.true_rates is None or not protocol.activity_tasks:
        return {}
    found = {"oracle": score(oracle.oracle_predictions(session, protocol))}
    try:
        smoothed = oracle.known_dynamics_smoother(session, num_groups=SMOOTHER_GROUPS, protocol=protocol)
        found["known_dynamics_smoother"] = score(smoothed)
    except InputError:  # its dynamics have no smoother, or the session came without its truth
        pass
    return found


def _draw(folder: Path, evaluation: Mapping[str, Any], example: Mapping[str, Any], suffix: str) -> None:
    metrics = read_metrics(folder)
    try:
        figures = report.draw_figures(evaluation, example, metrics)
    except ImportError:
        print('figures need matplotlib: pip install "neurojax[viz]", then run `neurojax evaluate` again')
        figures = {}
    report.write_report(folder, evaluation, figures, metrics, log=print, suffix=suffix)
