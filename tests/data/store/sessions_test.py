import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.data.splits import block_split, random_split
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(0.3, (20, 10, 5))


def build(counts=COUNTS, **fields):
    return from_counts(counts, **({"bin_size_s": 0.02, "session_id": "mouse-1"} | fields))


def test_trials_of_one_length_lie_end_to_end():
    behaviour = RNG.normal(size=(20, 10, 2))
    session = build(behaviour={"wheel": behaviour, "pupil": np.arange(200)}, region=["CA1", "CA3", "VISp", "root", ""])
    assert session.counts.dtype == np.uint8 and session.counts.shape == (200, 5)
    counts, bin_valid = session.gather_trials(np.array([3, 0]))
    np.testing.assert_array_equal(counts, COUNTS[[3, 0]])
    assert bin_valid.all()
    np.testing.assert_allclose(session.behaviour["wheel"][30:40], behaviour[3], rtol=1e-6)
    assert session.behaviour["pupil"].shape == (200, 1)
    np.testing.assert_allclose(session.trial_start_s, np.arange(20) * 0.2)
    assert session.region_source[0] == "file" and session.region_group[2] == "VISp"


def test_ragged_trials_follow_their_offsets():
    session = build(COUNTS.reshape(200, 5), trial_offsets=[0, 3, 100, 200])
    np.testing.assert_array_equal(session.trial_num_bins, [3, 97, 100])
    counts, bin_valid = session.gather_trials(np.array([0, 1]))
    np.testing.assert_array_equal(counts[0, :3], COUNTS.reshape(200, 5)[:3])
    assert counts.shape == (2, 97, 5) and bin_valid[0].sum() == 3 and counts[0, 3:].sum() == 0


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64, bool, ">u2"])
def test_whole_numbers_of_any_dtype_are_taken(dtype):
    session = build((COUNTS > 0).astype(dtype))
    np.testing.assert_array_equal(session.counts, (COUNTS > 0).reshape(200, 5))
    assert session.counts.dtype == np.uint8


def test_large_counts_become_uint16():
    assert build(COUNTS + 300).counts.dtype == np.uint16


def test_a_session_is_reachable_from_its_type():
    session = Session.from_counts(COUNTS, bin_size_s=0.02, session_id="a")
    assert isinstance(session, Session) and session.num_trials == 20


def test_random_split_is_recorded_and_repeatable():
    first, again, other = build(), build(), build(split_seed=1)
    np.testing.assert_array_equal(first.split, again.split)
    assert (first.split != other.split).any()
    assert first.info["split_seed"] == 0 and other.info["split_seed"] == 1
    assert np.bincount(first.split).tolist() == [14, 2, 4]
    assert "split_seed" not in build(split=np.zeros(20, int)).info


@pytest.mark.parametrize("num_trials", [3, 4, 9, 1000])
def test_random_split_has_each_part(num_trials):
    sizes = np.bincount(random_split(num_trials, 0, "x"), minlength=3)
    assert sizes.min() >= 1 and sizes[TRAIN] >= sizes[VALIDATION]


def test_blocks_stay_whole_and_interleave():
    starts = np.sort(RNG.uniform(0, 6000, 400)) + 50
    split = block_split(starts, 300.0, "x")
    block = np.floor((starts - starts.min()) / 300).astype(int)
    by_block = [set(split[block == index]) for index in range(20)]
    assert all(len(members) == 1 for members in by_block)
    np.testing.assert_allclose(np.bincount(split) / 400, [0.7, 0.1, 0.2], atol=0.06)
    tests = [index for index, members in enumerate(by_block) if members == {TEST}]
    assert min(tests) < 10 <= max(tests)  # early and late, not one piece


def test_invalid_behaviour_is_masked_not_refused():
    values = np.ones(200)
    values[7] = np.nan
    session = build(behaviour={"pupil": values})
    np.testing.assert_array_equal(np.flatnonzero(~session.behaviour_valid["pupil"]), [7])


FLOATS = COUNTS.astype(float)
BAD = {
    "id_slash": ({"session_id": "../up"}, r"'\.\./up'.*letters, digits"),
    "id_empty": ({"session_id": ""}, "session id ''"),
    "id_hidden": ({"session_id": ".hidden"}, "'.hidden'"),
    "id_newline": ({"session_id": "a\n"}, "session id"),
    "id_long": ({"session_id": "a" * 200}, "1 to 128"),
    "rank_1": ({"counts": COUNTS[0, 0]}, r"shape \[5\], expected \[trials, bins, units\]"),
    "rank_4": ({"counts": COUNTS[None]}, r"shape \[1, 20, 10, 5\]"),
    "no_units": ({"counts": COUNTS[..., :0]}, r"\[20, 10, 0\]"),
    "no_trials": ({"counts": COUNTS[:0]}, r"\[0, 10, 5\]"),
    "nan": ({"counts": np.full_like(FLOATS, np.nan)}, "NaN throughout"),
    "infinite": ({"counts": FLOATS + np.inf}, "1000 NaN or infinite"),
    "fractional": ({"counts": FLOATS + 0.5}, r"0\.5.*whole numbers"),
    "negative": ({"counts": COUNTS - 3}, "holds -3, expected 0 or more"),
    "too_many": ({"counts": COUNTS + 65536}, "at most 65535"),
    "text": ({"counts": COUNTS.astype(str)}, "<U21, expected whole numbers"),
    "objects": ({"counts": np.full((20, 10, 5), object(), object)}, "holds object objects, expected numbers"),
    "ragged_list": ({"counts": [[[1], [2, 3]]]}, "ragged"),
    "complex": ({"counts": COUNTS * 1j}, "complex128"),
    "bin_ms": ({"bin_size_s": 20}, "bin_size_s is 20, expected seconds"),
    "bin_zero": ({"bin_size_s": 0.0}, "bin_size_s is 0.0"),
    "bin_nan": ({"bin_size_s": float("nan")}, "bin_size_s is nan"),
    "bin_text": ({"bin_size_s": "20ms"}, "bin_size_s is 20ms"),
    "no_offsets": ({"counts": COUNTS[0]}, "without trial_offsets"),
    "two_trial_axes": ({"trial_offsets": [0, 200]}, "trial_offsets came with counts"),
    "offsets_end": ({"counts": COUNTS[0], "trial_offsets": [0, 5, 11]}, "from 0 to 11.*10"),
    "offsets_start": ({"counts": COUNTS[0], "trial_offsets": [1, 5, 10]}, "from 1 to 10"),
    "offsets_fall": ({"counts": COUNTS[0], "trial_offsets": [0, 7, 3, 10]}, "no trial empty"),
    "offsets_repeat": ({"counts": COUNTS[0], "trial_offsets": [0, 5, 5, 10]}, "no trial empty"),
    "offsets_float": ({"counts": COUNTS[0], "trial_offsets": [0.0, 2.5, 10.0]}, "trial_offsets holds 2.5"),
    "starts_short": ({"trial_start_s": np.arange(19.0)}, r"trial_start_s is float64 \[19\], expected \[20\]"),
    "starts_nan": ({"trial_start_s": np.full(20, np.nan)}, "no NaN"),
    "regions_short": ({"region": ["CA1"] * 4}, r"region is .*\[4\], expected \[5\]"),
    "unit_ids_twice": ({"unit_id": [1, 1, 2, 3, 4]}, "4 names for 5 units"),
    "split_value": ({"split": [3] * 20}, r"split holds \[3, 3, 3\]"),
    "split_half": ({"split": [0.5] * 20}, r"split holds \[0\.5"),
    "split_text": ({"split": ["train"] * 20}, "'train'"),
    "split_length": ({"split": [0, 1, 2]}, r"split is int8 \[3\], expected \[20\]"),
    "two_trials": ({"counts": COUNTS[:2]}, "2 trials, expected at least 3"),
    "condition_length": ({"conditions": {"side": [1, 2]}}, r"side is int64 \[2\], expected \[20\]"),
    "condition_reserved": ({"conditions": {"split": [1] * 20}}, "'split' is used by the format"),
    "condition_name": ({"conditions": {"../x": [1] * 20}}, "'../x'"),
    "condition_lists": ({"conditions": {"side": [[1], [2, 3]] * 10}}, "ragged"),
    "behaviour_length": (
        {"behaviour": {"wheel": np.zeros(199)}},
        r"\[199, 1\], expected float32 \[200, dims\]",
    ),
    "behaviour_text": ({"behaviour": {"wheel": ["x"] * 200}}, "expected numbers"),
    "behaviour_valid": ({"behaviour_valid": {"wheel": np.ones(200, bool)}}, "same names"),
    "behaviour_name": ({"behaviour": {"a_valid": np.zeros(200)}}, "ends in '_valid'"),
    "metadata": ({"unit_metadata": {"depth_um": np.zeros(4)}}, r"depth_um is float64 \[4\], expected \[5\]"),
    "rates_shape": ({"true_rates": np.ones((20, 10, 4))}, r"\[20, 10, 4\]"),
    "rates_negative": ({"true_rates": -np.ones((20, 10, 5))}, "0 or more"),
    "info_nan": ({"info": {"weight_g": float("nan")}}, "not JSON"),
    "info_reserved": ({"info": {"schema": 2}}, "reserved keys"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case):
    fields, message = BAD[case]
    with pytest.raises(InputError, match=message) as raised:
        build(**fields)
    assert "\n" not in str(raised.value)
