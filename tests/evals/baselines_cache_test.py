"""What is kept of fitted baselines comes back whole, or not at all."""

import io
import json
import zipfile

import numpy as np
import pytest

from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.evals import baseline_scores, baselines_cache, scoring
from neurojax.evals.best_baseline import Best
from neurojax.evals.protocols import TASKS

SETTINGS = {"protocol": "mtm", "num_boot": 20, "baselines": "train_mean,psth"}
NAMES = ("train_mean", "psth")


def make_session(name="rat"):
    counts = np.random.default_rng(0).poisson(0.5, (20, 10, 6))
    split = np.resize([0, 0, 1, 2], 20)
    return from_counts(counts, bin_size_s=0.02, session_id=name, split=split, region=np.resize(["A", "B"], 6))


@pytest.fixture
def kept(tmp_path):
    """(session, path without a suffix, what was fitted)."""
    session = make_session()
    found = baseline_scores.cached_scores(dataset_of([session]), str(tmp_path), None, SETTINGS, 0)["rat"]
    (path,) = (tmp_path / ".baselines").glob("*.json")
    return session, path.with_suffix(""), found


def test_what_was_kept_comes_back_to_the_bit(kept, capsys):
    session, path, found = kept
    again = baselines_cache.read(path, session, TASKS, NAMES)
    assert again.scores == json.loads(json.dumps(found.scores))
    for name in NAMES:
        np.testing.assert_array_equal(again.unit_scores[name], found.unit_scores[name])
        assert set(again.excess[name]) == set(found.excess[name])
        for task, expected in found.excess[name].items():
            assert expected.dtype == np.float32 and expected.shape == (5, 6)
            np.testing.assert_array_equal(again.excess[name][task], expected)
    capsys.readouterr()
    second = baseline_scores.cached_scores(dataset_of([session]), str(path.parent.parent), None, SETTINGS, 0)["rat"]
    assert second.scores == found.scores and "fitted" not in capsys.readouterr().out


def test_paired_differences_from_the_cache_are_those_of_the_fit(kept):
    session, path, found = kept
    counts = session.gather_trials(session.trials_of(2))[0]
    rates = {"co_smoothing": np.full(counts.shape, 0.45)}
    options, best = dict(seed=0, num_boot=20), {"co_smoothing": Best("psth", "validation")}
    sums = scoring.sums_of(session, rates)
    from_fit = scoring.compare_with_best(sums, best, found.excess, **options)
    excess = baselines_cache.read(path, session, TASKS, NAMES).excess
    assert scoring.compare_with_best(sums, best, excess, **options) == from_fit
    assert np.isfinite(from_fit["co_smoothing"]["bps_pooled"])


def other_array(array):
    content = io.BytesIO()
    np.savez_compressed(content, excess=array)
    return content.getvalue()


def endless():
    """A small file whose header claims ten terabytes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 3)})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("excess.npy", header.getvalue())
    return content.getvalue()


DAMAGES = {
    "gone": None,
    "empty": b"",
    "half": "half",
    "one byte": "byte",
    "text": b"not a zip",
    "other shape": other_array(np.zeros((2, 4, 5, 7), "<f4")),
    "other type": other_array(np.zeros((2, 4, 5, 6), "<f8")),
    "objects": other_array(np.full((2, 4, 5, 6), None)),
    "endless": endless(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_fitted_again(kept, damage, capsys):
    session, path, found = kept
    file = path.with_suffix(".npz")
    content = DAMAGES[damage]
    if damage in ("half", "byte", "one byte"):
        whole = file.read_bytes()
        middle = len(whole) // 2
        content = whole[:middle] if damage == "half" else whole[:middle] + b"\xff\x00" + whole[middle + 2 :]
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert baselines_cache.read(path, session, TASKS, NAMES) is None
    again = baseline_scores.cached_scores(dataset_of([session]), str(path.parent.parent), None, SETTINGS, 0)["rat"]
    assert "fitted 2 baselines to 1 sessions" in capsys.readouterr().out
    np.testing.assert_array_equal(again.excess["psth"]["forward"], found.excess["psth"]["forward"])
    assert baselines_cache.read(path, session, TASKS, NAMES) is not None


def test_entries_that_are_too_large_are_not_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(baselines_cache, "MAX_EXCESS_BYTES", 100)
    found = baseline_scores.cached_scores(dataset_of([make_session()]), str(tmp_path), None, SETTINGS, 0)
    assert np.isfinite(found["rat"].excess["psth"]["co_smoothing"]).all()
    assert not list((tmp_path / ".baselines").iterdir()) and "not kept" in capsys.readouterr().out


def edited_digit(path):
    text = path.with_suffix(".json").read_text()
    place = next(k for k in range(len(text) // 2, len(text)) if text[k] in "12345678" and text[k - 1] == ".")
    path.with_suffix(".json").write_text(text[:place] + str(int(text[place]) + 1) + text[place + 1 :])


def edited_array(path):
    with np.load(path.with_suffix(".npz")) as archive:
        excess = archive["excess"] + np.float32(1)
    np.savez_compressed(path.with_suffix(".npz"), excess=excess)


def without_digest(path):
    content = json.loads(path.with_suffix(".json").read_text())
    del content["sha256"]
    path.with_suffix(".json").write_text(json.dumps(content))


@pytest.mark.parametrize("change", [edited_digit, edited_array, without_digest])
def test_what_was_edited_is_fitted_again(kept, change, capsys):
    session, path, found = kept
    change(path)
    assert baselines_cache.read(path, session, TASKS, NAMES) is None
    capsys.readouterr()
    again = baseline_scores.cached_scores(dataset_of([session]), str(path.parent.parent), None, SETTINGS, 0)["rat"]
    assert again.scores == found.scores and "fitted" in capsys.readouterr().out


def test_an_entry_under_the_name_of_another_is_not_taken(kept):
    session, path, _ = kept
    other = path.with_name("0" * 24)
    for suffix in (".json", ".npz"):
        other.with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    assert baselines_cache.read(other, session, TASKS, NAMES) is None
    assert baselines_cache.read(path, session, TASKS, NAMES) is not None
