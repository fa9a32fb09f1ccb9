"""Recordings and weights that do not belong together are told apart before anything is computed."""

import dataclasses

import numpy as np
import pytest

from neurojax.data import batching, belongs
from neurojax.data.real_values import from_values
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError


def make_session(name="rat", num_bins=6, bin_size_s=0.02):
    counts = np.ones((4, num_bins, 3), int)
    return from_counts(counts, bin_size_s=bin_size_s, session_id=name)


SESSION = make_session()
TABLE = batching.session_table([make_session("other"), SESSION])


@pytest.mark.parametrize(
    "session, words",
    [
        (make_session(bin_size_s=0.05), "session rat has bins of 50 ms, the weights were trained on 20 ms"),
        (make_session(num_bins=7), "session rat has trials of up to 7 bins, the weights learned 6 positions"),
        (make_session("mouse"), "session mouse is not among the 2"),
        (dataclasses.replace(SESSION, unit_id=np.asarray(["a", "b", "c"])), "session rat has other units"),
    ],
)
def test_what_does_not_belong_is_refused(session, words):
    with pytest.raises(InputError, match=words):
        belongs.layout([SESSION, session], TABLE, 0.02, 6)


def test_what_belongs_finds_its_rows():
    found = belongs.layout([SESSION], TABLE, 0.02, 6)
    assert found.first_row.tolist() == [3] and found.session_row.tolist() == [1]
    # 20 / 1000 and 0.02 + 1e-12 are the same width, whoever wrote it.
    belongs.layout([dataclasses.replace(SESSION, bin_size_s=0.02 + 1e-12)], TABLE, 20 / 1000, 6)


def test_only_learned_positions_bound_the_length_of_a_trial():
    assert belongs.longest_trial({"positions": "learned"}, 6) == 6
    assert belongs.longest_trial({"positions": "rotary"}, 6) is None
    assert belongs.longest_trial({}, 6) is None  # a recurrent network has no positions
    longer = make_session(num_bins=9)
    assert belongs.layout([longer], TABLE, 0.02, None).num_bins == 9


def test_signals_are_told_of_samples_and_channels():
    windows = {"trial_start_bin": [0, 10, 20], "trial_num_bins": 10, "split": [0, 1, 2]}
    arm = from_values(np.ones((30, 3)), sampling_hz=500, unit="uV", session_id="arm", **windows)
    with pytest.raises(InputError, match="arm has samples of 2 ms, .* on 5 ms; resample it to 200 Hz and convert"):
        belongs.require_same_bins([arm], 0.005, None)
    with pytest.raises(InputError, match="session arm has 3 channels, the weights were trained on 8"):
        belongs.require_same_channels([arm], 8)
    belongs.require_same_channels([arm], 3)
    belongs.require_same_channels([SESSION], 0)
