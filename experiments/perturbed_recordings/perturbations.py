"""What recordings of labs have: each changes a `Recording` and keeps its truth, so that a session of it can be judged.

`says` is what a refusal because of it must speak of. `needs` are abilities of a door, see `doors.DOORS`.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from recording import BIN_S, RATE_HZ, Recording

Change = Callable[[Recording, np.random.Generator], None]
CLOCK = r"time_unit|time unit|clock|seconds|\bHz\b|too coarse|float32|observed|windows of|outside of the spikes|exceed"
TRIALS = r"trial|start|stop|split|window"


@dataclasses.dataclass(frozen=True)
class Perturbation:
    """One thing that people have.

    Attributes:
        name, change: what it is called, and does.
        says: pattern of a refusal because of it; "" where nothing may be refused.
        needs: abilities of a door, all of them.
        group: of one group at most one is applied.
    """

    name: str
    change: Change
    says: str
    needs: frozenset
    group: str


ALL: dict[str, Perturbation] = {}


def _add(name: str, says: str, needs: str, group: str = ""):
    def keep(change: Change) -> Change:
        ALL[name] = Perturbation(name, change, says, frozenset(needs.split()), group or name)
        return change

    return keep


def _unit(kinds: str, size: float, say: str | None) -> Change:
    def change(recording, rng):
        for kind in kinds.split():
            recording.sizes[kind] = size
        if say is not None:
            recording.words["time_unit"] = say

    return change


for _name, _kinds, _size, _say in (
    ("all in ms", "spikes trials behavior", 1e-3, None),
    ("all in ms, declared", "spikes trials behavior", 1e-3, "ms"),
    ("spikes in ms", "spikes", 1e-3, None),
    ("spikes in ms, declared", "spikes", 1e-3, "spikes=ms,trials=s,behavior=s"),
    ("spikes in samples", "spikes", 1 / RATE_HZ, None),
    ("spikes in samples, declared", "spikes", 1 / RATE_HZ, "spikes=samples:30000,trials=s,behavior=s"),
    ("trials in ms", "trials", 1e-3, None),
    ("trials in ms, declared", "trials", 1e-3, "spikes=s,trials=ms,behavior=s"),
    ("trials in samples", "trials", 1 / RATE_HZ, None),
    ("behaviour in ms", "behavior", 1e-3, None),
    ("behaviour in ms, declared", "behavior", 1e-3, "spikes=s,trials=s,behavior=ms"),
):
    _needs = {"trials": "trialtimes trialunit", "behavior": "behaviour behaviourunit"}.get(_kinds, "unit")
    _add(_name, "" if _say else CLOCK + "|behaviour", _needs, "unit")(_unit(_kinds, _size, _say))


@_add("clock of years", CLOCK, "clock", "offset")
def _(recording, rng):
    recording.shift(float(rng.integers(10**9, 2 * 10**9)))


@_add("negative times", "", "clock", "offset")
def _(recording, rng):
    recording.shift(-20.0)


@_add("float32", CLOCK, "float", "precision")
def _(recording, rng):
    recording.how["times"] = "f4"


@_add("whole milliseconds", "", "float", "precision")
def _(recording, rng):
    recording.trains = [np.unique(np.round(train, 3)) for train in recording.trains]


@_add("unsorted", "sort|order|rising", "spikes", "order")
def _(recording, rng):
    recording.how["order"] = int(rng.integers(2**31))


@_add("copies of spikes", "repeated|twice", "spikes", "copies")
def _(recording, rng):
    number = 0
    for unit, train in enumerate(recording.trains):
        again = rng.choice(train, len(train) // 20, replace=False)
        recording.trains[unit] = np.sort(np.concatenate([train, again]))
        number += len(again)
    recording.told["copies"] = number


@_add("times without a value", r"NaN|finite|infinit", "float spikes", "nan")
def _(recording, rng):
    unit, number = int(rng.integers(len(recording.trains))), int(rng.integers(1, 9))
    bad = rng.choice([np.nan, np.inf, -np.inf], number)
    recording.trains[unit] = np.concatenate([recording.trains[unit], bad])
    recording.told["spikes"] = number


@_add("a gap", "", "heard", "gap")
def _(recording, rng):
    _silence(recording, rng, None, False)


@_add("a gap of one probe", "", "heard probes", "gap")
def _(recording, rng):
    _silence(recording, rng, int(rng.integers(2)), False)


@_add("declared bad time", "", "declared", "gap")
def _(recording, rng):
    _silence(recording, rng, None, True)


def _silence(recording, rng, probe, declared):
    first, last = recording.trials[0, 0], np.nanmax(recording.trials)
    start = first + round(float(rng.uniform(0.1, 0.4)) * (last - first), 2)
    stop = start + recording.gap_s
    if not declared or rng.integers(2):
        for unit, train in enumerate(recording.trains):
            if probe is None or recording.probe[unit] == probe:
                recording.trains[unit] = train[~((train > start) & (train < stop))]
    recording.unseen.append((probe, start, stop, declared))


@_add("the recording ends early", "trial|outside", "heard", "end")
def _(recording, rng):
    last = float(np.nanmax(recording.trials)) - 6.0
    recording.trains = [train[~(train > last)] for train in recording.trains]
    recording.unseen.append((None, last, np.inf, False))


@_add("declared bad time in ms", "invalid|bad time|clock|outside|observed", "declared stated", "gap")
def _(recording, rng):
    _silence(recording, rng, None, True)
    recording.how["declared"] = "ms"


@_add("declared bad time turned around", "invalid|end before|stop before|bad time|domain", "declared stated", "gap")
def _(recording, rng):
    _silence(recording, rng, None, True)
    recording.how["declared"] = "turned"


@_add("a unit without spikes", "unit", "spikes", "unit spikes")
def _(recording, rng):
    recording.trains[int(rng.integers(len(recording.trains)))] = np.zeros(0)


@_add("a unit of one spike", "unit", "spikes", "unit spikes")
def _(recording, rng):
    unit = int(rng.integers(len(recording.trains)))
    recording.trains[unit] = recording.trains[unit][:1]


@_add("trials unsorted", "order|sort|rising", "trialtimes")
def _(recording, rng):
    order = rng.permutation(len(recording.trials))
    recording.trials, recording.choice = recording.trials[order], recording.choice[order]


@_add("trials overlap", r"run into|share|overlap|block", "trialtimes stops", "trial lengths")
def _(recording, rng):
    some = rng.choice(len(recording.trials), 4, replace=False)
    recording.trials[some, 1] += 1.6


@_add("trials of unequal lengths", "", "trialtimes stops", "trial lengths")
def _(recording, rng):
    cut = BIN_S * rng.integers(0, 30, len(recording.trials))
    recording.trials[:, 1] = np.round(recording.trials[:, 1] - cut, 6)


@_add("a trial of no length", TRIALS, "trialtimes stops", "trial lengths")
def _(recording, rng):
    trial = int(rng.integers(1, len(recording.trials) - 1))
    recording.trials[trial, 1] = recording.trials[trial, 0]


@_add("a trial that ends before it begins", TRIALS, "trialtimes stops", "trial lengths")
def _(recording, rng):
    trial = int(rng.integers(1, len(recording.trials) - 1))
    recording.trials[trial] = recording.trials[trial, ::-1]


@_add("trials without a start", TRIALS + "|NaN|finite", "trialtimes", "trial nan")
def _(recording, rng):
    recording.trials[rng.choice(len(recording.trials), 3, replace=False), 0] = np.nan


@_add("trials without a stop", TRIALS + "|NaN|finite", "trialtimes stops", "trial nan")
def _(recording, rng):
    recording.trials[rng.choice(len(recording.trials), 3, replace=False), 1] = np.nan


@_add("one trial alone", TRIALS, "trialtimes", "trial number")
def _(recording, rng):
    recording.trials, recording.choice = recording.trials[:1], recording.choice[:1]


@_add("choices missing in some trials", "choice|NaN", "conditions", "choice")
def _(recording, rng):
    recording.choice = recording.choice.astype(np.float64)
    recording.choice[rng.choice(len(recording.choice), min(3, len(recording.choice)), replace=False)] = np.nan


@_add("regions spelled in many ways", "region", "regions", "regions")
def _(recording, rng):
    ways = (str.lower, str.upper, lambda name: f" {name} ", lambda name: f"{name}\t", str)
    recording.region = [ways[rng.integers(len(ways))](name) for name in recording.region]


@_add("regions of some units missing", "region", "regions", "regions")
def _(recording, rng):
    for unit in rng.choice(len(recording.region), 5, replace=False):
        recording.region[unit] = recording.true_region[unit] = str(rng.choice(["", "nan", "unknown"]))


@_add("no region", "", "regions", "regions")
def _(recording, rng):
    recording.region, recording.true_region = [], ["unknown"] * len(recording.trains)


def _form(name: str, says: str, needs: str, key: str, value: str, group: str = ""):
    @_add(name, says, needs, group or key)
    def change(recording, rng):
        recording.how[key] = value


_form("text as objects", "object|pickle|astype|text", "objects", "text", "object")
_form("text as bytes", "bytes|text|label|region", "objects", "text", "bytes")
_form("names of units twice", "twice|unit_id|unit id|unique|unit", "ids", "ids", "twice", "ids")
_form("names of units blank", "blank|empty|unit_id|unit", "ids", "ids", "blank", "ids")
_form("names of units are numbers", "", "ids", "ids", "numbers", "ids")
_form("no column of choices", "", "conditions", "choice", "none", "choice")
_form("choices of another length", "choice|condition|column|trial", "conditions lengths", "choice", "short", "choice")
_form("choices as text", "", "conditions", "choice", "text", "choice")
_form("vectors with an axis more", "axes|axis|shape", "vectors", "vectors", "column", "vectors")
_form("units are noise, spelled in any way", "noise|unit", "tables", "labels", "noise")
_form("a column of lists", r"list|column|condition|one value|object|axes|shape", "lists", "lists", "yes")
_form("older labels beside", "label|group|disagree", "tables", "labels", "older")
_form("blank rows of a table", "blank|row|cluster|table", "tables", "rows", "blank")
_form("an unreadable table of labels", "cannot be read|table|text|bytes|utf", "tables", "rows", "unreadable")
_form("two segments", "segment", "segments", "segments", "two")
_form("an unreadable file of behaviour", "behav|wheel|speed|cannot|cut|read", "optional", "optional", "cut")
_form("an axis more", "axes|shape|axis|\\[", "axes", "axis", "more", "axis")
_form(
    "transposed",
    r"axes|shape|trial|transpos|units|expected|columns|unit_id|region",
    "axes",
    "axis",
    "transposed",
    "axis",
)
_form("counts as float64", "", "counts", "counts", "f8", "counts")
_form("counts as int64", "", "counts", "counts", "i8", "counts")
_form("counts as true and false", "bool|count", "counts", "counts", "bool", "counts")
_form("counts masked", "mask", "counts masked", "counts", "masked", "counts")
_form("counts with NaN", "NaN", "counts", "counts", "nan", "counts")
_form("counts of a half", "whole|0.5|half|holds", "counts", "counts", "half", "counts")
_form("counts below zero", r"-1|negative|below|from 0|\[0|0 to", "counts", "counts", "negative", "counts")

BEHAVIOUR = r"behaviou?r|speed|wheel|sample|clock|shape|length"


@_add("behaviour of another length", BEHAVIOUR, "behaviour", "layout")
def _(recording, rng):
    recording.signal.layout, recording.signal.usable = "short", False


@_add("behaviour with an axis more", BEHAVIOUR, "behaviour", "layout")
def _(recording, rng):
    recording.signal.layout = "extra axis"


@_add("behaviour transposed", BEHAVIOUR, "behaviour", "layout")
def _(recording, rng):
    _two(recording)
    recording.signal.layout = "transposed"


@_add("behaviour with a column of NaN", BEHAVIOUR, "behaviour", "behaviour")
def _(recording, rng):
    _two(recording)
    recording.signal.values[:, 1] = np.nan


def _two(recording):
    signal = recording.signal
    if signal.values.shape[1] == 1:
        of = signal.truth
        signal.truth = lambda times, of=of: np.concatenate([of(times), -of(times)], axis=1)
        signal.values = np.concatenate([signal.values, -signal.values], axis=1)


@_add("behaviour with fill values", BEHAVIOUR, "behaviour", "behaviour")
def _(recording, rng):
    some = rng.choice(len(recording.signal.values), 20, replace=False)
    recording.signal.values[some] = 9.969209968386869e36
    recording.told["fill"] = 20 * recording.signal.values.shape[1]


@_add("behaviour at 5 Hz", BEHAVIOUR, "behaviour", "behaviour")
def _(recording, rng):
    recording.signal.times_s = recording.signal.times_s[::10]
    recording.signal.values = recording.signal.values[::10]


@_add("behaviour without some times", BEHAVIOUR + "|NaN|finite", "behaviour", "behaviour")
def _(recording, rng):
    recording.signal.times_s[rng.choice(len(recording.signal.times_s), 9, replace=False)] = np.nan
    recording.told["behaviour"] = 9


@_add("behaviour with one huge sample", BEHAVIOUR, "behaviour", "behaviour")
def _(recording, rng):
    recording.signal.values[int(rng.integers(len(recording.signal.values)))] = 1e16
    recording.signal.wild = True


@_add("samples of behaviour twice", BEHAVIOUR, "behaviour", "behaviour")
def _(recording, rng):
    signal = recording.signal
    signal.times_s, signal.values = np.repeat(signal.times_s, 2), np.repeat(signal.values, 2, axis=0)


@_add("behaviour on another clock", BEHAVIOUR, "behaviour", "behaviour")
def _(recording, rng):
    recording.signal.times_s = recording.signal.times_s + 1e5
    recording.signal.usable = False


@_add("behaviour constant", "", "behaviour", "behaviour")
def _(recording, rng):
    dims = recording.signal.values.shape[1]
    recording.signal.values[:] = 3.0
    recording.signal.truth = lambda times: np.full((len(times), dims), 3.0)


@_add("behaviour with a gap", BEHAVIOUR, "behaviour", "behaviour")
def _(recording, rng):
    times = recording.signal.times_s
    middle = times[len(times) // 2]
    keep = np.abs(times - middle) > 4
    recording.signal.times_s, recording.signal.values = times[keep], recording.signal.values[keep]


@_add("behaviour unsorted", BEHAVIOUR + "|order", "behaviour", "behaviour order")
def _(recording, rng):
    order = rng.permutation(len(recording.signal.times_s))
    recording.signal.times_s, recording.signal.values = (
        recording.signal.times_s[order],
        recording.signal.values[order],
    )


@_add("no behaviour", "", "behaviour", "layout")
def _(recording, rng):
    recording.signal = None


# What changes the size of other things comes last: the order in which chosen ones are applied.
_ORDER = (
    "trial lengths",
    "trial nan",
    "gap",
    "end",
    "precision",
    "behaviour",
    "layout",
    "copies",
    "nan",
    "offset",
    "unit",
)


def perturbed(recording: Recording, abilities: frozenset, rng: np.random.Generator) -> list[Perturbation]:
    """Applies one to three of the perturbations that a door can have."""
    able = [one for one in ALL.values() if one.needs <= abilities]
    chosen: dict[str, Perturbation] = {}
    for number in rng.permutation(len(able))[: int(rng.integers(1, 4))]:
        chosen.setdefault(able[number].group, able[number])
    if "layout" in chosen and chosen["layout"].name == "no behaviour":
        for group in ("behaviour", "behaviour order"):
            chosen.pop(group, None)
    if "trial number" in chosen:  # one trial has no other to be mixed with
        for group in ("trial lengths", "trial nan", "end", "gap", "trials unsorted"):
            chosen.pop(group, None)
    if "segments" in chosen:  # behaviour has no column for segments
        for group in ("gap", "end", "trial nan", "trial lengths", "unit", "trial number"):
            chosen.pop(group, None)
    if "precision" in chosen and chosen["precision"].name == "whole milliseconds":
        chosen.pop("unit", None)
    rank = {group: place for place, group in enumerate(_ORDER)}
    ordered = sorted(chosen.values(), key=lambda one: rank.get(one.group, -1))
    if {"gap", "end"} <= chosen.keys() and "declared" not in chosen["gap"].name:
        ordered.remove(chosen["end"])
    for one in ordered:
        one.change(recording, rng)
    recording.applied = [one.name for one in ordered]
    return ordered
