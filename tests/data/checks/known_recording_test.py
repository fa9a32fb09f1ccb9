"""A recording is known again by its spikes: renamed, cut and binned otherwise, with its units in any order."""

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neurojax.commands.convert import convert
from neurojax.data import belongs
from neurojax.data.checks import known_recording as known
from neurojax.data.checks import usable
from neurojax.data.observed import intervals_of
from neurojax.data.session import TEST, TRAIN
from neurojax.data.store import roster, trained_trials
from neurojax.data.store.dataset import open_dataset
from neurojax.data.store.sessions import from_counts
from neurojax.data.synthetic import ring
from neurojax.errors import InputError
from neurojax.evals import leaks

N, BINS, TRIALS, SIZE_S = 20, 25, 60, 0.02


@functools.cache
def spikes(seed: int, hz: float = 12.0) -> np.ndarray:
    """Counts [TRIALS * BINS, N] of units whose rates wander, each for itself and a little together."""
    rng = np.random.default_rng(seed)
    slow = np.repeat(rng.standard_normal((TRIALS * BINS // 10, N)), 10, axis=0)
    shared = np.repeat(rng.standard_normal((TRIALS * BINS // 10, 1)), 10, axis=0)
    base = hz * rng.gamma(2.0, 0.5, N)
    return rng.poisson(base * np.exp(0.4 * slow + 0.2 * shared) * SIZE_S)


def cut(counts, first_bin=0, bins=BINS, name="rat", split_seed=0, factor=1, ahead_s=0.0, order=None, gap=0):
    """A recording without gaps as trials of `bins` bins, from `first_bin` on, `factor` bins as one."""
    counts = counts[first_bin:] if order is None else counts[first_bin:, order]
    number = (len(counts) - gap) // (bins + gap)
    starts = np.arange(number) * (bins + gap)
    rows = (starts[:, None] + np.arange(bins)).ravel()
    trials = counts[rows].reshape(number, bins // factor, factor, -1).sum(2)
    return from_counts(
        trials,
        bin_size_s=SIZE_S * factor,
        session_id=name,
        split_seed=split_seed,
        trial_start_s=(starts + first_bin) * SIZE_S + ahead_s,
    )


def kept(*sessions):
    return trained_trials.joined(trained_trials.NOTHING, sessions, {})


def told(one, other):
    """What is said of a session `other` under the name of `one`."""
    (entry,) = roster.entries_of([one])
    return belongs.units_of_run(other, entry, kept(one))


seeds, some = st.integers(0, 30), settings(max_examples=15, deadline=None)


@some
@given(seeds, st.integers(0, BINS - 1), st.sampled_from([BINS, 20, 30, 15]), st.booleans())
def test_a_recording_cut_otherwise_has_the_same_units(seed, first_bin, bins, renamed):
    one = cut(spikes(seed))
    other = cut(spikes(seed), first_bin, bins, split_seed=1)
    found = told(one, other)
    assert not found.fault
    whole = first_bin == 0 and len(spikes(seed)) % bins == 0
    assert found.told == (belongs.SAME_COUNTS if whole else belongs.SAME_UNITS)
    other = dataclasses.replace(other, session_id="mouse") if renamed else other
    assert [again.session_id for again, _ in known.found_again(kept(one).recordings, other, "x")] == ["rat"]


@some
@given(seeds, st.sampled_from([5, 1]), st.sampled_from([5, 25]))
def test_a_recording_binned_otherwise_has_the_same_units(seed, first, factor):
    one, other = cut(spikes(seed)), cut(spikes(seed), 0, BINS, factor=factor)
    assert told(one, other) == (belongs.SAME_UNITS, "")
    assert told(other, one) == (belongs.SAME_UNITS, "")


@some
@given(seeds, st.integers(0, 5), st.integers(0, 1000))
def test_units_in_another_order_are_told(seed, first_bin, shuffled):
    order = np.random.default_rng(shuffled).permutation(N)
    one, other = cut(spikes(seed)), cut(spikes(seed), first_bin, order=order)
    assert "in other places than the run" in told(one, other).fault
    # It is the recording all the same: its trials were trained on.
    assert len(list(known.found_again(kept(one).recordings, other, "x"))) == 1


@some
@given(seeds, st.integers(0, N - 2))
def test_two_units_that_change_places_are_told(seed, unit):
    order = np.arange(N)
    order[[unit, unit + 1]] = order[[unit + 1, unit]]
    assert told(cut(spikes(seed)), cut(spikes(seed), order=order)).fault.startswith("has 2 of its 20 units")


@some
@given(seeds, seeds)
def test_another_animal_is_never_taken_for_the_one_of_that_name(seed, other_seed):
    one, other = cut(spikes(seed)), cut(spikes(other_seed + 100))
    assert "is another recording" in told(one, other).fault or told(one, other).told.startswith(belongs.NOT_CHECKED)
    assert not list(known.found_again(kept(one).recordings, other, "x"))
    leaks.require_unseen([other], kept(one))


@pytest.mark.parametrize("half", [0, 1])
def test_another_probe_at_the_same_time_is_another_recording(half):
    columns = np.arange(N).reshape(2, -1)
    one, other = (cut(spikes(3)[:, columns[k]]) for k in (half, 1 - half))
    assert not list(known.found_again(kept(one).recordings, other, "x"))
    assert told(one, other).fault


def hidden(session, gaps):
    """The session as if each unit had not been observed in a gap (first row, row after the last)."""
    watched = np.ones(session.counts.shape, bool)
    for unit, (first, last) in enumerate(gaps):
        watched[first:last, unit] = False
    return dataclasses.replace(session, counts=session.counts * watched, validity=intervals_of(watched))


TOGETHER = [(0, 690)] * N
APART = [(40 * unit, 40 * unit + 650) for unit in range(N)]


@pytest.mark.parametrize("gaps", [TOGETHER, APART])
@pytest.mark.parametrize("seed", range(4))
def test_gaps_at_the_same_time_do_not_make_another_animal_the_same(gaps, seed):
    one, other = hidden(cut(spikes(seed)), gaps), hidden(cut(spikes(seed + 100)), gaps)
    found = told(one, other)
    assert "is another recording" in found.fault or found.told.startswith(belongs.NOT_CHECKED)
    assert not list(known.found_again(kept(one).recordings, other, "x"))
    leaks.require_unseen([other], kept(one))


@pytest.mark.parametrize("gaps", [TOGETHER, APART])
@pytest.mark.parametrize("where", ["first", "second", "both"])
@pytest.mark.parametrize("seed", range(4))
def test_units_that_were_watched_in_part_are_known_again(gaps, where, seed):
    one, other = cut(spikes(seed)), cut(spikes(seed), 3)
    moved = cut(spikes(seed), 3, order=np.roll(np.arange(N), 1))
    first = hidden(one, gaps) if where != "second" else one
    for session, said in ((other, ""), (moved, "in other places than the run")):
        second = hidden(session, gaps) if where != "first" else session
        found = told(first, second)
        assert said in found.fault and bool(found.fault) == bool(said)
        assert said or found.told == belongs.SAME_UNITS
        assert len(list(known.found_again(kept(first).recordings, second, "x"))) == 1


def at_other_times(counts):
    """Units with the same mean rates that fire at other times."""
    return np.random.default_rng(0).permutation(counts)


def test_what_cannot_be_told_is_not_said_to_have_passed():
    one = cut(spikes(0))
    other = cut(spikes(1), ahead_s=5000.3)  # other times of the session, the same rates
    same_rates = dataclasses.replace(other, counts=at_other_times(one.counts))
    assert told(one, same_rates).told.startswith("not checked: other counts than in training")
    (entry,) = roster.entries_of([one])
    for known_of_it in (None, trained_trials.Trained(frozenset([b"x" * 16]), (), all_times_known=False)):
        found = belongs.units_of_run(other, entry, known_of_it)
        assert found.told.startswith("not checked") and "not checked" in found.line("rat")
    clockless = dataclasses.replace(other, trial_start_s=np.zeros(other.num_trials))
    assert told(one, clockless).told.startswith("not checked")
    assert "no clock" in trained_trials.why_not_known(clockless, kept(one), "x")
    assert trained_trials.why_not_known(one, kept(one), entry["counts_sha256"]) == ""


@some
@given(seeds, st.integers(1, BINS - 1), st.sampled_from(["rat", "mouse"]), st.sampled_from([0.0, 1234.5]))
def test_time_that_was_trained_on_is_found_where_no_trial_is_equal(seed, first_bin, name, ahead_s):
    one = cut(spikes(seed))
    first_bin = 1 + first_bin % 2 if ahead_s else first_bin  # another clock is found by the first trials
    other = cut(spikes(seed), first_bin, name=name, split_seed=5, ahead_s=ahead_s)
    trained = kept(one)
    assert not trained.digests & set(trained_trials.telling_digests(other, TEST))
    seen = set(trained_trials.among(other, trained).tolist())
    if ahead_s == 0.0:
        (of_one,) = trained.recordings
        starts = other.trial_start_s[:, None]
        stops = starts + BINS * SIZE_S
        shared = np.minimum(stops, of_one.trained_s[:, 1]) - np.maximum(starts, of_one.trained_s[:, 0])
        shared = np.maximum(shared, 0).sum(1)
        assert seen == set(np.flatnonzero(shared > 1.5 * SIZE_S)) | (seen & set(np.flatnonzero(shared > 0.9 * SIZE_S)))
    assert len(seen) >= 0.5 * other.num_trials
    with pytest.raises(InputError, match="was trained on .* or on some of their time"):
        leaks.require_unseen([other], trained)


@some
@given(seeds, st.integers(1, BINS - 1), st.sampled_from([3, 14]), st.sampled_from([-3.7, 0.33, 812.41]))
@example(0, 12, 3, -3.7)  # 1.06 bins off
def test_time_is_found_on_a_clock_that_began_in_the_middle(seed, first_bin, first_trial, ahead_s):
    """To the grid of bins it is searched on: its nearest point, half a bin away at most, or the next."""
    one = cut(spikes(seed))
    first = first_trial * BINS + first_bin
    other = cut(spikes(seed), first, name="mouse", split_seed=5, ahead_s=ahead_s)
    ((_, found_s),) = known.found_again(kept(one).recordings, other, "x")
    assert abs(found_s - ahead_s) <= 1.5 * SIZE_S
    with pytest.raises(InputError, match="was trained on .* or on some of their time"):
        leaks.require_unseen([other], kept(one))
    assert told(one, dataclasses.replace(other, session_id="rat")).told == belongs.SAME_UNITS


def test_a_session_that_is_not_known_again_is_not_said_to_have_passed():
    one, later = cut(spikes(0)), cut(at_other_times(spikes(0)), ahead_s=9000.0)
    assert told(one, later).told.startswith(belongs.NOT_CHECKED)
    assert "too few spikes at the same times" in trained_trials.why_not_known(later, kept(one), "x")
    known_again = cut(spikes(0), 3)
    assert trained_trials.why_not_known(known_again, kept(one), "x") == ""
    renamed = dataclasses.replace(later, session_id="mouse")
    assert trained_trials.why_not_known(renamed, kept(one), "x") == ""


def test_the_same_split_cut_again_passes_and_so_do_other_hours():
    one = cut(spikes(0), gap=5)
    trained = kept(one)
    leaks.require_unseen([one], trained)
    binned = cut(spikes(0), gap=5, factor=5)
    binned = dataclasses.replace(binned, split=one.split)
    leaks.require_unseen([binned], trained)
    rest = spikes(0)[BINS * 40 + 3 :]  # no trial of it is one of the others
    later = dataclasses.replace(cut(rest, name="later"), trial_start_s=np.arange(19) * 1.0 + 9000)
    assert not len(trained_trials.among(later, trained))


def test_what_is_kept_comes_back_from_the_file(tmp_path):
    one, two = cut(spikes(0)), hidden(cut(spikes(1), name="mouse"), APART)
    trained_trials.write(tmp_path, [one, two])
    (_, mouse), (_, again) = kept(one, two).recordings, trained_trials.read(tmp_path).recordings
    np.testing.assert_array_equal(again.watched, mouse.watched)
    assert not mouse.watched.all() and not (mouse.above & ~mouse.watched).any()
    found = trained_trials.read(tmp_path)
    assert found.all_times_known and [r.session_id for r in found.recordings] == ["rat", "mouse"]
    made = kept(one).recordings[0]
    np.testing.assert_array_equal(found.recordings[0].above, made.above)
    np.testing.assert_allclose(found.recordings[0].trained_s, made.trained_s, atol=1e-6)
    # A run that goes on with other trials keeps the time of both.
    swapped = dataclasses.replace(one, split=np.where(one.split == TRAIN, TEST, TRAIN))
    both = trained_trials.joined(found, [swapped], {})
    assert len(both.recordings) == 2 and set(trained_trials.among(one, both)) == set(range(one.num_trials))


def test_older_files_are_read_and_do_not_say_more_than_they_know(tmp_path):
    one = cut(spikes(0))
    digests = sorted(digest.hex() for digest in trained_trials.telling_digests(one, TRAIN))
    (tmp_path / trained_trials.NAME).write_text('{"schema": 1, "digests": ["' + '", "'.join(digests) + '"]}')
    old = trained_trials.read(tmp_path)
    assert len(old.digests) == len(digests) and not old.all_times_known
    assert "only equal trials were kept" in trained_trials.why_not_known(one, old, "x")
    # Trained on again with the same trials, all times are known; with fewer they are not.
    assert trained_trials.joined(old, [one], {}).all_times_known
    fewer = dataclasses.replace(one, split=np.where(np.arange(one.num_trials) < 30, one.split, TEST))
    assert not trained_trials.joined(old, [fewer], {}).all_times_known


@some
@given(seeds, st.integers(1, 12), st.booleans())
def test_a_copy_cut_otherwise_is_refused_in_one_root(seed, first_bin, permuted):
    order = np.random.default_rng(seed).permutation(N) if permuted else None
    copy = cut(spikes(seed), first_bin, name="copy", order=order, split_seed=2)
    with pytest.raises(InputError, match="session rat cannot be used: units that are those of session copy"):
        usable.require_usable([copy, cut(spikes(seed)), cut(spikes(seed + 500), name="stranger")])
    usable.require_usable([cut(spikes(seed)), cut(spikes(seed + 500), name="stranger")])


def test_people_who_follow_the_same_cues_are_not_taken_for_each_other(tmp_path):
    """Four electrodes, the same gestures at the same times: a newcomer is new, a renamed copy cut otherwise is not."""
    spec = ring.RingSpec(num_people=5, num_electrodes=4, segment_s=1.0)
    ring.write_people(tmp_path / "people", spec, seed=0)
    for step_ms, name in ((50, "fine"), (130, "coarse")):
        windows = (("window_ms", "260"), ("step_ms", str(step_ms)))
        convert("emg", [tmp_path / "people"], tmp_path / name, options=windows, num_workers=0)
    fine, coarse = (open_dataset(tmp_path / name).sessions for name in ("fine", "coarse"))
    trained = [known.known_recording(one, one.session_id, np.arange(one.num_trials)) for one in fine]
    for number, (one, again) in enumerate(zip(fine, coarse, strict=True)):
        others = [entry for entry in trained if entry.session_id != one.session_id]
        assert not list(known.found_again(others, one, "new"))
        assert not list(known.found_again(others, again, "new"))
        ((found, ahead_s),) = known.found_again(trained, again, "renamed")
        assert found is trained[number] and ahead_s == 0
