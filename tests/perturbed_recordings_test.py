"""A sample of experiments/perturbed_recordings: recordings as labs have them, through every door; its judge, judged."""

import importlib
import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from neurojax import Session

pytest.importorskip("h5py")
FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "perturbed_recordings"
MODULES = (
    "run", "recording", "perturbations", "forms", "doors", "array_doors", "hdf5_doors", "folder_doors", "python_doors",
    "real_doors", "judge",
)  # fmt: skip
PER_DOOR, SEEDS = 5, 300
DOORS = (
    "arrays, spikes", "arrays, counts", "mat v5", "mat v7.3", "nwb", "phy", "phy, two probes", "SpikeInterface", "ibl",
    "brainwide", "from_counts", "from_spike_times", "pandas", "from_pynapple", "traces", "emg",
    "arrays, spikes, windows", "mat v5, windows", "nwb, windows", "phy, windows", "SpikeInterface, windows",
    "ibl, windows", "from_spike_times, windows",
)  # fmt: skip


@pytest.fixture(scope="module")
def bench():
    """Name -> module of the experiment, which is no package."""
    others = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(FOLDER))
        for name in MODULES:
            sys.modules.pop(name, None)
        sys.modules.update(others)


def run(bench, door, seed, tmp_path, good=False):
    if door not in (*bench["doors"].DOORS, *bench["real_doors"].REAL_DOORS):
        pytest.skip(f"no package for {door}")
    return bench["run"].run_case(door, seed, tmp_path / f"{seed}", good)


@pytest.mark.parametrize("door", DOORS)
def test_a_good_recording_is_right(bench, door, tmp_path):
    outcome, message, applied = run(bench, door, 0, tmp_path, good=True)
    assert (outcome, applied) == ("right", []), message


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("door", DOORS)
def test_a_sample_ends_right_counted_or_refused_in_words(bench, door, tmp_path):
    failed = {}
    for seed in random.Random(door).sample(range(SEEDS), PER_DOOR):
        outcome, message, applied = run(bench, door, seed, tmp_path)
        if outcome not in ("right", "counted", "refused"):
            failed[seed] = applied, message
    assert failed == {}


def test_every_perturbation_is_met_by_some_door(bench):
    known = [able for _, able in bench["doors"]._SETS.values()]
    known = [frozenset(able.split()) for able in known]
    alone = [name for name, one in bench["perturbations"].ALL.items() if not any(one.needs <= able for able in known)]
    assert len(bench["perturbations"].ALL) > 60 and alone == []


def test_the_results_are_what_is_expected():
    results, expected = (json.loads((FOLDER / f"{name}.json").read_text()) for name in ("results", "expected"))
    assert set(results["by_door"]) == set(DOORS)
    for door, numbers in results["by_door"].items():
        assert sum(numbers.values()) >= expected["fewest cases of a door"]["value"], door
        assert numbers["FAILED"] <= expected["failed cases of all doors"]["value"], door


# The judge: what must fail, fails.


def made(bench, change=lambda recording: None, **fields):
    """A recording, and the session that `from_spike_times` makes of it after a change that the judge is not told."""
    recording = bench["recording"].make(np.random.default_rng(5))
    truth = bench["recording"].make(np.random.default_rng(5))
    change(recording)
    times, rows = recording.flat()
    ids = [recording.unit_id[row] for row in rows]
    fields = {"trials": recording.trials, "units": recording.unit_id, "regions": recording.region} | fields
    fields["conditions"] = {"choice": recording.choice}
    fields["behaviour"] = {"speed": (recording.signal.times_s, recording.signal.values)}
    return truth, Session.from_spike_times(times, ids, session_id="a", **fields)


HAS = frozenset(("regions", "conditions", "behaviour"))


def difference(bench, truth, session):
    return bench["judge"].compare(session, truth, truth.unit_id, HAS)


def test_the_judge_finds_nothing_in_a_session_that_is_right(bench):
    found = difference(bench, *made(bench))
    assert found.wrong == [] and found.missing == {}


def _moved(recording):
    recording.trains[3] = recording.trains[3] + 0.02


def _one_spike(recording):
    recording.trains[7] = np.append(recording.trains[7], recording.trials[4, 0] + 0.5)


def _others(recording):
    recording.choice = 1 - recording.choice


def _relabelled(recording):
    recording.region[2] = "S1"


def _spelled(recording):
    recording.region[2] = "CA-1 "  # brought to one spelling: right


def _late(recording):
    recording.signal.times_s = recording.signal.times_s + 1.0


def _half(recording):
    recording.trials[6, 1] -= 0.6


def _other_trial(recording):
    recording.trials[6] += 0.04


@pytest.mark.parametrize(
    "change, word",
    [
        (_moved, "counts of unit 3"),
        (_one_spike, "counts of unit 7"),
        (_others, "choices"),
        (_relabelled, "region"),
        (_late, "behaviour in"),
        (_half, "30 bins instead of 60"),
        (_other_trial, "a trial at"),
        (_spelled, None),
    ],
)
def test_the_judge_notices_each_kind_of_wrong(bench, change, word):
    found = difference(bench, *made(bench, change))
    assert found.wrong == [] if word is None else word in found.wrong[0]


def test_the_judge_notices_silence_that_counts_as_data_and_what_was_seen_but_is_hidden(bench):
    def quiet(recording):
        recording.trains = [train[~((train > 15) & (train < 30))] for train in recording.trains]

    truth, session = made(bench, quiet, silence="keep")
    truth.trains = [train[~((train > 15) & (train < 30))] for train in truth.trains]
    assert difference(bench, truth, session).wrong == []  # were it silence, it would be right
    truth.unseen.append((None, 15.0, 30.0, False))
    assert "count as silence" in difference(bench, truth, session).wrong[0]
    truth, session = made(bench, invalid=[[15.0, 30.0]])
    assert "trials" in difference(bench, truth, session).missing
    truth, session = made(bench, invalid=[[float(made(bench)[0].trials[3, 0]) + 0.2, 9.0]])
    assert "marked as not" in difference(bench, truth, session).wrong[0]


TOLD = [
    "trials left out (no event): 3",
    "units left out (never observed): 2",
    "not observed: 12.5 % of bins x units (10 of 20 units, 1 stretches of up to 8.4 s)",
    "repeated spike times: 604",
    "spikes left out (time is not finite): 4",
    "behaviour 'speed' is known in 84 % of bins: 3 of 23 trials have no sample",
]


@pytest.mark.parametrize(
    "missing, spoken",
    [
        ({"trials": 3}, True),
        ({"trials": 4}, False),  # another number
        ({"units": 2, "trials": 3}, True),
        ({"units": 3}, False),  # 3 trials are no 3 units
        ({"entries": 12.5}, True),
        ({"entries": 30.0}, False),
        ({"copies": 604}, True),
        ({"copies": 3}, False),
        ({"spikes": 4}, True),
        ({"spikes": 604}, False),  # copies are no spikes without a time
        ({"behaviour": 16}, True),
        ({"regions": 5}, False),
        ({"choice": 1}, False),
        ({"bad times": 1}, False),
        ({"windows": 2}, True),
        ({"windows": 4}, False),
        ({"windows": 0.5}, False),
    ],
)
def test_counted_needs_words_and_a_number_of_its_own(bench, missing, spoken):
    assert (bench["judge"].unspoken(missing, TOLD) == []) == spoken


def test_a_refusal_must_speak_of_what_was_done(bench, tmp_path):
    judge, known = bench["judge"], bench["perturbations"].ALL
    text = "neurojax: /trials/a.npz: spike times span 50,000 seconds; give --time_unit=ms\n"
    assert judge._refused(text, tmp_path, [known["spikes in ms"]])[0] == "refused"
    assert judge._refused(text, tmp_path, [known["one trial alone"]])[0] == "FAILED"  # a folder's name is no reason
    assert judge._refused(text, tmp_path, [known["negative times"]])[0] == "FAILED"  # nothing may be refused
    assert judge._refused(text * 2, tmp_path, [known["spikes in ms"]])[0] == "FAILED"
    (tmp_path / "left").mkdir()
    assert judge._refused(text, tmp_path, [known["spikes in ms"]])[0] == "FAILED"
