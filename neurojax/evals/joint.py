"""The evaluation of one model of stimulus, activity and behaviour: every node from every other.

An evaluator; see evals.spikes for what its five functions are for. For each pattern of given nodes
(`objectives.joint`) the share of variance of each node that is asked, R2 = 1 - squared error /
squares about the train mean, over all channels and bins of the test trials; channels are
standardised, so that all weigh alike. Beside it ridge regression fitted for that pattern alone, a
penalty for each node, the mean of each bin, and, of made-up loops, the exact conditional mean.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.session import TEST
from neurojax.data.sources import joint as sources
from neurojax.data.sources.joint import NODES
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.errors import require
from neurojax.evals import floor_names, joint_readers, leaks
from neurojax.evals.joint_readers import Asked
from neurojax.report import joint_report
from neurojax.scores import bootstrap

FLOORS = ("ridge",)
NUM_BOOT = 500
CASES = 8  # trials whose hidden values are exchanged, of each pattern and session
Log = Callable[[str], Any]


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the `eval` block; nothing more than the block itself tells evaluations apart."""
    floor_names.chosen(settings, FLOORS)
    size = settings.get("trials_per_pass")
    whole = isinstance(size, int) and not isinstance(size, bool)
    require(
        whole and size >= 1,
        f"eval.trials_per_pass={size!r}; expected a whole number of at least 1, see "
        "configs/joint.py",
    )
    return {}


def prepare(
    dataset: Dataset, settings: Mapping[str, Any], *, run: Path | None = None, log: Log = print
) -> Dataset:
    """All sessions; raises InputError where one has no test trial."""
    for session in dataset.sessions:
        require(
            len(session.trials_of(TEST)),
            f"session {session.session_id} has no test trial; convert it with a split",
        )
    return dataset


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
    """Asks every pattern of the test trials of every session.

    Args:
        model: a predictor of `objectives.joint` that knows what its batches are (`source_config`).
        dataset: sessions the run has rows for.
        settings: the `eval` block.
        seed: of the resampled trials.
        folder, root, log: as of `evals.spikes.evaluate`.

    Returns:
        {"joint": {"patterns": {name: {"given", "past", "trained", "asked": {node: {"r2", "r2_se",
        "r2_ci95", "floors": {name: {"r2"}}, "ceiling", "share_of_ceiling"}}}},
        "least_share_of_ceiling", "sessions", "influence"}}; ceilings are None of recordings, and a
        floor is missing where a session has fewer than two trials to fit it to.

    Raises:
        InputError: another objective, sizes other than the run's, or a test trial was trained on.
        LeakError: a value that is asked moves its own prediction.
    """
    objective = model.recipe.objective
    require(
        objective.name == "joint",
        f"eval.evaluator=joint asks a model of objective.name=joint, this one is of "
        f"{objective.name}",
    )
    leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
    source = sources.open_source(dataset.sessions, model.source_config, seed)
    source.layout = model.layout  # rows of the run, which may know more sessions
    for name, words in (("num_features", "stimulus"), ("num_targets", "behaviour")):
        found, known = getattr(source.facts, name), model.facts.get(name)
        require(
            found == known,
            f"the data have a {words} of {found} numbers, the run was trained on {known}",
        )
    floors = floor_names.chosen(settings, FLOORS)
    patterns, sessions = {}, {}
    sums: dict[tuple[str, str, str], list] = {}
    for name, pattern in objective.module.PATTERNS.items():
        patterns[name] = {
            "given": list(pattern.given),
            "past": pattern.past,
            "trained": name in objective.config.patterns,
        }
        for number, session in enumerate(source.sessions):
            ask = functools.partial(asked, model, source, name)
            tested = ask(number, session.trials_of(TEST))
            told = {"model": predicted(model, source, name, number, settings["trials_per_pass"])}
            if floors:
                told |= joint_readers.ridge(source, number, ask, tested)
            if (best := joint_readers.exact(source, number, tested)) is not None:
                told["exact"] = best
            _require_no_influence(model, source, name, number, seed)
            for reader, values in told.items():
                for node, own in _errors(source, number, tested, values).items():
                    sums.setdefault((name, node, reader), []).append(own)
                    block = sessions.setdefault(session.session_id, {}).setdefault(reader, {})
                    block.setdefault(name, {})[node] = _r2(own)
        log(f"asked {name}")
    block = _block(patterns, sums, seed)
    return {"joint": block | {"sessions": sessions, "influence": "passed"}}


def asked(model, source, pattern: str, number: int, trials: np.ndarray) -> Asked:
    """A pattern put to trials of one session, entries of all its channels side by side."""
    batch = source.padded(number, trials, len(trials))
    given, wanted = _query(model, batch, pattern)
    units = source.sessions[number].num_units
    sizes = (source.facts.num_features, units, source.facts.num_targets)
    entries = [
        np.repeat(np.swapaxes(np.asarray(of_nodes)[0], 1, 2), sizes, axis=2)
        for of_nodes in (given, wanted)
    ]
    values = [batch.trials[node][0, ..., :size] for node, size in zip(NODES, sizes, strict=True)]
    return Asked(*entries, np.concatenate(values, -1))


def predicted(model, source, pattern: str, number: int, size: int) -> np.ndarray:
    """What a model says of the test trials of one session, float32 [trials, T, O]."""
    trials, found = source.sessions[number].trials_of(TEST), []
    for first in range(0, len(trials), size):
        part = trials[first : first + size]
        batch = source.padded(number, part, size)
        natural = np.asarray(model(batch, _query(model, batch, pattern)).natural)
        found.append(_channels(source, number, natural)[: len(part)])
    return np.concatenate(found)


def _query(model, batch, pattern: str):
    objective = model.recipe.objective
    place = objective.module.VALIDATED.index(pattern)
    return objective.module.validation_query(None, batch, place, objective.config)


def _channels(source, number: int, natural: np.ndarray) -> np.ndarray:
    """[1, b, T, S + padded units + F] -> [b, T, O] without padding."""
    seen, units = source.facts.num_features, source.sessions[number].num_units
    done = natural.shape[-1] - source.facts.num_targets
    parts = (natural[0, ..., : seen + units], natural[0, ..., done:])
    return np.concatenate(parts, -1)


def _errors(source, number: int, tested: Asked, values: np.ndarray) -> dict[str, np.ndarray]:
    """Node -> (squared error, squares about the train mean) of each trial, float64 [trials, 2]; of
    nodes that are asked."""
    found = {}
    for node, own in joint_readers.columns(source, number).items():
        entries = tested.asked[..., own]
        if entries.any():
            true = tested.values[..., own].astype(np.float64)
            pair = (values[..., own] - true, true)
            each = [np.where(entries, np.square(one), 0).sum((1, 2)) for one in pair]
            found[node] = np.stack(each, -1)
    return found


def _r2(each: np.ndarray) -> float | None:
    error, squares = each.sum(0)
    return float(1 - error / squares) if squares > 0 else None


def _block(patterns: dict[str, Any], sums: Mapping, seed: int) -> dict[str, Any]:
    """Scores of every pattern: means over sessions, intervals over test trials."""
    shares = []
    for name, block in patterns.items():
        block["asked"] = {}
        for node in NODES:
            if (name, node, "model") not in sums:
                continue
            # A mean over some of the sessions is no bar for one over all of them.
            number = len(sums[name, node, "model"])
            of = {
                reader: _mean([_r2(one) for one in sums[name, node, reader]])
                for reader in ("model", "ridge", "bin_mean", "exact")
                if len(sums.get((name, node, reader), ())) == number
            }
            own: dict[str, Any] = {"r2": of["model"]}
            own |= _interval(sums[name, node, "model"], of["model"], seed)
            own["floors"] = {one: {"r2": of[one]} for one in ("ridge", "bin_mean") if one in of}
            own["ceiling"] = of.get("exact")
            if own["ceiling"]:
                own["share_of_ceiling"] = own["r2"] / own["ceiling"]
                shares.append(own["share_of_ceiling"])
            block["asked"][node] = own
    return {"patterns": patterns, "least_share_of_ceiling": min(shares, default=None)}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _interval(each: Sequence[np.ndarray], estimate: float | None, seed: int) -> dict[str, Any]:
    """Standard error and 95 % interval over test trials, resampled within sessions."""
    if estimate is None or max(len(one) for one in each) < 2:
        return {"r2_ci95_reason": "fewer than two test trials, or nothing that varies"}
    drawn = []
    for number, one in enumerate(each):
        weights = bootstrap.trial_weights(len(one), NUM_BOOT, seed=[seed, number])
        error, squares = (weights @ one).T
        drawn.append(1 - error / np.where(squares > 0, squares, np.nan))
    se, ends = bootstrap.interval(np.nanmean(drawn, 0), estimate)
    return {"r2_se": se, "r2_ci95": list(ends)}


def _require_no_influence(model, source, pattern: str, number: int, seed: int) -> None:
    """No prediction moves, by as little as a bit, when all that is not given is exchanged."""
    trials = source.sessions[number].trials_of(TEST)[:CASES]
    batch = source.padded(number, trials, CASES)
    query, rng = _query(model, batch, pattern), np.random.default_rng([seed, number])
    before = np.asarray(model(batch, query).natural)
    given = np.asarray(query.given)
    others = {}
    for place, node in enumerate(NODES):
        values = batch.trials[node]
        drawn = rng.standard_normal(values.shape).astype(np.float32)
        others[node] = np.where(given[:, :, place, :, None], values, drawn)
    after = np.asarray(model(batch.with_trials(**others), query).natural)
    if not np.array_equal(before, after):
        raise leaks.LeakError(
            f"session {source.sessions[number].session_id}, pattern {pattern}: values that are "
            "asked move their own prediction"
        )


def show(evaluation: Mapping[str, Any], log: Log = print) -> None:
    """Tells the scores of a record."""
    log(joint_report.terminal_table(evaluation["joint"]))


def draw(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Any,
    metrics: Any,
    *,
    suffix: str = "",
    log: Log = print,
) -> None:
    """Writes figures<suffix>/ and report<suffix>.html of a record into a workdir."""
    joint_report.write(Path(folder), evaluation, suffix=suffix, log=log)


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """Runs side by side, for `neurojax compare`: see `joint_report.compared`."""
    return joint_report.compared(records)
