"""Scores of the baselines on a dataset's test trials, session by session, from the cache where it
has them."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.session import TEST, VALIDATION, Session
from neurojax.data.store.dataset import Dataset
from neurojax.data.store.session_format import content_sha256
from neurojax.errors import require
from neurojax.evals import (
    baselines_cache,
    behaviour_read_out,
    examples,
    few_shot,
    on_threads,
    protocols,
    scoring,
)
from neurojax.evals.baselines import KNOWN, fit_baselines, reason_against
from neurojax.evals.baselines_cache import SessionBaselines, StackRates
from neurojax.runs import threads
from neurojax.runs.progress import Progress
from neurojax.scores import metrics

MOST_BYTES = 4 * 2**30  # of sessions that are fitted at once, by a generous guess of their arrays
CACHE_VERSION = 11  # raise it when a baseline or a score changes


def names_of(listed: str) -> tuple[str, ...]:
    """`a,b` -> ("a", "b"), as `eval.baselines` of a config lists them."""
    return tuple(name for name in listed.split(",") if name)


def require_sound(settings: Mapping[str, Any]) -> None:
    """Raises InputError unless `baselines` of an `eval` block lists known ones."""
    known = f"choose from {', '.join(KNOWN)}; write --config.eval.baselines=a,b (no brackets)"
    for name in names_of(settings["baselines"]):
        require(name in KNOWN, f"eval.baselines names {name!r}; {known}")


def cached_scores(
    dataset: Dataset,
    root: str,
    folder: Path | None,
    settings: Mapping[str, Any],
    seed: int,
    log: Callable[[str], Any] = print,
) -> dict[str, SessionBaselines]:
    """Scores of the baselines a config lists, several sessions at once where there are cores.

    An entry of the cache is named by the session's content, the protocol and the settings.

    Args:
        dataset: the sessions, which the protocol can score.
        root: folder of the sessions, which keeps the cache; "" where they have none.
        folder: keeps the cache where `root` cannot; None keeps nothing.
        settings: `protocol`, `baselines` and `num_boot` of an `eval` block.
        seed: of the bootstrap.
        log: takes one line.

    Returns:
        session id -> scores.
    """
    entries = _Entries(root, folder, settings, seed)
    start, fitted, results = time.monotonic(), 0, {}
    # One thread a call even for a single session: the digits of a sum hang on how it is split.
    with (
        threads.one_a_call(),
        Progress(len(dataset.sessions), "baselines", unit="sessions") as progress,
    ):
        at_once = _at_once(dataset.sessions)
        every = on_threads.each(lambda one: entries.scores_of(one, log), dataset.sessions, at_once)
        for number, (session, (found, is_new)) in enumerate(
            zip(dataset.sessions, every, strict=True)
        ):
            results[session.session_id] = found
            fitted += is_new
            progress.update(number + 1)
    if fitted:
        took_s = time.monotonic() - start
        log(f"fitted {len(entries.names)} baselines to {fitted} sessions in {took_s:.1f} s")
    return results


class _Entries:
    """The cache of the sessions of a dataset, under one protocol and settings."""

    def __init__(self, root: str, folder: Path | None, settings, seed: int):
        self.protocol = protocols.get_protocol(settings["protocol"])
        self.names = names_under(self.protocol, names_of(settings["baselines"]))
        self.cache = baselines_cache.folder_of(root, folder)
        self.num_boot, self.seed = settings["num_boot"], seed

    def scores_of(
        self, session: Session, log: Callable[[str], Any]
    ) -> tuple[SessionBaselines, bool]:
        """(What the baselines reach, whether they were fitted for it now)."""
        under, tasks = protocols.protocol_hash(self.protocol), tuple(self.protocol.tasks)
        asked = [self.num_boot, self.seed, self.names, under]
        key = [CACHE_VERSION, content_sha256(session), *asked]
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
        path = self.cache / digest if self.cache else None
        found = baselines_cache.read(path, session, tasks, self.names) if path else None
        if found is not None:
            return found, False
        found = _fit(session, self.names, self.protocol, self.num_boot, self.seed)
        if path is not None:
            baselines_cache.write(path, session, tasks, found, log)
            # Read when needed: the rates of all sessions need not fit into memory.
            found = baselines_cache.read(path, session, tasks, self.names) or found
        return found, True


def _at_once(sessions: Sequence[Session]) -> int:
    """Sessions to fit at once, each on a core: as many as take MOST_BYTES in all."""
    largest = max(map(_guessed_bytes, sessions))
    return max(1, min(on_threads.num_cores(), len(sessions), MOST_BYTES // max(largest, 1)))


def _guessed_bytes(session: Session) -> int:
    """Of the arrays of a session's fit, a generous guess."""
    entries = session.num_units * int(session.trial_num_bins.sum())
    return (12 * entries + 16 * (2 * session.num_units) ** 2) * 4


def _fit(
    session: Session, names: tuple[str, ...], protocol: protocols.Protocol, num_boot: int, seed: int
) -> SessionBaselines:
    boot = {"seed": seed, "num_boot": num_boot}
    able = tuple(name for name in names if name in KNOWN) if protocol.activity_tasks else ()
    fitted = fit_baselines(session, able, protocol=protocol) if able else {}
    look = examples.first_look_task(protocol)
    tuned_on, _ = session.gather_trials(session.trials_of(VALIDATION))
    scores: dict[str, dict[str, Any]] = {}
    units, excess = {}, {}
    for name in names:
        rates = {task: fit.rates[TEST] for task, fit in fitted.get(name, {}).items()}
        sums = scoring.sums_of(session, rates, protocol)
        scores[name] = scoring.score_session(session, rates, **boot, protocol=protocol, sums=sums)
        for task, fit in fitted.get(name, {}).items():
            # What the best is chosen by: pooled bits/spike over the validation trials' own mean.
            on_validation = metrics.poisson_sums(fit.rates[VALIDATION], tuned_on)
            value = float(metrics.poisson_scores(on_validation)["bps_pooled"])
            scores[name][task] |= {
                "validation_bps_pooled": value if np.isfinite(value) else None,
                "chosen": dict(fit.chosen),
            }
        units[name] = np.full(session.num_units, np.nan)
        if look in rates:
            units[name] = examples.unit_scores(session, rates[look], look, protocol)
        excess[name] = {task: scoring.excess_nll(session, own) for task, own in sums.items()}
    if protocol.read_out_tasks:
        _fit_few_shot(session, protocol, boot, scores, excess)
    for task in protocol.behaviour_tasks:
        block = behaviour_read_out.of_smoothed_spikes(
            session, protocol, protocol.tasks[task], **boot
        )
        scores.setdefault("smoothed_spikes", {})[task] = scoring.with_headline(
            block, task, protocol
        )
    for name, found in scores.items():
        units.setdefault(name, np.full(session.num_units, np.nan))
        excess.setdefault(name, {})
        for task in protocol.tasks:
            if task not in found:
                reason = f"{name} cannot do it: {_reason(name, task, protocol)}"
                found[task] = scoring.with_headline(scoring.unscored(reason), task, protocol)
        scores[name] = {task: found[task] for task in protocol.tasks}
    return SessionBaselines(scores, units, excess, _stack_rates(fitted.get("stack")))


def _stack_rates(fits) -> StackRates | None:
    """What the stack predicts of validation and test trials, where that is small enough to keep."""
    if fits is None:
        return None
    found = StackRates.of(fits)
    size = sum(values.nbytes for values in found.log_rates.values())
    return found if size <= baselines_cache.MAX_STACK_BYTES else None


def _fit_few_shot(session, protocol, boot, scores, excess) -> None:
    """Adds the read-outs from spikes, and from nothing but the mean, to `scores` and `excess`."""
    for name in few_shot.BASELINES:
        features = few_shot.smoothed_spikes(session, protocol) if name == "smoothed_spikes" else []
        blocks, means = few_shot.score(session, protocol, features, **boot)
        scores.setdefault(name, {}).update(blocks)
        of_task = {task: sums.model_excess.astype(np.float32) for task, sums in means.items()}
        excess.setdefault(name, {}).update(of_task)


def names_under(protocol: protocols.Protocol, names: tuple[str, ...]) -> tuple[str, ...]:
    """The baselines a protocol has: those asked for where it hides spikes, and those of its
    read-outs."""
    added = few_shot.BASELINES if protocol.read_out_tasks else ()
    added += ("smoothed_spikes",) if protocol.behaviour_tasks else ()
    return tuple(dict.fromkeys((*(names if protocol.activity_tasks else ()), *added)))


def _reason(name: str, task: str, protocol: protocols.Protocol) -> str | None:
    asked = protocol.tasks[task]
    if asked.reads:
        return "it predicts spikes, and the task reads behaviour"
    if asked.read_out_trials:
        return "it is fitted on all train trials, and the task gives few of them"
    return reason_against(name, asked.kind)
