"""Some bad recordings of experiments/hostile_files: each ends in a sentence or a count, and hurts nothing."""

import importlib
import random
import sys
from pathlib import Path

import pytest

pytest.importorskip("h5py")
FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "hostile_files"
PER_FORMAT = 3
FOUND = {  # what the bench found once, always tried again
    "mat v7.3": (
        "class: function handle", "class: table, by path", "class: no text", "class: no ASCII",
        "class: cell, but doubles, by path", "cell of null references",
    ),
    "HDF5": ("domain: train over test", "series: starts at nothing", "--options=as_test=train", "--trial_columns=x"),
    "ALF": ("wheel times NaN", "wheel times falling"),
    "phy tables": ("table: 2**70", "table: half a cluster", "table: a quote without end"),
    "SpikeInterface": ("units nested",),
}  # fmt: skip


@pytest.fixture(scope="module")
def bench():
    """(all cases, judge) of the experiment, which is no package."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("run").all_cases(), importlib.import_module("harness").judge
    finally:
        sys.path.remove(str(FOLDER))
        for name in ("run", "harness", *importlib.import_module("run").MODULES):
            sys.modules.pop(name, None)


def test_there_are_many_bad_inputs_of_every_format(bench):
    formats = {}
    for case in bench[0]:
        formats.setdefault(case.format, set()).add(case.name)
    assert sum(map(len, formats.values())) >= 200 and min(map(len, formats.values())) >= 10


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_sample_ends_in_a_sentence_or_a_count(bench, tmp_path):
    cases, judge = bench
    quick = [case for case in cases if "MB of" not in case.name and "3,000" not in case.name]
    formats = dict.fromkeys(case.format for case in quick)
    sample = [c for f in formats for c in random.Random(f).sample([c for c in quick if c.format == f], PER_FORMAT)]
    found = [case for case in cases if case.name in FOUND.get(case.format, ())]
    assert len(found) == sum(map(len, FOUND.values()))
    sample += [case for case in found if case not in sample]
    failed = {}
    for number, case in enumerate(sample):
        outcome, message = judge(case, tmp_path / str(number))
        if outcome == "FAILED":
            failed[f"{case.format}, {case.name}"] = message
    assert failed == {}


def test_the_bench_notices_what_was_taken_without_a_word(bench, tmp_path):
    case = next(case for case in bench[0] if case.name == "units: one silent among six" and case.format == "npz")
    assert case.harmless and bench[1](case, tmp_path / "a")[0] == "counted"
    sound = next(case for case in bench[0] if case.name == "file name 'a b.npz'")
    strict = type(sound)(sound.format, sound.name, sound.kind, sound.make)
    assert bench[1](strict, tmp_path / "b")[0] in ("FAILED", "refused")
