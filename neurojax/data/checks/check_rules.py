"""From the facts of a session to findings: what is an error, what a warning, and what to do about
it."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from neurojax.data.checks.check_behaviour import behaviour_findings
from neurojax.data.checks.drift import REMEDY, Drift
from neurojax.data.checks.findings import Finding
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session
from neurojax.data.store.cards import is_human

TELLING_SPIKES = 8  # trials with fewer may be equal by chance
MAX_PLAUSIBLE_HZ = 200.0  # of the mean unit
_MAX_UNIT_HZ = 2000.0  # no neuron fires faster, bursts included
_MAX_SILENT_FRACTION = 0.5
_SPLIT_AGAIN = "convert with --split=random or --split=blocks:300s"


def findings_of(rules: Iterable[tuple[Any, str, str, str, str]]) -> list[Finding]:
    """The findings of those rules that hold; a rule is (holds, level, code, sentence, remedy)."""
    return [Finding(*told) for holds, *told in rules if holds]


def split_findings(
    facts: dict[str, Any], spikes: np.ndarray, change: Drift | None, session: Session
) -> list[Finding]:
    """About trials and splits; `spikes` [splits, N] are sums, `change` the drift."""
    trials = facts["trials_per_split"]
    none, none_train, none_test = (
        part.sum() == 0 for part in (spikes, spikes[TRAIN], spikes[TEST])
    )
    silent = "check the spike times, the time unit and the trials' starts"
    by_chance = facts["duplicate_trials"]["by_chance"]
    across, overlapping = facts["overlapping_trials_across_splits"], facts["overlapping_trials"]
    leaks = change is not None and change.leaks
    return [
        *_without(trials, (TRAIN, TEST), "error"),
        *findings_of(
            [
                (none, "error", "no_spikes", "no spikes", silent),
                (
                    none_train and not none,
                    "error",
                    "no_spikes_train",
                    "no spikes in the train trials",
                    silent,
                ),
                (
                    none_test and not none_train,
                    "error",
                    "no_spikes_test",
                    "no spikes in the test trials",
                    silent,
                ),
            ]
        ),
        *copy_findings(facts),
        *findings_of(
            [
                (
                    by_chance,
                    "warning",
                    "sparse_trials_repeat",
                    f"{by_chance} trials of under {TELLING_SPIKES} spikes equal another one",
                    "longer trials or more units tell them apart",
                ),
                (
                    across,
                    "error",
                    "trials_share_time_across_splits",
                    f"pairs of trials of different splits that share time: {across}",
                    "convert with --split=blocks:300s or shorter windows, or correct the trials' "
                    "starts",
                ),
                (
                    overlapping and not across,
                    "warning",
                    "trials_share_time",
                    f"pairs of trials of one split that share time: {overlapping}",
                    "take shorter windows: these bins count twice",
                ),
                (
                    session.num_trials > 1 and np.ptp(session.trial_start_s) == 0,
                    "warning",
                    "no_session_clock",
                    "all trials start at one time: whether they share time is unknown",
                    "give trial_start_s or bin_times_s on the session's clock",
                ),
            ]
        ),
        *_without(trials, (VALIDATION,), "warning"),
        *([Finding("warning", "drift_leaks", change.sentence, REMEDY)] if leaks else ()),
    ]


def _without(trials: dict[str, int], splits: tuple[int, ...], level: str) -> list[Finding]:
    """About splits that have no trial."""
    names = [SPLIT_NAMES[code] for code in splits]
    return findings_of(
        (trials[name] == 0, level, f"no_{name}_trial", f"no {name} trial", _SPLIT_AGAIN)
        for name in names
    )


def copy_findings(facts: dict[str, Any]) -> list[Finding]:
    """About trials that repeat one another, of any kind of recording."""
    number = facts["duplicate_trials"]
    across, within = number["across_splits"], number["within_split"]
    copies = "remove the copies from the recording"
    return findings_of(
        [
            (
                across,
                "error",
                "trials_repeat_across_splits",
                f"trials that repeat one of another split: {across}",
                copies,
            ),
            (
                within,
                "warning",
                "trials_repeat_within_split",
                f"trials that repeat one of their own split: {within}",
                copies,
            ),
        ]
    )


def consent_findings(session: Session) -> list[Finding]:
    """About a person's recording that does not say what may be done with it."""
    rule = (
        is_human(session.info) and not session.info.get("consent"),
        "warning",
        "no_consent",
        "a person's recording without a statement of consent or terms of use",
        "ask who recorded it, and state it as `consent`",
    )
    return findings_of([rule])


def value_findings(facts: dict[str, Any], session: Session) -> list[Finding]:
    """About units, rates, gaps and behaviour."""
    num_units, silent = session.num_units, facts["silent_units"]
    unnamed, most = facts["units_without_region"], facts["max_count"]
    peak_hz = most / session.bin_size_s
    gaps = facts["silent_stretches"]
    name_them = "give unit_region, or the converter's option for regions"
    rules = [
        (
            num_units < 2,
            "warning",
            "one_unit",
            "one unit: nothing to predict it from",
            "record more, or use it alone",
        ),
        (
            not facts["regions"],
            "warning",
            "no_region",
            "no unit has a region: region tasks are skipped",
            name_them,
        ),
        (
            unnamed and facts["regions"],
            "note",
            "units_without_region",
            f"{unnamed} of {num_units} units have no known region: region tasks leave them out",
            name_them,
        ),
        (
            silent > _MAX_SILENT_FRACTION * num_units,
            "warning",
            "silent_units",
            f"{silent} of {num_units} units are silent",
            "check that spike_units counts rows from 0 and that the trials lie within the "
            "recording",
        ),
        (
            facts["mean_rate_hz"] > MAX_PLAUSIBLE_HZ,
            "warning",
            "rate_too_high",
            f"mean rate {facts['mean_rate_hz']:.0f} Hz: check bin_size_s",
            "bin_size_s is in seconds; counts are spikes, not rates",
        ),
        (
            peak_hz > _MAX_UNIT_HZ and most > 2,
            "warning",
            "count_too_high",
            f"a bin holds {most} spikes of one unit, {peak_hz:.0f} Hz: no neuron fires so fast",
            "check for copied spikes, merged units and bin_size_s",
        ),
        (
            most > 255,
            "note",
            "counts_over_255",
            f"a bin holds {most} spikes: counts need uint16, twice the memory",
            "nothing to do, or take shorter bins",
        ),
        (
            gaps["number"],
            "warning",
            "gaps",
            f"stretches in which all units are silent: {gaps['number']}, {gaps['total_s']:.1f} s "
            "in all",
            "gaps of the recording look like silence; leave these trials out, or correct the "
            "trials' starts",
        ),
    ]
    return [*consent_findings(session), *findings_of(rules), *behaviour_findings(session)]
