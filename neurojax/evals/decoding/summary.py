"""Sessions together: mean scores, differences to baselines, and one calibration of all."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.evals.decoding import scores
from neurojax.evals.decoding.crossval import Decoded
from neurojax.evals.decoding.decoder import MODEL, Result, block_of, scored_trials
from neurojax.evals.decoding.targets import PER_BIN, Target
from neurojax.scores import intervals

LEAST_SESSIONS = 3  # of an interval over sessions


def mean_over_sessions(
    sessions: Mapping[str, Mapping[str, Any]],
    draws: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]],
    main: str,
) -> dict[str, Any]:
    """Each read-out's mean main score over sessions, and what the model has over it.

    Args:
        sessions: session -> read-out -> block of `decoder.record`.
        draws: session -> read-out -> score -> draws; the draws of two read-outs are of the same
            trials.
        main: name of the score.

    Returns:
        read-out -> `main`, its interval, "num_sessions"; but for the model also "model_minus_it":
        mean difference, interval and "sessions_above". Intervals called `_ci95` are over trials of
        these very sessions; `_ci95_sessions` (Student's t, from LEAST_SESSIONS on) says what other
        sessions may do.
    """
    names = list(dict.fromkeys(name for entry in sessions.values() for name in entry))
    found = {}
    for name in names:
        known = [
            key for key, entry in sessions.items() if entry.get(name, {}).get(main) is not None
        ]
        if not known:
            continue
        values = [sessions[key][name][main] for key in known]
        block = {
            main: float(np.mean(values)),
            "num_sessions": len(known),
            f"{main}_ci95": _interval([draws[key][name] for key in known], main),
            **_over_sessions(values, main),
        }
        both = [key for key in known if sessions[key].get(MODEL, {}).get(main) is not None]
        if name != MODEL and both:
            gains = [sessions[key][MODEL][main] - sessions[key][name][main] for key in both]
            # Draw by draw: both read-outs saw the same trials, so that their common luck cancels.
            pairs = [
                {main: draws[key][MODEL][main] - draws[key][name][main]}
                for key in both
                if all(main in drawn for drawn in draws[key].values())
            ]
            block["model_minus_it"] = {
                main: float(np.mean(gains)),
                f"{main}_ci95": _interval(pairs, main),
                "sessions_above": int(np.sum(np.asarray(gains) > 0)),
                "num_sessions": len(both),
                **_over_sessions(gains, main),
            }
        found[name] = block
    return found


def together(results: Sequence[Result], seed: int) -> dict[str, Any]:
    """Scores and calibration of the scored trials of several sessions as if they were one.

    Returns:
        read-out -> block, for the read-outs that all sessions have; {"reason": ...} where targets
        differ.
    """
    first = results[0].target
    # Labels, not codes: class 0 may be left in one session and right in another.
    alike = {
        (result.target.classes, result.target.values.shape[2:] or result.target.values.shape[1:])
        for result in results
    }
    if len(alike) > 1 or any(result.target.kind != first.kind for result in results):
        return {"reason": "the sessions differ in classes or dimensions of the target"}
    # Shorter sessions are padded with NaN, which no score counts.
    longest = (
        max(result.target.values.shape[1] for result in results) if first.kind == PER_BIN else None
    )
    values = np.concatenate([_padded(result.target.values, longest) for result in results])
    target = Target(first.name, first.kind, np.arange(len(values)), values, first.classes)
    names = [
        name for name in results[0].decoded if all(name in result.decoded for result in results)
    ]
    blocks = {}
    for name in names:
        found = _joined([result.decoded[name] for result in results], longest)
        chosen = np.concatenate(
            [scored_trials(result, result.decoded[name].tested) for result in results]
        )
        blocks[name] = block_of(
            found, target, chosen, scores.draws(found.predicted, target, chosen, seed)
        )
    return blocks


def _joined(parts: Sequence[Decoded], longest: int | None) -> Decoded:
    arrays = {
        field: np.concatenate([_padded(getattr(part, field), longest) for part in parts])
        for field in ("predicted", "calibrated", "conformal")
    }
    tested = np.concatenate([part.tested for part in parts])
    return dataclasses.replace(
        parts[0], **arrays, tested=tested, chosen=[], temperatures=[], on_folds=[]
    )


def _padded(array: np.ndarray, longest: int | None) -> np.ndarray:
    """[K, T, dims] with NaN bins up to `longest`; as it is where that is None."""
    if longest is None or array.shape[1] == longest:
        return array
    return np.pad(array, ((0, 0), (0, longest - array.shape[1]), (0, 0)), constant_values=np.nan)


def _over_sessions(values: Sequence[float], main: str) -> dict[str, list[float]]:
    """Student's t interval, where there are enough sessions."""
    found = intervals.t_interval(values) if len(values) >= LEAST_SESSIONS else None
    return {} if found is None else {f"{main}_ci95_sessions": list(found.ci95)}


def _interval(sessions: Sequence[Mapping[str, np.ndarray]], main: str) -> list[float] | None:
    usable = [draws[main] for draws in sessions if main in draws]
    return (
        scores.interval(np.mean(usable, axis=0))
        if usable and len(usable) == len(sessions)
        else None
    )
