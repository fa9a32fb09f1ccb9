"""From the facts of a session to findings: what is an error, what a warning, and what to do about
it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from neurojax.data.checks.drift import REMEDY, Drift
from neurojax.data.checks.findings import Finding
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session
from neurojax.data.store.cards import is_human

TELLING_SPIKES = 8  # trials with fewer may be equal by chance
MAX_PLAUSIBLE_HZ = 200.0  # of the mean unit
_MAX_UNIT_HZ = 2000.0  # no neuron fires faster, bursts included
_MAX_SILENT_FRACTION = 0.5
_SPLIT_AGAIN = "convert with --split=random or --split=blocks:300s"


def split_findings(
    facts: dict[str, Any], spikes: np.ndarray, change: Drift | None, session: Session
) -> Iterator[Finding]:
    """About trials and splits; `spikes` [splits, N] are sums, `change` the drift."""
    for code in (TRAIN, TEST):
        name = SPLIT_NAMES[code]
        if facts["trials_per_split"][name] == 0:
            yield Finding("error", f"no_{name}_trial", f"no {name} trial", _SPLIT_AGAIN)
    silent = "check the spike times, the time unit and the trials' starts"
    if facts["num_spikes"] == 0:
        yield Finding("error", "no_spikes", "no spikes", silent)
    elif spikes[TRAIN].sum() == 0:
        yield Finding("error", "no_spikes_train", "no spikes in the train trials", silent)
    elif spikes[TEST].sum() == 0:
        yield Finding("error", "no_spikes_test", "no spikes in the test trials", silent)
    yield from copy_findings(facts)
    if number := facts["duplicate_trials"]["by_chance"]:
        sentence = f"{number} trials of under {TELLING_SPIKES} spikes equal another one"
        yield Finding(
            "warning",
            "sparse_trials_repeat",
            sentence,
            "longer trials or more units tell them apart",
        )
    if number := facts["overlapping_trials_across_splits"]:
        sentence = f"pairs of trials of different splits that share time: {number}"
        remedy = (
            "convert with --split=blocks:300s or shorter windows, or correct the trials' starts"
        )
        yield Finding("error", "trials_share_time_across_splits", sentence, remedy)
    elif number := facts["overlapping_trials"]:
        sentence = f"pairs of trials of one split that share time: {number}"
        yield Finding(
            "warning", "trials_share_time", sentence, "take shorter windows: these bins count twice"
        )
    if session.num_trials > 1 and np.ptp(session.trial_start_s) == 0:
        sentence = "all trials start at one time: whether they share time is unknown"
        yield Finding(
            "warning",
            "no_session_clock",
            sentence,
            "give trial_start_s or bin_times_s on the session's clock",
        )
    if facts["trials_per_split"][SPLIT_NAMES[VALIDATION]] == 0:
        yield Finding("warning", "no_validation_trial", "no validation trial", _SPLIT_AGAIN)
    if change is not None and change.leaks:
        yield Finding("warning", "drift_leaks", change.sentence, REMEDY)


def copy_findings(facts: dict[str, Any]) -> Iterator[Finding]:
    """About trials that repeat one another, of any kind of recording."""
    duplicates = facts["duplicate_trials"]
    copies = "remove the copies from the recording"
    if number := duplicates["across_splits"]:
        sentence = f"trials that repeat one of another split: {number}"
        yield Finding("error", "trials_repeat_across_splits", sentence, copies)
    if number := duplicates["within_split"]:
        sentence = f"trials that repeat one of their own split: {number}"
        yield Finding("warning", "trials_repeat_within_split", sentence, copies)


def consent_findings(session: Session) -> Iterator[Finding]:
    """About a person's recording that does not say what may be done with it."""
    if is_human(session.info) and not session.info.get("consent"):
        sentence = "a person's recording without a statement of consent or terms of use"
        remedy = "ask who recorded it, and state it as `consent`"
        yield Finding("warning", "no_consent", sentence, remedy)


def value_findings(facts: dict[str, Any], session: Session) -> Iterator[Finding]:
    """About units, rates, gaps and behaviour."""
    yield from consent_findings(session)
    if session.num_units < 2:
        yield Finding(
            "warning",
            "one_unit",
            "one unit: nothing to predict it from",
            "record more, or use it alone",
        )
    name_them = "give unit_region, or the converter's option for regions"
    if not facts["regions"]:
        sentence = "no unit has a region: region tasks are skipped"
        yield Finding("warning", "no_region", sentence, name_them)
    elif number := facts["units_without_region"]:
        sentence = f"{number} of {session.num_units} units have no known region: region tasks leave them out"
        yield Finding("note", "units_without_region", sentence, name_them)
    if facts["silent_units"] > _MAX_SILENT_FRACTION * session.num_units:
        sentence = f"{facts['silent_units']} of {session.num_units} units are silent"
        remedy = (
            "check that spike_units counts rows from 0 and that the trials lie within the recording"
        )
        yield Finding("warning", "silent_units", sentence, remedy)
    if facts["mean_rate_hz"] > MAX_PLAUSIBLE_HZ:
        sentence = f"mean rate {facts['mean_rate_hz']:.0f} Hz: check bin_size_s"
        yield Finding(
            "warning",
            "rate_too_high",
            sentence,
            "bin_size_s is in seconds; counts are spikes, not rates",
        )
    peak_hz = facts["max_count"] / session.bin_size_s
    if peak_hz > _MAX_UNIT_HZ and facts["max_count"] > 2:
        sentence = f"a bin holds {facts['max_count']} spikes of one unit, {peak_hz:.0f} Hz: no neuron fires so fast"
        yield Finding(
            "warning",
            "count_too_high",
            sentence,
            "check for copied spikes, merged units and bin_size_s",
        )
    if facts["max_count"] > 255:
        sentence = f"a bin holds {facts['max_count']} spikes: counts need uint16, twice the memory"
        yield Finding("note", "counts_over_255", sentence, "nothing to do, or take shorter bins")
    if facts["silent_stretches"]["number"]:
        gaps = facts["silent_stretches"]
        sentence = f"stretches in which all units are silent: {gaps['number']}, {gaps['total_s']:.1f} s in all"
        remedy = "gaps of the recording look like silence; leave these trials out, or correct the trials' starts"
        yield Finding("warning", "gaps", sentence, remedy)
    yield from behaviour_findings(facts, session)


def behaviour_findings(facts: dict[str, Any], session: Session) -> Iterator[Finding]:
    """About behaviour that is not finite, of any kind of recording."""
    for name, num_bad in facts["non_finite_behaviour"].items():
        if num_bad:
            sentence = f"behaviour {name!r} has {num_bad} bins with NaN or infinity"
            yield Finding(
                "warning",
                "behaviour_not_finite",
                sentence,
                "nothing to do: they are marked invalid",
            )
    for name, values in session.behaviour.items():
        if not np.isfinite(values[session.behaviour_valid[name]]).all():
            sentence = f"behaviour {name!r} has NaN or infinity in bins marked valid"
            yield Finding(
                "error",
                "behaviour_marked_valid",
                sentence,
                f"correct {name}_valid, or leave it out",
            )
