"""Trials of the International Brain Laboratory's task: where they lie, which are left out, what
each was like."""

from collections.abc import Mapping

import numpy as np

from neurojax.errors import InputError, require

ALIGN, WINDOW = "stimOn_times", (-0.5, 1.5)  # seconds around the stimulus
MIN_REACTION_S, MAX_REACTION_S, MAX_TRIAL_S = 0.08, 2.0, 10.0
_EVENTS = (
    "stimOn_times",
    "choice",
    "feedback_times",
    "probabilityLeft",
    "firstMovement_times",
    "feedbackType",
)
_VALUES = {
    "choice": "choice",
    "feedbackType": "feedback",
    "probabilityLeft": "probability_left",
    "rewardVolume": "reward_volume_ul",
}
_AFTER_STIMULUS = {
    "firstMovement_times": "reaction_time_s",
    "response_times": "response_time_s",
    "feedback_times": "feedback_time_s",
    "goCue_times": "go_cue_time_s",
}


def intervals(trials: Mapping[str, np.ndarray]) -> np.ndarray:
    """Start and stop of every trial, seconds, float64 [trials, 2]; NaN where the folder does not
    say."""
    if (
        "intervals" in trials
        and trials["intervals"].ndim == 2
        and trials["intervals"].shape[1] == 2
    ):
        return np.asarray(trials["intervals"], np.float64)
    edges = [trials.get(name) for name in ("intervals_0", "intervals_1")]
    num_trials = len(next(iter(trials.values())))
    return np.stack(
        [
            np.full(num_trials, np.nan) if edge is None else column(edge, "intervals")
            for edge in edges
        ],
        1,
    )


def column(values: np.ndarray, name: str) -> np.ndarray:
    """One number a trial, float64 [trials]."""
    array = np.asarray(values)
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    require(
        array.ndim == 1 and array.dtype.kind in "biuf",
        f"trials.{name} is {array.dtype} {list(array.shape)}, expected one number a trial",
    )
    return array.astype(np.float64)


def decoding_faults(trials: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """Reasons to leave trials out of behaviour decoding -> bool [trials].

    Kept are trials with every event, a choice, a first movement 0.08 to 2 s after the stimulus, at
    most 10 s long.
    Source: Zhang et al. 2024, section 4 (the rule of the Brain Wide Map).

    Raises:
        InputError: a column that the rule needs is missing.
    """
    if missing := [name for name in _EVENTS if name not in trials]:
        raise InputError(
            f"{where}: trials lack {', '.join(missing)}, which trials=decoding needs; leave it out"
        )
    columns = {name: column(trials[name], name) for name in _EVENTS}
    reaction_s = columns["firstMovement_times"] - columns["stimOn_times"]
    start_s, stop_s = intervals(trials).T
    with np.errstate(invalid="ignore"):
        return {
            "an event is missing": np.any(
                [~np.isfinite(values) for values in columns.values()], axis=0
            ),
            "no choice": columns["choice"] == 0,
            "reaction under 0.08 s": reaction_s < MIN_REACTION_S,
            "reaction over 2 s": reaction_s > MAX_REACTION_S,
            "longer than 10 s": stop_s - start_s > MAX_TRIAL_S,
        }


def conditions(trials: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """Columns of the session's trials, each [trials].

    choice (-1 the wheel turned for a stimulus on the right, 1 on the left, 0 none), feedback (1
    reward, -1 noise), contrast_left and contrast_right (0 to 1; 0 also on the side without a
    stimulus), stimulus_side (-1 left, 1 right), probability_left (the block's prior),
    reaction_time_s, response_time_s, feedback_time_s, go_cue_time_s (after the stimulus; NaN where
    unknown), decoding_trial (1 where `decoding_faults` finds nothing).
    """
    made = {
        ours: _compact(column(trials[name], name))
        for name, ours in _VALUES.items()
        if name in trials
    }
    if {"contrastLeft", "contrastRight"} <= trials.keys():
        left, right = (column(trials[name], name) for name in ("contrastLeft", "contrastRight"))
        made["contrast_left"] = np.nan_to_num(left).astype(np.float32)
        made["contrast_right"] = np.nan_to_num(right).astype(np.float32)
        made["stimulus_side"] = (np.isfinite(right).astype(np.int8) - np.isfinite(left)).astype(
            np.int8
        )
    if "stimOn_times" in trials:
        stimulus_s = column(trials["stimOn_times"], "stimOn_times")
        made |= {
            ours: (column(trials[name], name) - stimulus_s).astype(np.float32)
            for name, ours in _AFTER_STIMULUS.items()
            if name in trials
        }
    if all(name in trials for name in _EVENTS):
        faults = np.any(list(decoding_faults(trials, where).values()), axis=0)
        made["decoding_trial"] = (~faults).astype(np.int8)
    return made


def _compact(values: np.ndarray) -> np.ndarray:
    """Small whole numbers as int8, all others as float32."""
    whole = (
        np.isfinite(values).all()
        and np.all(values == np.round(values))
        and np.all(np.abs(values) < 128)
    )
    return values.astype(np.int8 if whole else np.float32)
