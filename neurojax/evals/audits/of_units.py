"""The test items of a run on populations of units: trials, of which some units are hidden and
predicted from the others.

Spikes and traces alike: a module `of_<evaluator>` of this folder gives the parts of its runs.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.data.session import TEST, TRAIN, Session, names_a_region
from neurojax.data.some_trials import trials_alone
from neurojax.evals.audits.fairness import GROUPS
from neurojax.evals.audits.parts import Part
from neurojax.evals.passes import Passes, size_within_memory
from neurojax.schemes import NEURON

MAX_SESSIONS, MAX_ITEMS, MAX_TRAIN, MAX_UNITS = 12, 32, 160, 128
HIDDEN_SHARE = 4  # one of so many units is hidden
UNIT_GROUPS = 8
LEAST_UNITS = 4
BOUNDS = (
    f"at most {MAX_SESSIONS} recordings, {MAX_ITEMS} test trials of each drawn with the seed, a "
    f"quarter of the units (at most {MAX_UNITS}) hidden and predicted from the others; the item "
    f"before is the one before among these, the nearest training item one of {MAX_TRAIN} drawn "
    "training trials, as long as the longest of the test trials at most"
)


def parts_of(
    model,
    sessions: Sequence[Session],
    known: Callable[[Session], np.ndarray],
    seed: int,
    kind: str,
    split: int = TEST,
) -> list[Part]:
    """A part of each recording (of up to MAX_SESSIONS, drawn with the seed).

    Args:
        model: with rows for the sessions.
        sessions: with test trials; of traces the standardised views.
        known: bool [N] of a session, units that can be predicted.
        seed: of the draws.
        kind: "counts" or "real", see `parts.Part`.
        split: of the trials that are predicted.
    """
    chosen = np.sort(np.random.default_rng([seed, 8]).permutation(len(sessions))[:MAX_SESSIONS])
    return [
        _part(model, sessions[number], known(sessions[number]), [seed, 9, int(number)], kind, split)
        for number in chosen
        if known(sessions[number]).sum() >= LEAST_UNITS
        and len(sessions[number].trials_of(split)) > 1
    ]


def _part(
    model, session: Session, known: np.ndarray, seed: Sequence[int], kind: str, split: int
) -> Part:
    rng = np.random.default_rng(seed)
    tested = np.sort(rng.permutation(session.trials_of(split))[:MAX_ITEMS])
    trained = np.sort(rng.permutation(session.trials_of(TRAIN))[:MAX_TRAIN])
    # Of their own stream, whatever the split: both splits are asked about the same units.
    of_units = np.random.default_rng([*seed, 1])
    units = of_units.permutation(np.flatnonzero(known))
    hidden = np.sort(units[: min(MAX_UNITS, len(units) // HIDDEN_SHARE)])
    shown = np.setdiff1d(np.arange(session.num_units), hidden)
    recorded, bin_valid = session.gather_trials(tested)  # [n, T, N]
    before, _ = session.gather_trials(trained, recorded.shape[1])
    trials = trials_alone(session, tested)
    size = size_within_memory(model, session, MAX_ITEMS)
    visible = np.zeros(session.num_units, bool)
    visible[shown] = True

    def predict(inputs: np.ndarray) -> np.ndarray:
        asked = np.array(recorded)
        asked[:, :, shown] = inputs
        content = {"counts": asked[bin_valid].astype(session.recorded.dtype)}
        passes = Passes(
            model,
            dataclasses.replace(trials, **content),
            np.arange(len(tested)),
            size,
            lambda passes: None,
        )
        found = passes.whole(visible, NEURON)[:, :, hidden]
        found = np.exp(found.astype(np.float64)) if kind == "counts" else found
        padded = np.full((*bin_valid.shape, len(hidden)), np.nan)
        padded[:, : found.shape[1]] = found
        return np.where(bin_valid[..., None], padded, np.nan)

    mean = session.mean_counts()[hidden] if kind == "counts" else np.zeros(len(hidden))
    region = np.array([str(r) if names_a_region(str(r)) else "" for r in session.region[shown]])
    group = np.array([f"units {k % UNIT_GROUPS + 1}" for k in of_units.permutation(len(shown))])
    number = len(tested)
    return Part(
        name=session.session_id,
        kind=kind,
        inputs=recorded[:, :, shown],
        input_bins=session.trial_num_bins[tested],
        targets=recorded[:, :, hidden],
        mask=session.entry_valid(tested)[:, :, hidden],
        predict=predict,
        null=mean,
        train_inputs=before[:, :, shown],
        train_targets=before[:, :, hidden],
        start_s=np.asarray(session.trial_start_s[tested], np.float64),
        channel_group=group,
        region=region,
        groups={name: np.full(number, text) for name, text in groups_of(session).items()},
        unit=np.full(number, session.session_id),
        person=np.full(number, person_of(session)),
    )


def person_of(session: Session) -> str:
    """Who was recorded; the name of the recording where that is not known."""
    return groups_of(session).get("subject", session.session_id)


def groups_of(session: Session) -> dict[str, str]:
    """What a recording says of its subject, sex, site, device and day."""
    inner: Mapping[str, Any] = {}
    for name in ("subject", "recorded_by"):
        told = session.info.get(name)
        inner = {**inner, **(told if isinstance(told, Mapping) else {})}
    keys = {
        "subject": ("subject_id",),
        "sex": ("sex",),
        "site": ("site", "lab", "institution"),
        "device": ("device",),
        "day": ("date",),
    }
    found = {}
    for name in GROUPS:
        values = [session.info.get(key) or inner.get(key) for key in keys[name]]
        text = next((str(value) for value in values if isinstance(value, str) and value), "")
        if text:
            found[name] = text[:10] if name == "day" else text[:60]
    return found
