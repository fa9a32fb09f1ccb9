"""The evaluation of spikes: tasks of a protocol, beside baselines, ceilings and checks of leaks.

An evaluator is a module of this folder, named by `eval.evaluator`, with five functions:

    about(settings)     checks the `eval` block; what the record says of the evaluation beside it
    prepare(...)        the sessions that can be scored, before hours of training
    evaluate(...)       the blocks of evaluation.json
    show(...)           what the terminal is told of the record
    draw(...)           figures and report.html

One whose runs `neurojax compare` takes also has compared(records) -> (rows of a table, the head
first; notes). Spikes are compared by commands.compare itself.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data import belongs
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.evals import (
    activity,
    baseline_scores,
    behaviour_read_out,
    best_baseline,
    collapse,
    drift_note,
    examples,
    few_shot,
    generation,
    leaks,
    leave_out,
    likelihoods,
    oracle,
    over_sessions,
    protocols,
    reliability,
    scorable,
    scoring,
    spread,
    trust,
    with_stack,
)
from neurojax.report import page, run_report, terminal
from neurojax.report.figures import report_figures
from neurojax.runs.progress import Progress

# Units hidden together by the observer who knows the dynamics: faster, and a little harder for it.
SMOOTHER_GROUPS = 8
SIZES = {"trials_per_pass": 1, "memory_mb": 1, "num_boot": 0, "num_permutations": 0}  # least values
Log = Callable[[str], Any]


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of the protocol of its evaluation; those with the same are alike.

    Args:
        settings: the `eval` block of a config.

    Returns:
        see `protocols.fields`.

    Raises:
        InputError: an entry is missing or of a wrong type, an unknown protocol or baseline, a size
            too small.
    """
    for name in ("protocol", "baselines"):
        _require(settings, name, str)
    protocol = protocols.get_protocol(settings["protocol"])
    baseline_scores.require_sound(settings)
    with_stack.require_sound(settings)
    leave_out.way(settings)
    _require_sizes(settings)
    return protocols.fields(protocol)


def _require_sizes(settings: Mapping[str, Any]) -> None:
    for name, least in SIZES.items():
        _require(settings, name, int)
        require(settings[name] >= least, f"eval.{name}={settings[name]}; expected at least {least}")


def _require(settings: Mapping[str, Any], name: str, kind: type) -> None:
    require(
        name in settings,
        f"the config has no eval.{name}; see configs/mtm.py, or for signals configs/emg.py",
    )
    value = settings[name]
    require(
        isinstance(value, kind) and not isinstance(value, bool),
        f"eval.{name}={value!r}; expected a {kind.__name__}, got a {type(value).__name__}",
    )


def prepare(
    dataset: Dataset, settings: Mapping[str, Any], *, run: Path | None = None, log: Log = print
) -> Dataset:
    """The sessions that the protocol can score; the others are counted with their reasons.

    Args:
        dataset: sessions asked for.
        settings: the `eval` block of a config, sound.
        run: a workdir whose model is to be scored: sessions it has no rows for are left out too.
            None before a run is trained: then every session has to be fit for training and scoring.
        log: takes one line.

    Raises:
        InputError: none is left, or see `scorable.require_scorable`.
    """
    protocol = protocols.get_protocol(settings["protocol"])
    with_baselines = bool(settings["baselines"])
    if run is not None:
        dataset = scorable.known_to_run(run, scorable.usable(dataset, log), protocol, log)
    found = scorable.scorable(dataset, protocol, with_baselines=with_baselines, log=log)
    if run is None:
        scorable.require_scorable(dataset.sessions, needs_validation=with_baselines)
    return found


def evaluate(
    model,
    dataset: Dataset,
    settings: Mapping[str, Any],
    seed: int,
    *,
    folder: Path,
    root: str,
    log: Log = print,
) -> dict[str, Any]:
    """Predicts and scores the test trials of every session.

    Args:
        model: see `passes.Model`; rows for every session.
        dataset: from `prepare`.
        settings: the `eval` block of a config, sound.
        seed: of every draw.
        folder: workdir of the run: knows the trials it was trained on.
        root: folder of the sessions, which keeps what is fitted to them; "" where they have none.
        log: takes one line.

    Returns:
        {"sessions": session id -> scores, "mean": task -> scores, "example": arrays for the
        figures, which are not part of the record}.

    Raises:
        InputError: a test trial was trained on, or a forward pass does not fit into memory.
    """
    likelihoods.require_counts(model.recipe.head)
    protocol = protocols.get_protocol(settings["protocol"])
    settings = {**settings, "trials_per_pass": trials_per_pass(model, dataset, settings, log)}
    leak_checks = leaks.check_evaluation(
        model,
        dataset.sessions,
        seed=seed,
        trials_per_pass=settings["trials_per_pass"],
        protocol=protocol,
        trained=trained_trials.read(folder),
        digests=dataset.digests,
    )
    for name, told in belongs.told_of_run(folder, dataset).items():
        leak_checks[name]["units"] = told
    baselines = baseline_scores.cached_scores(dataset, root, folder, settings, seed, log)
    best = best_baseline.best_baselines(
        {key: {"baselines": one.scores} for key, one in baselines.items()}, protocol.tasks
    )
    sessions, example = {}, None
    with Progress(len(dataset.sessions), "evaluating", unit="sessions") as progress:
        for number, session in enumerate(dataset.sessions):
            fitted = baselines[session.session_id]
            block, predictions = _session(model, session, protocol, settings, seed, fitted, best)
            block["leak_checks"] = leak_checks[session.session_id]
            sessions[session.session_id] = block
            if example is None:
                unit_scores = fitted.unit_scores.items()
                known = {name: values for name, values in unit_scores if np.isfinite(values).any()}
                look = examples.first_look_task(protocol)
                against = best[look].name if look in best else None
                example = examples.of_session(session, predictions, known, protocol, against)
            progress.update(number + 1)
    return {"sessions": sessions, "mean": over_sessions.of_records(sessions), "example": example}


def _session(
    model, session: Session, protocol: protocols.Protocol, settings, seed: int, baselines, best
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """(block of a session in evaluation.json, predicted spikes per bin of each task)."""
    left = leave_out.predict(model, session, protocol, settings, seed)
    predictions, boot = left.rates, {"seed": seed, "num_boot": settings["num_boot"]}
    score = functools.partial(scoring.score_session, session, protocol=protocol, **boot)
    read_outs, read_out_sums = _read_outs(model, session, protocol, settings, boot)
    sums = scoring.sums_of(session, predictions, protocol)
    scores = score(predictions, corrections=left.corrections, sums=sums)
    tasks = left.told_in(scores) | read_outs
    sums |= scoring.corrected(sums, left.corrections) | read_out_sums
    size = settings["trials_per_pass"]
    on_validation = activity.on_validation(model, session, protocol, size, left.parts)
    block = {
        **facts(session),
        "tasks": {task: tasks[task] for task in protocol.tasks},
        "baselines": baselines.scores,
        **reliability.psth_reliability(session, seed=seed),
        **drift_note.of_session(session),
        **ceilings(session, score, protocol),
        "notes": [*protocols.notes(session, protocol), *left.notes]
        + [few_shot.NOTE] * bool(protocol.read_out_tasks),
        **spread.of_session(session, predictions, left.apart, **boot),
        **trust.of_session(model, session, predictions, sums, settings, seed, protocol),
        **likelihoods.of_session(model, session, predictions, on_validation, boot),
        **generation.of_session(model, session, settings, seed, protocol),
        "paired": scoring.compare_with_best(sums, best, baselines.excess, **boot),
    }
    if settings.get("mixed_with") and baselines.stack is not None:
        given = (session, left, on_validation, baselines, best, protocol, boot)
        block |= with_stack.of_session(*given)
    return block, predictions


def facts(session: Session) -> dict[str, Any]:
    """What a record of scores says of a session before any score."""
    return {
        "num_units": session.num_units,
        "num_test_trials": len(session.trials_of(TEST)),
        "subject": str(session.info.get("subject_id") or "") or None,
    }


def _read_outs(
    model, session, protocol, settings, boot
) -> tuple[dict[str, Any], dict[str, scoring.TaskSums]]:
    """What is read from latents or rates beside the held-out units: (blocks, sums to pair)."""
    blocks, sums = {}, {}
    trials = {"trials_per_pass": settings["trials_per_pass"]}
    beside = functools.partial(activity.beside_held_out, model, session, protocol, **trials)
    parts = [session.trials_of(split) for split in (TRAIN, TEST)]
    if protocol.read_out_tasks:
        _, bin_valid = session.gather_trials(parts[0])
        latents = few_shot.principal(
            *(beside(trial_ids, latents=True) for trial_ids in parts), bin_valid
        )
        blocks, found = few_shot.score(session, protocol, [latents], **boot)
        sums = {task: scoring.TaskSums(of_task) for task, of_task in found.items()}
    for task in protocol.behaviour_tasks:
        asked = protocol.tasks[task]
        scored = protocols.scored_units(session, protocol)
        has_it = behaviour_read_out.behaviour_of(session, asked) is not None
        rates = (
            [beside(trial_ids)[:, :, scored] for trial_ids in parts]
            if has_it
            else [np.zeros((0, 0, 0))] * 2
        )
        block = behaviour_read_out.score(session, asked, *rates, **boot)
        blocks[task] = scoring.with_headline(block, task, protocol)
    return blocks, sums


def trials_per_pass(
    model, dataset: Dataset, settings: Mapping[str, Any], log: Log = print, what: str = "evaluation"
) -> int:
    """Trials of a forward pass: as many as the settings' memory holds, at most `trials_per_pass`;
    says so.

    Args:
        model: see `passes.Model`.
        dataset: sessions to predict.
        settings: `trials_per_pass` and `memory_mb` (of each device, 1 MB = 2^20 bytes) of an `eval`
            block.
        log: takes one line.
        what: begins the line.

    Raises:
        InputError: a setting is no size, or not one trial fits.
    """
    _require_sizes(settings)
    largest = max(session.num_units for session in dataset.sessions)
    memory_mb = settings["memory_mb"]
    size = model.pass_size(largest, memory_mb=memory_mb, at_most=settings["trials_per_pass"])
    log(
        f"{what}: {size.trials} trials a forward pass, up to {size.memory_mb:,.0f} MB on each "
        f"device (eval.memory_mb={memory_mb})"
    )
    return size.trials


def ceilings(session: Session, score: Callable, protocol: protocols.Protocol) -> dict[str, Any]:
    """Scores of what knows the truth, for synthetic sessions."""
    if session.true_rates is None or not protocol.activity_tasks:
        return {}
    found = {"oracle": score(oracle.oracle_predictions(session, protocol))}
    try:
        smoothed = oracle.known_dynamics_smoother(
            session, num_groups=SMOOTHER_GROUPS, protocol=protocol
        )
        found["known_dynamics_smoother"] = score(smoothed)
    except InputError:  # its dynamics have no smoother, or the session came without its truth
        pass
    return found


def note_lines(sessions: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Each note once, with the number of sessions it goes for."""
    notes = [note for session in sessions.values() for note in session.get("notes", ())]
    return [
        f"note, {notes.count(note)} of {len(sessions)} sessions: {note}"
        for note in dict.fromkeys(notes)
    ]


def show(evaluation: Mapping[str, Any], log: Log = print) -> None:
    """Tells the scores of a record: a table, notes, and a warning where drift helps."""
    parts = (likelihoods, generation, spread, collapse, with_stack)
    told = filter(None, (part.line(evaluation) for part in parts))
    for line in (terminal.terminal_table(evaluation), *note_lines(evaluation["sessions"]), *told):
        log(line)
    if leak := drift_note.line(evaluation):
        log(f"warning: {leak}")


def draw(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Mapping[str, Any] | None,
    metrics: Sequence[Mapping[str, Any]],
    *,
    suffix: str = "",
    log: Log = print,
) -> None:
    """Writes figures<suffix>/ and report<suffix>.html of a record into a workdir.

    Args:
        folder: the workdir.
        evaluation: the record.
        example: of `evaluate`; None draws no example.
        metrics: rows of metrics.jsonl.
        suffix: of the names, such as "_nlb".
        log: takes one line.
    """
    try:
        figures = report_figures.draw_figures(evaluation, example, metrics)
    except ImportError:
        log(page.NO_MATPLOTLIB)
        figures = {}
    run_report.write_report(folder, evaluation, figures, metrics, log=log, suffix=suffix)
