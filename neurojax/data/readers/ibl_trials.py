"""Trials of the International Brain Laboratory's task, and of other labs in ALF: where they lie,
which are left out, what each was like."""

from collections.abc import Mapping

import numpy as np

from neurojax.data.clock import in_seconds
from neurojax.errors import InputError, require

ALIGN, WINDOW = "stimOn_times", (-0.5, 1.5)  # seconds around the stimulus
_STIMULI = (ALIGN, "visualStim_times")  # IBL's name, and that of Cortex-lab
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
_CONTRASTS = (
    ("contrastLeft", "contrastRight"),
    ("visualStim_contrastLeft", "visualStim_contrastRight"),
)
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


def stimulus_of(trials: Mapping[str, np.ndarray]) -> str:
    """The column with the times of the stimulus."""
    return next((name for name in _STIMULI if name in trials), ALIGN)


def is_numeric(name: str) -> bool:
    """Whether a column of this name holds numbers."""
    known = {*_VALUES, *sum(_CONTRASTS, ()), "included"}
    return name in known or name.endswith("_times") or name.startswith("intervals")


def in_unit(
    trials: Mapping[str, np.ndarray], unit_s: float | None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns of the trials with times in seconds, and why others are left out: name -> reason.

    Args:
        trials: attribute -> [trials] or [trials, 1], intervals [trials, 2].
        unit_s: seconds of one unit of their clock, see `clock.in_seconds`.
    """
    taken, skipped = {}, {}
    for name, values in trials.items():
        is_pair = name == "intervals" and values.ndim == 2 and values.shape[1] == 2
        if not is_pair and not (values.ndim == 1 or values.shape[1:] == (1,)):
            skipped[name] = "several values a trial"
            continue
        plain = values if is_pair else values.ravel()
        is_time = name.endswith("_times") or name == "times" or name.startswith("intervals")
        if is_time and plain.dtype.kind in "iuf":
            plain = in_seconds(plain, unit_s)
        taken[name] = plain
    return taken, skipped


def conditions(trials: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """Columns of the session's trials, each [trials].

    choice (-1 the wheel turned for a stimulus on the right, 1 on the left, 0 none), feedback (1
    reward, -1 noise), contrast_left and contrast_right (0 to 1; 0 also on the side without a
    stimulus), stimulus_side (-1 left, 1 right), probability_left (the block's prior),
    reaction_time_s, response_time_s, feedback_time_s, go_cue_time_s (after the stimulus; NaN where
    unknown), decoding_trial (1 where `decoding_faults` finds nothing).

    Other columns keep their names, as `response_choice` of Cortex-lab does, whose signs have a
    meaning of their own; other times are X_time_s, after the stimulus.
    """
    made = {
        ours: _compact(column(trials[name], name))
        for name, ours in _VALUES.items()
        if name in trials
    }
    pair = next((pair for pair in _CONTRASTS if set(pair) <= trials.keys()), None)
    if pair is not None:
        left, right = (column(trials[name], name) for name in pair)
        for name, values in (("contrast_left", left), ("contrast_right", right)):
            made[name] = _float32(np.where(np.isfinite(values), values, 0))
        if pair == _CONTRASTS[0]:
            side = np.isfinite(right).astype(np.int8) - np.isfinite(left)
            made["stimulus_side"] = side.astype(np.int8)
    stimulus = stimulus_of(trials)
    after = dict(_AFTER_STIMULUS)
    for name in trials:
        if name.endswith("_times") and name not in (*after, stimulus):
            after[name] = f"{name.removesuffix('_times')}_time_s"
    if stimulus in trials:
        stimulus_s = column(trials[stimulus], stimulus)
        made |= {
            ours: _float32(column(trials[name], name) - stimulus_s)
            for name, ours in after.items()
            if name in trials
        }
    if all(name in trials for name in _EVENTS):
        faults = np.any(list(decoding_faults(trials, where).values()), axis=0)
        made["decoding_trial"] = (~faults).astype(np.int8)
    used = {*_VALUES, *after, *(pair or ()), *_STIMULI, "intervals", "intervals_0", "intervals_1"}
    for name in sorted(trials.keys() - used - made.keys()):
        made[name] = _other(trials[name], name)
    return made


def _other(values: np.ndarray, name: str) -> np.ndarray:
    """A column under its own name, numbers or text."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    return values if values.dtype.kind == "U" else _compact(column(values, name))


def _compact(values: np.ndarray) -> np.ndarray:
    """Small whole numbers as int8, all others as float32."""
    whole = (
        np.isfinite(values).all()
        and np.all(values == np.round(values))
        and np.all(np.abs(values) < 128)
    )
    return values.astype(np.int8) if whole else _float32(values)


def _float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite
        return values.astype(np.float32)
