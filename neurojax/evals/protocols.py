"""What a protocol hides and scores, as data: the same answer for models, baselines and oracle.

Every function takes trials in the padded layout of `Session.gather_trials`: K trials, T bins of the
longest one, N units of the session in file order.
"""

import dataclasses
import hashlib
import json

import numpy as np

from neurojax.errors import InputError
from neurojax.types import TRAIN, UNKNOWN_REGIONS, Session, names_a_region

TASKS = ("co_smoothing", "forward", "inter_region", "intra_region")
REGION_TASKS = ("inter_region", "intra_region")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One way to score activity prediction.

    Attributes:
        name: what `--protocol` takes.
        tasks: task -> what is hidden and scored, in words.
        split: split whose trials are scored.
        min_train_spikes: units below it are neither scored nor ever shown as inputs.
        forward_fraction: 1 / this part of a trial's bins, at least one, is hidden at its end.
        unknown_regions: labels that mean "no region": shown as inputs, never scored in region tasks.
        min_intra_region_units: regions with fewer scored units have no intra-region score.
        null: what bits per spike are measured against.
        train_null: the null of `bps_pooled_train_null`.
        rate_floor_hz: train rate from which a unit enters `bps_unit_mean_ge1hz`.
    """

    name: str
    tasks: dict[str, str]
    split: str
    min_train_spikes: int
    forward_fraction: int
    unknown_regions: tuple[str, ...]
    min_intra_region_units: int
    null: str
    train_null: str
    rate_floor_hz: float


PROTOCOLS = {
    "mtm": Protocol(
        name="mtm",
        tasks={
            "co_smoothing": "one unit hidden over the whole trial and scored; every scored unit in turn",
            "forward": "the last bins of every unit hidden and scored",
            "inter_region": "all units of one region hidden and scored; every known region in turn",
            "intra_region": "all but one region hidden, plus one unit of it, which is scored",
        },
        split="test",
        min_train_spikes=1,
        forward_fraction=10,
        unknown_regions=tuple(sorted(UNKNOWN_REGIONS)),
        min_intra_region_units=2,
        null="mean of the unit over its evaluated entries",
        train_null="mean of the unit over the train split",
        rate_floor_hz=1.0,
    )
}
_MTM = PROTOCOLS["mtm"]


def get_protocol(name: str) -> Protocol:
    """Raises InputError that lists the known names."""
    if name not in PROTOCOLS:
        raise InputError(f"unknown protocol {name!r}, expected one of: {', '.join(sorted(PROTOCOLS))}")
    return PROTOCOLS[name]


def protocol_hash(name: str) -> str:
    """First 16 hex digits of the SHA-256 of the protocol as canonical JSON."""
    content = json.dumps(dataclasses.asdict(get_protocol(name)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def scored_units(session: Session) -> np.ndarray:
    """Units with a spike in the train split, bool [N]; all others stay hidden in every task."""
    rows = np.zeros(len(session.counts), bool)
    for trial in session.trials_of(TRAIN):
        start = session.trial_start_bin[trial]
        rows[start : start + session.trial_num_bins[trial]] = True
    return session.counts[rows].sum(0, dtype=np.int64) >= _MTM.min_train_spikes


def known_region(session: Session) -> np.ndarray:
    """Units whose label names a region, bool [N] (case and surrounding blanks do not matter)."""
    return np.array([names_a_region(label) for label in session.region], bool)


def region_members(session: Session) -> dict[str, np.ndarray]:
    """Region label -> bool [N], its scored units; known regions with at least one, sorted by label."""
    eligible = scored_units(session) & known_region(session)
    labels = np.asarray(session.region).astype(str)
    return {str(label): eligible & (labels == label) for label in np.unique(labels[eligible])}


def forward_bins(session: Session, trial_ids: np.ndarray) -> np.ndarray:
    """The last max(1, num_bins // 10) valid bins of each trial, bool [K, T]."""
    lengths = np.asarray(session.trial_num_bins)[trial_ids]
    bins = np.arange(int(lengths.max(initial=0)))
    first_hidden = lengths - np.maximum(1, lengths // _MTM.forward_fraction)
    return (bins >= first_hidden[:, None]) & (bins < lengths[:, None])


def scored_entries(session: Session, task: str, trial_ids: np.ndarray) -> np.ndarray:
    """Entries a task scores, bool [K, T, N]: always within the valid bins of scored units.

    Raises:
        InputError: the protocol has no such task.
    """
    if task not in TASKS:
        raise InputError(f"unknown task {task!r}, expected one of: {', '.join(TASKS)}")
    lengths = np.asarray(session.trial_num_bins)[trial_ids]
    bins = np.arange(int(lengths.max(initial=0))) < lengths[:, None]  # [K, T]
    units = scored_units(session)
    if task == "forward":
        bins = forward_bins(session, trial_ids)
    elif task in REGION_TASKS:
        smallest = _MTM.min_intra_region_units if task == "intra_region" else 1
        groups = [group for group in region_members(session).values() if group.sum() >= smallest]
        units = np.any([np.zeros(session.num_units, bool), *groups], axis=0)
    return bins[:, :, None] & units
