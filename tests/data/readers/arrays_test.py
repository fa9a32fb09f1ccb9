import sys

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from neurojax.data.checks.check import check_dataset
from neurojax.data.conversion import convert_session
from neurojax.data.readers.arrays import read_session
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.session_format import open_session
from neurojax.errors import InputError

RNG = np.random.default_rng(0)
TRIALS, BINS, UNITS = 30, 8, 5
GOOD = {
    "counts": RNG.poisson(0.4, (TRIALS, BINS, UNITS)).astype(np.uint8),
    "bin_size_s": 0.01,
    "unit_region": np.array(["CA1", "CA1", "VISp", "root", "DG"]),
    "choice": RNG.integers(0, 2, TRIALS).astype(np.int8),
    "wheel": RNG.normal(size=(TRIALS, BINS)),
    "pupil": RNG.normal(size=(TRIALS * BINS, 2)),
    "unit_depth_um": RNG.normal(size=UNITS),
    "subject": "Cori",
    "weight_g": 21.5,
}
FLAT = {"counts": GOOD["counts"].reshape(-1, UNITS), "bin_size_s": 0.01}
SPIKES = {
    "spike_times_s": np.sort(RNG.uniform(0, 60, 2000)),
    "spike_units": RNG.integers(0, UNITS, 2000),
    "trial_start_s": np.arange(TRIALS) * 2.0,
    "trial_stop_s": np.arange(TRIALS) * 2.0 + 1.5,
}


def save(folder, arrays, name="s1.npz"):
    np.savez(folder / name, **arrays)
    return folder / name


def read(folder, arrays, **options):
    return read_session(str(save(folder, arrays)), ReadSpec(**options))


def test_every_array_finds_its_place(tmp_path):
    session = read(tmp_path, GOOD)
    assert session.session_id == "s1" and session.bin_size_s == 0.01
    np.testing.assert_array_equal(session.counts, FLAT["counts"])
    np.testing.assert_array_equal(session.conditions["choice"], GOOD["choice"])
    np.testing.assert_allclose(session.behaviour["wheel"][BINS : 2 * BINS, 0], GOOD["wheel"][1], rtol=1e-6)
    np.testing.assert_allclose(session.behaviour["pupil"], GOOD["pupil"], rtol=1e-6)
    np.testing.assert_array_equal(session.unit_metadata["depth_um"], GOOD["unit_depth_um"])
    assert session.conditions.keys() == {"choice"} and session.behaviour.keys() == {"wheel", "pupil"}
    assert session.info["subject_id"] == "Cori" and session.info["notes"] == {"weight_g": 21.5}
    assert session.info["split_source"] == "random" and session.info["split_seed"] == 0


def test_a_stored_split_is_honoured_unless_another_is_asked_for(tmp_path):
    split = np.repeat([2, 0, 1], 10)
    session = read(tmp_path, GOOD | {"split": split})
    np.testing.assert_array_equal(session.split, split)
    assert session.info["split_source"] == "file" and "split_seed" not in session.info
    assert (read(tmp_path, GOOD | {"split": split}, split="random").split != split).any()
    blocks = read(tmp_path, GOOD | {"trial_start_s": np.arange(TRIALS) * 10.0}, split="blocks:30s")
    assert all(len(set(blocks.split[k : k + 3])) == 1 for k in range(0, TRIALS, 3))
    assert blocks.info["split_source"] == "blocks:30s"


def test_bins_merge_by_whole_multiples(tmp_path):
    session = read(tmp_path, GOOD, bin_ms=30)  # 8 bins: two of three, two left over
    expected = GOOD["counts"][:, :6].reshape(TRIALS, 2, 3, UNITS).sum(2)
    np.testing.assert_array_equal(session.counts, expected.reshape(-1, UNITS))
    wheel = GOOD["wheel"][:, :6].reshape(TRIALS, 2, 3).mean(2).reshape(-1, 1)
    np.testing.assert_allclose(session.behaviour["wheel"], wheel, rtol=1e-5)
    assert session.bin_size_s == 0.03
    assert session.info["bins_merged"] == 3 and session.info["bins_dropped"] == 2 * TRIALS
    np.testing.assert_allclose(session.trial_start_s, np.arange(TRIALS) * 0.08)


def test_ragged_trials_and_their_times(tmp_path):
    offsets = np.array([0, 4, 9, 100, TRIALS * BINS])
    times = 5.0 + np.arange(TRIALS * BINS) * 0.01
    times[100:] += 3
    session = read(tmp_path, FLAT | {"trial_offsets": offsets, "bin_times_s": times, "target": [1, 2, 3, 4]}, bin_ms=20)
    np.testing.assert_array_equal(session.trial_num_bins, [2, 2, 45, 70])
    np.testing.assert_allclose(session.trial_start_s, [5.0, 5.04, 5.09, 9.0])
    np.testing.assert_array_equal(session.counts[2], FLAT["counts"][4:6].sum(0))
    np.testing.assert_array_equal(session.counts[4], FLAT["counts"][9:11].sum(0))  # never across a trial's edge


def test_a_recording_without_trials_is_cut_into_windows(tmp_path):
    flat = FLAT | {"position": np.arange(240.0)}
    session = read(tmp_path, flat, window_s=0.5, bin_ms=20)
    np.testing.assert_array_equal(session.trial_num_bins, [25] * 4)
    np.testing.assert_array_equal(session.counts[25], FLAT["counts"][50:52].sum(0))
    np.testing.assert_allclose(session.behaviour["position"][:2, 0], [0.5, 2.5])
    assert session.info["bins_dropped"] == 40


def test_a_mask_belongs_to_its_behaviour(tmp_path):
    mask = np.ones(TRIALS * BINS, bool)
    mask[:16] = False
    session = read(tmp_path, GOOD | {"pupil_valid": mask}, bin_ms=20)
    np.testing.assert_array_equal(session.behaviour_valid["pupil"], mask.reshape(-1, 2).all(1))


def test_trial_arrays_of_two_axes_become_columns(tmp_path):
    session = read(tmp_path, GOOD | {"target_xy": RNG.normal(size=(TRIALS, 2))})
    assert session.conditions.keys() == {"choice", "target_xy_0", "target_xy_1"}


def test_spike_times_are_cut_at_trials_events_or_windows(tmp_path):
    by_trial = read(tmp_path, SPIKES | {"side": np.arange(TRIALS)})
    assert by_trial.bin_size_s == 0.02 and by_trial.counts.shape == (TRIALS * 75, UNITS)
    inside = (SPIKES["spike_times_s"] % 2) < 1.5
    assert by_trial.counts.sum() == inside.sum() and by_trial.conditions.keys() == {"side"}

    by_event = read(tmp_path, SPIKES, align="trial_start_s", window=(-0.5, 1.0), bin_ms=50)
    np.testing.assert_array_equal(by_event.trial_num_bins, [30] * TRIALS)
    np.testing.assert_allclose(by_event.trial_start_s, SPIKES["trial_start_s"] - 0.5)

    times = {name: SPIKES[name] for name in ("spike_times_s", "spike_units")}
    by_window = read(tmp_path, times | {"unit_region": ["CA1"] * 7}, window_s=1.0)
    assert by_window.counts.shape == (59 * 50, 7)


GO = np.arange(0, 58, 0.2)  # windows of one second share four fifths of their time
EVENTS = {"spike_times_s": SPIKES["spike_times_s"], "spike_units": SPIKES["spike_units"], "go": GO}


@pytest.mark.parametrize("extra, split", [({}, "file"), ({"split": np.arange(len(GO)) % 3}, "random")])
def test_a_random_split_of_windows_that_share_time_is_refused(tmp_path, extra, split):
    with pytest.raises(InputError, match="289 of 290 trials run.*--split=blocks:300s, or take a shorter --window"):
        read(tmp_path, EVENTS | extra, align="go", window=(0, 1), split=split)
    assert read(tmp_path, EVENTS | extra, align="go", window=(0, 0.2), split=split).num_trials == len(GO)


def test_blocks_lose_the_windows_that_reach_into_another_split(tmp_path):
    side = np.arange(len(GO))
    session = read(tmp_path, EVENTS | {"side": side}, align="go", window=(0, 1), split="blocks:5s")
    facts = check_dataset(dataset_of([session]))["sessions"]["s1"]
    assert facts["overlapping_trials_across_splits"] == 0 and not facts["errors"]
    dropped = session.info["trials_dropped"]["reach into another split"]
    assert session.num_trials == len(GO) - dropped and 0 < dropped <= 4 * 11  # four at each edge
    kept = session.conditions["side"]
    np.testing.assert_allclose(session.trial_start_s, GO[kept])
    for trial in (0, 100, session.num_trials - 1):
        begin = session.trial_start_s[trial]
        inside = (EVENTS["spike_times_s"] >= begin) & (EVENTS["spike_times_s"] < begin + 1)
        rows = session.counts[session.trial_start_bin[trial] :][: session.trial_num_bins[trial]]
        np.testing.assert_array_equal(rows.sum(0), np.bincount(EVENTS["spike_units"][inside], minlength=UNITS))
    with pytest.raises(InputError, match="blocks:0.2s leaves no trial for .*take longer blocks"):
        read(tmp_path, EVENTS, align="go", window=(0, 10), split="blocks:0.2s")


def test_spikes_at_nan_are_left_out_and_what_is_odd_is_kept_in_the_record(tmp_path):
    times = SPIKES["spike_times_s"].copy()
    times[[3, 7]] = np.nan
    times[5] = -1.0
    session = read(tmp_path, SPIKES | {"spike_times_s": times})
    assert session.info["spikes_dropped"] == {"time is not finite": 2}
    assert session.info["findings"]["negative spike times"] == 1
    whole = read(tmp_path, SPIKES)
    assert session.counts.sum() == whole.counts.sum() - 3


def test_options_and_file_leave_their_mark(tmp_path):
    path = str(save(tmp_path, GOOD))
    first = open_session(convert_session(path, out=tmp_path / "a"))
    second = open_session(convert_session(path, ReadSpec(bin_ms=20), out=tmp_path / "b"))
    assert first.info["source"]["sha256"] == second.info["source"]["sha256"]
    assert first.info["source"]["spec_sha256"] != second.info["source"]["spec_sha256"]
    assert (first.info["source"]["kind"], first.info["source"]["file"]) == ("arrays", "s1.npz")


def test_matlab_file_gives_the_same_session(tmp_path):
    cells = np.array(GOOD["unit_region"].tolist(), dtype=object)
    scipy.io.savemat(tmp_path / "s1.mat", GOOD | {"unit_region": cells}, oned_as="column", do_compression=True)
    session, expected = read_session(str(tmp_path / "s1.mat"), ReadSpec()), read(tmp_path, GOOD)
    np.testing.assert_array_equal(session.counts, expected.counts)
    np.testing.assert_array_equal(session.region, expected.region)
    np.testing.assert_array_equal(session.conditions["choice"], expected.conditions["choice"])
    np.testing.assert_array_equal(session.behaviour["pupil"], expected.behaviour["pupil"])
    assert session.info["subject_id"] == "Cori" and session.bin_size_s == 0.01


@pytest.mark.parametrize("arrays", [SPIKES, FLAT | {"trial_offsets": np.r_[0:90:3, 240]}], ids=["spikes", "offsets"])
def test_matlab_doubles_of_whole_numbers_are_taken(tmp_path, arrays):
    arrays = arrays | {"split": np.arange(TRIALS) % 3}
    doubles = {name: np.asarray(values, float) for name, values in arrays.items()}
    scipy.io.savemat(tmp_path / "s1.mat", doubles)
    session, expected = read_session(str(tmp_path / "s1.mat"), ReadSpec()), read(tmp_path, arrays)
    np.testing.assert_array_equal(session.counts, expected.counts)
    np.testing.assert_array_equal(session.trial_num_bins, expected.trial_num_bins)
    np.testing.assert_array_equal(session.split, arrays["split"])
    assert session.counts.shape[1] == UNITS


def test_matlab_sparse_counts_and_single_unit(tmp_path):
    dense = FLAT["counts"][:, :1].astype(float)
    offsets = np.array([0, 100, 150, 240])
    scipy.io.savemat(
        tmp_path / "s1.mat",
        {"counts": scipy.sparse.csc_matrix(dense), "bin_size_s": 0.01, "trial_offsets": offsets},
    )
    np.testing.assert_array_equal(read_session(str(tmp_path / "s1.mat"), ReadSpec()).counts, dense)


def _save_hdf5(path):
    """What MATLAB's save -v7.3 leaves: axes reversed, text as UTF-16 codes, cells as references."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:

        def put(name, values, kind):
            file.create_dataset(name, data=values).attrs["MATLAB_class"] = np.bytes_(kind)
            return file[name].ref

        put("counts", GOOD["counts"].T, "uint8")
        put("bin_size_s", [[0.01]], "double")
        put("choice", GOOD["choice"][None], "int8")
        put("subject", np.array([[ord(letter)] for letter in "Cori"], np.uint16), "char")
        cells = [
            put(f"#refs#/{i}", np.array([[ord(letter)] for letter in region], np.uint16), "char")
            for i, region in enumerate(GOOD["unit_region"])
        ]
        put("unit_region", np.array([cells], dtype=h5py.ref_dtype), "cell")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(128))


def test_matlab_v73_file_gives_the_same_session(tmp_path):
    _save_hdf5(tmp_path / "s1.mat")
    session, expected = read_session(str(tmp_path / "s1.mat"), ReadSpec()), read(tmp_path, GOOD)
    np.testing.assert_array_equal(session.counts, expected.counts)
    np.testing.assert_array_equal(session.region, expected.region)
    np.testing.assert_array_equal(session.conditions["choice"], expected.conditions["choice"])
    assert session.info["subject_id"] == "Cori"


def test_matlab_v73_without_h5py_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "s1.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r'pip install "neurojax\[nwb\]"'):
        read_session(str(tmp_path / "s1.mat"), ReadSpec())


def without(arrays, *names):
    return {name: values for name, values in arrays.items() if name not in names}


SQUARE = {"counts": np.ones((6, 4, 6), int), "bin_size_s": 0.01, "x": np.arange(6)}
ONE_BIN = {"counts": np.ones((6, 1, 3), int), "bin_size_s": 0.01, "x": np.arange(6)}
BAD = {
    "no_counts": (without(GOOD, "counts"), {}, "expected counts, or spike_times_s"),
    "both_kinds": (GOOD | SPIKES, {}, "both counts and spike times"),
    "no_bin_size": (without(GOOD, "bin_size_s"), {}, "without bin_size_s"),
    "bin_in_ms": (GOOD | {"bin_size_s": 10}, {}, "bin_size_s is 10, expected seconds"),
    "bin_negative": (GOOD | {"bin_size_s": -0.01}, {}, "bin_size_s is -0.01"),
    "bin_many": (GOOD | {"bin_size_s": [0.01, 0.02]}, {}, r"bin_size_s is \[0.01 0.02\]"),
    "rank": (GOOD | {"counts": np.zeros(5)}, {}, r"shape \[5\]"),
    "nan": (GOOD | {"counts": GOOD["counts"] * np.nan}, {}, "NaN throughout"),
    "infinite": (GOOD | {"counts": np.where(GOOD["counts"] > 1, np.inf, GOOD["counts"])}, {}, "infinite values"),
    "negative": (GOOD | {"counts": GOOD["counts"].astype(int) - 1}, {}, "holds -1"),
    "float": (GOOD | {"counts": GOOD["counts"] / 2}, {}, "holds 0.5"),
    "text": (GOOD | {"counts": GOOD["counts"].astype(str)}, {}, "expected whole numbers"),
    "no_units": (without(GOOD | {"counts": GOOD["counts"][..., :0]}, "unit_region"), {}, r"\[30, 8, 0\]"),
    "pickled": (GOOD | {"extra": np.array([{"a": 1}], object)}, {}, "'extra': pickled objects"),
    "one_trial": ({"counts": GOOD["counts"][:1], "bin_size_s": 0.01}, {}, "1 trial, expected at least 3"),
    "split_values": (GOOD | {"split": np.arange(TRIALS)}, {}, r"split holds \[3, 4, 5\]"),
    "split_no_test": (GOOD | {"split": np.repeat([0, 1], 15)}, {}, "split has no test trial"),
    "split_no_train": (GOOD | {"split": np.full(TRIALS, 2)}, {}, "split has no train trial"),
    "split_length": (GOOD | {"split": np.array([0, 1, 2])}, {}, "split has 3 values, but there are 30 trials"),
    "split_short": (GOOD | {"split": np.zeros(29)}, {}, "split has 29 values, but there are 30 trials"),
    "split_part": (GOOD | {"split": np.full(TRIALS, 0.5)}, {}, r"split holds \[0.5, 0.5, 0.5\]"),
    "split_text": (GOOD | {"split": np.array(["train"] * TRIALS)}, {}, "'train'"),
    "regions": (GOOD | {"unit_region": np.array(["CA1"])}, {}, r"region is <U3 \[1\], expected \[5\]"),
    "offsets": (FLAT | {"trial_offsets": [0, 5, 500]}, {}, "from 0 to 500"),
    "offsets_part": (FLAT | {"trial_offsets": [0, 5.5, 240]}, {}, "trial_offsets holds 5.5, expected integers"),
    "offsets_nan": (FLAT | {"trial_offsets": [0, np.nan, 240]}, {}, "trial_offsets holds nan, expected integers"),
    "offsets_text": (FLAT | {"trial_offsets": ["0", "240"]}, {}, "trial_offsets is <U3, expected integers"),
    "no_trials": (FLAT, {}, r"\[240, 5\] has no trials.*--window_s"),
    "window_short": (FLAT, {"window_s": 10}, "240 bins are shorter than one window of 1000"),
    "window_part": (FLAT, {"window_s": 0.055}, "window_s=0.055 is 5.5 bins of 10 ms"),
    "window_bins": (FLAT, {"window_s": 0.05, "bin_ms": 20}, "2.5 bins of 20 ms"),
    "window_trials": (GOOD, {"window_s": 0.5}, "but this one has trials"),
    "bin_ms_part": (GOOD, {"bin_ms": 15}, "bin_ms=15 is 1.5 bins of 10 ms"),
    "bin_ms_finer": (GOOD, {"bin_ms": 5}, "bin_ms=5 is 0.5 bins"),
    "bin_ms_longer": (GOOD, {"bin_ms": 100}, "trial 0 has 8 bins, fewer than the 10"),
    "align_counts": (GOOD, {"align": "choice", "window": (-1, 1)}, "needs spike_times_s"),
    "trials_or_units": (SQUARE, {}, r"'x' of shape \[6\] could be one value each of trials or units"),
    "trials_or_bins": (ONE_BIN, {}, "could be one value each of bins or trials.*trial_columns"),
    "trials_or_bins_2d": (
        ONE_BIN | {"x": np.ones((6, 1))},
        {},
        r"\[6, 1\] could be one value each of bins or trials",
    ),
    "no_meaning": (
        GOOD | {"waveforms": np.zeros((UNITS, 82))},
        {"strict": True},
        r"'waveforms' of shape \[5, 82\] has no known",
    ),
    "wrong_length": (GOOD | {"reward": np.zeros(29)}, {"strict": True}, r"'reward' of shape \[29\]"),
    "not_there": (GOOD, {"behavior": ("speed",)}, "behavior names 'speed'"),
    "behavior_length": (
        GOOD,
        {"behavior": ("choice",)},
        r"behavior 'choice' has shape \[30\], expected \[240 bins",
    ),
    "column_length": (
        GOOD,
        {"trial_columns": ("pupil",)},
        r"'pupil' has shape \[240, 2\], expected \[30 trials\]",
    ),
    "column_rank": (
        GOOD | {"image": np.zeros((TRIALS, 64, 64))},
        {"strict": True},
        r"'image' has shape \[30, 64, 64\]",
    ),
    "metadata": (GOOD | {"unit_snr": np.zeros(3)}, {"strict": True}, "'unit_snr' is float64"),
    "mask_alone": (GOOD | {"choice_valid": np.ones(240, bool)}, {}, "'choice' is no behaviour"),
    "times_step": (GOOD | {"bin_times_s": np.arange(240).reshape(30, 8) * 0.02}, {}, "advances by 0.02 s"),
    "times_shape": (GOOD | {"bin_times_s": np.arange(8) * 0.01}, {}, r"bin_times_s has shape \[8\]"),
    "times_nan": (GOOD | {"bin_times_s": np.full((30, 8), np.nan)}, {}, "no NaN"),
    "starts_length": (GOOD | {"trial_start_s": np.zeros(7)}, {}, r"trial_start_s is float64 \[7\]"),
    "id": (GOOD, {"split": "blocks:1s"}, "leaves none for .*; take shorter blocks, such as --split=blocks:"),
    "spikes_alone": (without(SPIKES, "spike_units"), {}, "lacks spike_units"),
    "spikes_lengths": (SPIKES | {"spike_units": [1, 2]}, {}, r"\(2000,\) and spike_units \(2,\)"),
    "spikes_part": (SPIKES | {"spike_units": np.full(2000, 1.5)}, {}, "spike_units holds 1.5, expected whole"),
    "spikes_inf": (SPIKES | {"spike_units": np.full(2000, np.inf)}, {}, "spike_units holds inf, expected whole"),
    "spikes_text": (SPIKES | {"spike_units": np.full(2000, "a")}, {}, "spike_units is <U1, expected whole"),
    "spikes_nan": (SPIKES | {"spike_times_s": np.full(2000, np.nan)}, {}, "2000 non-finite"),
    "spikes_from_one": (SPIKES | {"unit_id": np.arange(4)}, {}, "0 to 4, expected rows 0 to 3"),
    "spikes_no_stop": (without(SPIKES, "trial_stop_s"), {}, "lacks trial_stop_s"),
    "spikes_no_trials": (without(SPIKES, "trial_stop_s", "trial_start_s"), {}, "without trials"),
    "spikes_stop": (SPIKES | {"trial_stop_s": SPIKES["trial_start_s"]}, {}, "trials last 0 to 0 s"),
    "spikes_ms": (
        SPIKES | {"trial_stop_s": SPIKES["trial_start_s"] + 1e9},
        {},
        r"trials last 1e\+09 to 1e\+09 s.*time unit",
    ),
    "spikes_align": (SPIKES, {"align": "cue", "window": (0, 1)}, "align names 'cue'"),
    "spikes_event": (
        SPIKES | {"cue": np.full(30, np.nan)},
        {"align": "cue", "window": (0, 1)},
        "cue is float64",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(tmp_path, case):
    arrays, options, message = BAD[case]
    path = save(tmp_path, arrays)
    with pytest.raises(InputError, match=message) as raised:
        read_session(str(path), ReadSpec(**options))
    assert "\n" not in str(raised.value)
    assert "s1" in str(raised.value)  # which file or session


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bin_ms": 0}, "bin_ms=0"),
        ({"bin_ms": float("nan")}, "bin_ms=nan"),
        ({"window_s": -1}, "window_s=-1"),
        ({"align": "cue"}, "give both"),
        ({"window": (0, 1)}, "give both"),
        ({"align": "cue", "window": (1, 0)}, "two rising numbers"),
        ({"align": "cue", "window": (0, 1), "window_s": 1}, "give one"),
        ({"behavior": ("x",), "trial_columns": ("x",)}, "'x' is named in both"),
        ({"split": "blocks"}, "split='blocks'"),
        ({"split": "blocks:-3s"}, "blocks:<seconds>s"),
        ({"split": "none"}, "expected file, random"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        ReadSpec(**options)


def test_naming_settles_an_ambiguous_array(tmp_path):
    assert read(tmp_path, SQUARE, trial_columns=("x",)).conditions.keys() == {"x"}
    assert read(tmp_path, ONE_BIN, behavior=("x",)).behaviour.keys() == {"x"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s1.npz", b"", "cannot be read as .npz"),
        ("s1.npz", b"PK\x03\x04 nothing", "cannot be read as .npz"),
        ("s1.mat", b"", "cannot be read as .mat"),
        (
            "s1.mat",
            b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"\xff" * 64,
            "cannot be read as .mat",
        ),
        ("s1.csv", b"1,2", "'.csv', expected .npz or .mat"),
        ("bad name.npz", b"", "bad name.npz cannot be read as .npz"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_session(str(tmp_path / name), ReadSpec())


def test_missing_and_truncated_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.npz does not exist"):
        read_session(str(tmp_path / "none.npz"), ReadSpec())
    path = save(tmp_path, GOOD)
    content = path.read_bytes()
    for length in (100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"s1\.npz cannot be read as \.npz"):
            read_session(str(path), ReadSpec())


def test_matlab_structs_and_mixed_cells_are_refused(tmp_path):
    for extra in ({"a": 1.0}, np.array(["x", 3.0], dtype=object)):
        scipy.io.savemat(tmp_path / "s1.mat", FLAT | {"params": extra})
        with pytest.raises(InputError, match="'params' is a"):
            read_session(str(tmp_path / "s1.mat"), ReadSpec())


@pytest.mark.parametrize("lasting", [0.0, 0.015, -3.0])
def test_single_trials_that_hold_no_bin_leave_alone(tmp_path, lasting):
    number = len(SPIKES["trial_start_s"])
    stops = np.array(SPIKES["trial_stop_s"], float)
    stops[[1, 4]] = np.asarray(SPIKES["trial_start_s"])[[1, 4]] + lasting
    arrays = SPIKES | {"trial_stop_s": stops, "x": np.arange(number)}
    session = read_session(str(save(tmp_path, arrays)), ReadSpec())
    assert session.info["trials_dropped"] == {"shorter than one bin": 2}
    np.testing.assert_array_equal(session.conditions["x"], np.delete(np.arange(number), [1, 4]))
    whole = read_session(str(save(tmp_path, SPIKES)), ReadSpec())
    rows = np.repeat(np.isin(np.arange(number), session.conditions["x"]), whole.trial_num_bins)
    np.testing.assert_array_equal(session.counts, whole.counts[rows])


@pytest.mark.parametrize("shape", [(-1, 1), (1, -1)])
def test_vectors_may_be_columns_or_rows(tmp_path, shape):
    whole = read_session(str(save(tmp_path, SPIKES)), ReadSpec())
    arrays = {name: np.asarray(values).reshape(shape) for name, values in SPIKES.items() if np.ndim(values) == 1}
    assert len(arrays) >= 4
    session = read_session(str(save(tmp_path, SPIKES | arrays)), ReadSpec())
    np.testing.assert_array_equal(session.counts, whole.counts)
    np.testing.assert_array_equal(session.trial_start_s, whole.trial_start_s)
    with pytest.raises(InputError, match="spike_times_s"):
        half = np.asarray(SPIKES["spike_times_s"]).reshape(-1, 2)
        read_session(str(save(tmp_path, SPIKES | {"spike_times_s": half})), ReadSpec())
