"""Observed time on disk: what is written, what is refused, what meta.json and the card say."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data.observed import ObservedIntervals, entries_of
from neurojax.data.store.cards import session_card
from neurojax.data.store.observed_share import observed_record, observed_words
from neurojax.data.store.session_format import open_session, write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError

COUNTS = np.random.default_rng(0).poisson(1.0, (6, 10, 4))


def build(observed=None, counts=COUNTS, **fields):
    given = {"bin_size_s": 0.1, "session_id": "a", "split": [0, 0, 0, 0, 1, 2], "observed": observed}
    return from_counts(counts, **(given | fields))


def gone(units, start, stop):
    """Units not observed from bin `start` to `stop`, bool [60, 4]."""
    seen = np.ones((60, 4), bool)
    seen[start:stop, units] = False
    return seen.reshape(6, 10, 4)


def test_meta_and_card_say_how_much_and_since_when(tmp_path):
    starts = np.arange(6) * 5.0 + 100
    session = build(gone([1, 2], 25, 40) & gone([3], 0, 6), trial_start_s=starts)
    folder = write_session(session, tmp_path)
    record = json.loads((folder / "meta.json").read_text())["observed_time"]
    assert record["share"] == pytest.approx(1 - (2 * 15 + 6) / 240)
    assert record["parts"][0] == {"units": 2, "share": 0.75, "not_from_s": pytest.approx(110.5)}
    assert record["parts"][1] == {"units": 1, "share": 0.9, "not_from_s": 100.0}
    assert "2 units not from 110.5 s (75 % of bins)" in (folder / "CARD.md").read_text()
    back = open_session(folder, verify="full")
    assert "observed_time" not in back.info and observed_record(back) == record
    write_session(back.with_fields(session_id="again"), tmp_path)


def test_a_session_observed_throughout_says_nothing(tmp_path):
    folder = write_session(build(), tmp_path)
    assert "observed_time" not in (folder / "meta.json").read_text()
    assert "Observed" not in (folder / "CARD.md").read_text() and observed_record(build()) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.05, 1.0))
def test_the_share_is_that_of_the_entries_of_trials(seed, share):
    rng = np.random.default_rng(seed)
    seen = rng.random((6, 10, 4)) < share
    seen[0, 0] = True
    session = build(seen)
    record = observed_record(session)
    if record is None:
        assert seen.all()
        return
    assert record["share"] == pytest.approx(seen.mean())
    flat = seen.reshape(60, 4)
    since = {float(np.argmin(column) * 0.1) for column in flat.T if not column.all()}
    assert {round(part["not_from_s"], 6) for part in record["parts"]} == {round(time, 6) for time in since} or len(
        record["parts"]
    ) == len({column.tobytes() for column in flat.T if not column.all()})
    assert observed_words(record).startswith(f"{100 * seen.mean():.1f} %")


def test_many_parts_are_told_in_short():
    seen = np.ones((6, 10, 12), bool)
    seen.reshape(60, 12)[:, 1:][np.arange(1, 12) * 5, np.arange(11)] = False
    record = observed_record(build(seen, np.ones((6, 10, 12), int)))
    assert len(record["parts"]) == 5 and record["units_in_other_parts"] == 6
    assert len(observed_words(record)) < 400


@pytest.mark.parametrize(
    "damage", [None, 3, {"share": "x"}, {"share": 0.5, "parts": [{"units": "\x1b"}]}, {"share": 0.5}]
)
def test_a_damaged_record_breaks_no_card(damage):
    meta = {"session_id": "a", "num_units": 1, "num_trials": 3, "num_bins": 3, "bin_size_s": 0.1, "content_sha256": "x"}
    assert "\x1b" not in session_card({**meta, "observed_time": damage})


def test_counts_of_entries_that_were_not_observed_are_never_written(tmp_path):
    session = build(gone([1, 2], 25, 40))
    assert not session.counts[25:40, 1:3].any()
    spiking = session.with_fields(counts=np.ones_like(session.counts))
    with pytest.raises(InputError, match="counts holds 30 spikes where its units were not observed"):
        write_session(spiking, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("validity", "message"),
    [
        (np.ones((60, 4), bool), "validity is ndarray, expected ObservedIntervals"),
        ((np.zeros(1, np.int32), np.zeros(1, int), np.ones(1, int)), "validity is tuple"),
        ("always", "validity is str"),
        (ObservedIntervals(*(np.zeros(0, kind) for kind in (np.int32, np.int64, np.int64))), "nothing was observed"),
        (ObservedIntervals(np.zeros(1), np.zeros(1, int), np.ones(1, int)), "validity/unit_index is float64"),
        (ObservedIntervals([0], [0], [1]), "validity/unit_index is list"),
        (ObservedIntervals(np.zeros(1, np.int32), np.zeros(1, int), np.full(1, 99)), "leaves the 60 bins"),
    ],
)
def test_a_validity_of_a_wrong_kind_is_refused(validity, message, tmp_path):
    session = build().with_fields(validity=validity)
    with pytest.raises(InputError, match=message):
        write_session(session, tmp_path)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16))
def test_observed_entries_come_back_from_disk(seed):
    import tempfile

    seen = np.random.default_rng(seed).random((6, 10, 4)) < 0.6
    seen[:, 0] = True
    with tempfile.TemporaryDirectory() as folder:
        back = open_session(write_session(build(seen), folder), verify="full")
        np.testing.assert_array_equal(entries_of(back.validity, 60, 4), seen.reshape(60, 4))
        np.testing.assert_array_equal(back.counts, (COUNTS * seen).reshape(60, 4))
