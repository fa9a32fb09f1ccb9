import csv
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.commands.convert import convert
from neurojax.data.checks.check import check_dataset
from neurojax.data.checks.findings import PART_LEFT_OUT
from neurojax.data.readers.emg import find, read_session, segment_windows, source_sha256
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.dataset import open_dataset
from neurojax.errors import InputError

LENGTHS = (100, 51, 75, 52)  # of the segments, samples; one is shorter than a window of 52


def arrays(seed=0, **fields):
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    return {
        "emg": np.random.default_rng(seed).integers(-128, 128, (offsets[-1], 3)).astype(np.int8),
        "segment_offsets": offsets,
        "gesture": np.array([2, 0, 1, 0], np.int8),
        "repetition": np.array([0, 1, 2, 3], np.int8),
        "gesture_names": np.array(["rest", "fist", "open"]),
        "sampling_rate_hz": np.float64(200),
        "sex": np.array("female"),
    } | fields


def write_people(folder, folds=None, **fields):
    """people.csv and one file a person, whose fold is its place."""
    names = [f"p{number}" for number in range(5)] if folds is None else list(folds)
    for number, name in enumerate(names):
        np.savez(folder / f"{name}.npz", **arrays(number, **fields))
    with (folder / "people.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "sex", "fold"])
        writer.writerows([name, "x", number] for number, name in enumerate(names))
    return folder


def test_windows_lie_within_their_segments():
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    start, segment = segment_windows(offsets, 52, 10)
    # 100 samples hold windows at 0, 10, .. 40; 51 none; 75 at 151, 161, 171; 52 one.
    assert start.tolist() == [0, 10, 20, 30, 40, 151, 161, 171, 226]
    assert segment.tolist() == [0] * 5 + [2] * 3 + [3]
    assert np.all(start >= offsets[segment]) and np.all(start + 52 <= offsets[segment + 1])
    assert segment_windows(offsets, 101, 10)[0].size == 0


def test_a_person_becomes_a_session_of_windows(tmp_path):
    np.savez(tmp_path / "p.npz", **arrays())
    session = read_session(str(tmp_path / "p.npz"), ReadSpec())
    assert (session.observation, session.sampling_hz, session.unit_of_values) == ("real", 200, "a.u.")
    np.testing.assert_array_equal(session.values, arrays()["emg"])
    assert session.num_trials == 9 and set(session.trial_num_bins) == {52}
    assert session.conditions["gesture"].tolist() == [2] * 5 + [1] * 3 + [0]
    assert session.conditions["segment"].tolist() == [0] * 5 + [2] * 3 + [3]
    assert session.conditions["repetition"].tolist() == [0] * 5 + [2] * 3 + [3]
    assert "round" not in session.conditions
    assert session.info["condition_names"] == {"gesture": ["rest", "fist", "open"]}
    assert session.info["trials_dropped"] == {"segment shorter than a window": 1}
    assert session.info["sex"] == "female" and session.info["species"] == "human"
    windows, _ = session.gather_trials(np.array([7]))
    np.testing.assert_array_equal(windows[0], arrays()["emg"][171:223])


def test_a_person_calibrates_in_the_first_round_and_is_tested_in_later_ones(tmp_path):
    """Segments of two windows: two gestures, two repetitions, two rounds; people.csv's fold is kept."""
    segments = np.arange(8)
    own = {"emg": np.zeros((8 * 62, 3), np.int8), "segment_offsets": np.arange(9) * 62, "gesture": segments % 2}
    own |= {"repetition": segments // 2 % 2, "round": 3 + segments // 4}
    write_people(tmp_path, **own)

    def found(**options):
        session = read_session(str(tmp_path / "p2.npz"), ReadSpec(options=tuple(options.items())))
        return dict(zip(session.conditions["segment"].tolist(), session.split.tolist(), strict=True)), session.info

    split, info = found(calibrate="1")
    assert split == {0: TRAIN, 1: TRAIN, 4: TEST, 5: TEST, 6: TEST, 7: TEST}
    assert info["trials_dropped"] == {"neither calibration nor test": 4} and info["fold"] == 2
    assert info["split_source"] == "time: 1 repetitions of the first round train, later rounds test"
    assert found(calibrate="2")[0] == {k: TRAIN if k < 4 else TEST for k in range(8)}
    np.savez(tmp_path / "p2.npz", **arrays(0, **own | {"round": np.zeros(8, int)}))
    assert found(calibrate="1")[0] == {k: TRAIN if k in (0, 1, 4, 5) else TEST for k in range(8)}
    for options, words in (
        ({"calibrate": "2"}, "calibrate=2 leaves nothing to test"),
        ({"calibrate": "0"}, "calibrate=0; expected a number of repetitions"),
        ({"calibrate": "1", "test_fold": "1"}, "test_fold=1 came with calibrate"),
    ):
        with pytest.raises(InputError, match=words):
            found(**options)
    np.savez(tmp_path / "p2.npz", **{k: v for k, v in arrays(0, **own).items() if k != "repetition"})
    with pytest.raises(InputError, match="has no repetition of its segments, which calibrate needs"):
        found(calibrate="1")


def test_window_and_step_can_be_chosen(tmp_path):
    np.savez(tmp_path / "p.npz", **arrays())
    spec = ReadSpec(options=(("window_ms", "500"), ("step_ms", "5"), ("consent", "open data")))
    session = read_session(str(tmp_path / "p.npz"), spec)
    assert session.trial_start_bin.tolist() == [0] and session.trial_num_bins.tolist() == [100]
    assert session.info["window_ms"] == 500 and session.info["step_ms"] == 5
    assert session.info["consent"] == "open data"


def test_people_are_split_by_their_fold(tmp_path):
    write_people(tmp_path).joinpath("LICENSE.source.txt").write_text("\n\n  MY LICENCE\n  Version 3\nrest")
    convert("emg", [tmp_path], tmp_path / "out", num_workers=0)
    dataset = open_dataset(tmp_path / "out", verify="full")
    splits = {session.session_id: set(session.split.tolist()) for session in dataset.sessions}
    assert splits == {"p0": {0}, "p1": {0}, "p2": {0}, "p3": {VALIDATION}, "p4": {TEST}}
    for session in dataset.sessions:
        assert "people.csv, fold 4 test" in session.info["split_source"]
        assert session.info["licence"] == "MY LICENCE, Version 3"
    assert check_dataset(dataset)["usable"]


@pytest.mark.parametrize(("fold", "expected"), [("0", [2, 0, 0, 0, 1]), ("2", [0, 1, 2, 0, 0])])
def test_any_fold_can_be_tested_and_the_one_before_it_validates(tmp_path, fold, expected):
    write_people(tmp_path)
    spec = ReadSpec(options=(("test_fold", fold),))
    paths = sorted(tmp_path.glob("*.npz"))
    assert [int(read_session(str(path), spec).split[0]) for path in paths] == expected
    for split in ("random", "file"):
        with pytest.raises(InputError, match="test_fold=" if split == "random" else "'7' among them"):
            read_session(str(paths[0]), ReadSpec(split=split, options=(("test_fold", "7"),)))


def test_without_folds_the_name_alone_decides(tmp_path):
    for number in range(60):
        np.savez(tmp_path / f"person{number}.npz", **arrays())
    paths = sorted(tmp_path.glob("*.npz"))
    codes = [int(read_session(str(path), ReadSpec()).split[0]) for path in paths]
    shares = np.bincount(codes, minlength=3) / 60
    np.testing.assert_allclose(shares, (0.6, 0.2, 0.2), atol=0.15)
    assert codes == [int(read_session(str(path), ReadSpec(split="random")).split[0]) for path in paths]
    # The same person is of the same split in another folder, whoever is beside them.
    (tmp_path / "other").mkdir()
    for path in paths[::4]:
        again = read_session(str(path.rename(tmp_path / "other" / path.name)), ReadSpec())
        assert again.split[0] == codes[paths.index(path)]
    assert "hash of the name" in again.info["split_source"]


def test_random_does_not_read_the_folds(tmp_path):
    write_people(tmp_path)
    names = [f"p{number}.npz" for number in range(5)]
    drawn = [read_session(str(tmp_path / n), ReadSpec(split="random")).split[0] for n in names]
    assert drawn != [TRAIN, TRAIN, TRAIN, VALIDATION, TEST]


def test_what_lies_beside_a_recording_is_part_of_its_source(tmp_path, capsys):
    write_people(tmp_path)
    out = tmp_path / "out"
    convert("emg", [tmp_path], out, num_workers=0)
    convert("emg", [tmp_path], out, num_workers=0)
    assert capsys.readouterr().out.count("unchanged, left alone") == 5
    before = source_sha256(str(tmp_path / "p0.npz"))
    table = tmp_path / "people.csv"
    table.write_text(table.read_text().replace("p0,x,0", "p0,x,4"))
    assert source_sha256(str(tmp_path / "p0.npz")) != before
    with pytest.raises(InputError, match="was made from another file"):
        convert("emg", [tmp_path], out, num_workers=0)
    convert("emg", [tmp_path], out, num_workers=0, overwrite=True)
    assert set(open_dataset(out).sessions[0].split) == {TEST}


BAD = {
    "no emg": ({"emg": None}, "lacks the array 'emg'"),
    "emg of one axis": ({"emg": np.zeros(278, np.int8)}, r"emg is int8 \[278\]"),
    "emg text": ({"emg": np.full((278, 3), "a")}, "emg is <U1"),
    "emg NaN": ({"emg": np.full((278, 3), np.nan)}, "NaN or infinity"),
    "emg empty": ({"emg": np.zeros((278, 0), np.int8)}, r"emg is int8 \[278, 0\]"),
    "offsets short": ({"segment_offsets": np.array([0, 100, 151, 226, 277])}, "to the 278 samples"),
    "offsets falling": ({"segment_offsets": np.array([0, 151, 100, 226, 278])}, "rising ones"),
    "offsets NaN": ({"segment_offsets": np.array([0, np.nan, 151, 226, 278])}, "holds nan"),
    "one offset": ({"segment_offsets": np.array([0])}, "holds 1 numbers"),
    "gestures too few": ({"gesture": np.array([0, 1])}, r"expected \[4\], one a segment"),
    "gesture without a name": ({"gesture": np.array([0, 1, 2, 3])}, "runs from 0 to 3, expected 0 to 2"),
    "gesture negative": ({"gesture": np.array([0, 1, -1, 2])}, "runs from -1"),
    "gesture 2**40": ({"gesture": np.array([0, 1, 2**40, 2])}, "expected numbers below 32768"),
    "gesture half": ({"gesture": np.array([0, 1, 0.5, 2])}, "holds 0.5"),
    "names twice": ({"gesture_names": np.array(["a", "a", "b"])}, "expected different names"),
    "rate zero": ({"sampling_rate_hz": np.float64(0)}, "expected a number above 0"),
    "rate text": ({"sampling_rate_hz": np.array("200")}, "expected a number above 0"),
    "windows too long": ({"segment_offsets": np.append(np.arange(0, 200, 50), 278)[[0, 1, 2, 3, 4]],
                          "emg": np.zeros((278, 3)), "sampling_rate_hz": np.float64(1000)}, "no segment is as long"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_line(case, tmp_path):
    change, message = BAD[case]
    content = {name: values for name, values in arrays(**change).items() if values is not None}
    np.savez(tmp_path / "p.npz", **content)
    with pytest.raises(InputError, match=message) as raised:
        read_session(str(tmp_path / "p.npz"), ReadSpec())
    assert "\n" not in str(raised.value) and "p" in str(raised.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("person,sex\np,x\n", "columns person and fold"),
        ("person,fold\nq,1\n", "has 0 rows for 'p'"),
        ("person,fold\np,1\np,4\n", "has 2 rows for 'p'"),
        ("person,fold\np,many\n", "columns person and fold"),
        ("person,fold\np\n", "columns person and fold"),
        ("person,fold\np,4\nq,3\n", "expected three or more and '4' among them"),
        ("person,fold\np,0\nq,1\nr,2\n", r"has the folds \[0, 1, 2\]"),
        ('person,fold\n"p,1\n', "columns person and fold"),
        ("", "has 0 rows for 'p'"),
    ],
)
def test_a_bad_table_of_people_is_one_line(table, message, tmp_path):
    np.savez(tmp_path / "p.npz", **arrays())
    (tmp_path / "people.csv").write_text(table)
    with pytest.raises(InputError, match=message) as raised:
        read_session(str(tmp_path / "p.npz"), ReadSpec())
    assert "\n" not in str(raised.value) and "people.csv" in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"options": [("window_ms", "3")]}, "window_ms=3 is no whole number of samples at 200 Hz"),
        ({"options": [("window_ms", "5")]}, "a window of 5 ms holds one sample at 200 Hz"),
        ({"options": [("step_ms", "fast")]}, "step_ms=fast"),
        ({"options": [("step_ms", "nan")]}, "step_ms=nan"),
        ({"options": [("window_ms", "1e300")]}, "window_ms=1e300"),
        ({"split": "blocks:3s"}, "EMG is split by person"),
        ({"options": [("test_fold", "2")]}, "test_fold=2 came without a people.csv"),
        ({"bin_ms": 20.0}, "bin_ms is 20.0, but emg recordings have no use for it"),
        ({"window_s": 1.0}, "window_s is 1.0"),
        ({"behavior": ["emg"]}, "behavior names 'emg'"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message, tmp_path):
    np.savez(tmp_path / "p.npz", **arrays())
    with pytest.raises(InputError, match=message):
        convert("emg", [tmp_path], tmp_path / "out", num_workers=0, **options)
    assert not (tmp_path / "out" / "p").exists()


def test_a_folder_without_recordings_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no .npz file"):
        convert("emg", [tmp_path], tmp_path / "out")


@pytest.mark.data
def test_the_27_people_become_windows_that_another_program_counts_alike(data_root, tmp_path):
    source = data_root / "emg_myo_people"
    convert("emg", [source], tmp_path, num_workers=0)
    dataset = open_dataset(tmp_path, verify="full")
    rows = csv.DictReader((source / "people.csv").read_text().splitlines())
    folds = {row["person"]: int(row["fold"]) for row in rows}
    assert sorted(folds) == [session.session_id for session in dataset.sessions] and len(folds) == 27
    total = 0
    for session in dataset.sessions:
        with np.load(source / f"{session.session_id}.npz", allow_pickle=False) as raw:
            emg, offsets = raw["emg"], raw["segment_offsets"]
            expected, labels = [], []
            for k in range(len(offsets) - 1):
                first = list(range(offsets[k], offsets[k + 1] - 51, 10))
                expected, labels = expected + first, labels + [raw["gesture"][k]] * len(first)
        np.testing.assert_array_equal(session.trial_start_bin, expected)
        np.testing.assert_array_equal(session.conditions["gesture"], labels)
        np.testing.assert_array_equal(session.values, emg)
        fold = folds[session.session_id]
        assert set(session.split) == {{4: TEST, 3: VALIDATION}.get(fold, TRAIN)}
        total += len(emg)
    assert total == 1_532_078
    assert sum(path.stat().st_size for path in tmp_path.rglob("values.npy")) < 2.1 * 8 * total
    report = check_dataset(dataset)
    assert report["usable"] and json.dumps(report, allow_nan=False)


def made_of(tmp_path, strict=False, **fields):
    np.savez(tmp_path / "p.npz", **arrays(**fields))
    return read_session(str(tmp_path / "p.npz"), ReadSpec(strict=strict))


@given(st.integers(0, 2**32), st.sampled_from([np.nan, np.inf, -np.inf, 9.97e36]), st.floats(0.01, 0.6))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_samples_that_are_not_known_are_unobserved_entries(tmp_path, seed, value, share):
    emg = arrays()["emg"].astype(np.float64)
    lost = np.random.default_rng(seed).random(emg.shape) < share
    session = made_of(tmp_path, emg=np.where(lost, value, emg))
    whole = made_of(tmp_path)
    known = np.asarray(session.entry_valid(np.arange(session.num_trials)))
    expected = np.stack([~lost[start : start + 52] for start in whole.trial_start_bin])
    np.testing.assert_array_equal(known, expected)
    np.testing.assert_array_equal(session.values, np.where(lost, 0, emg))
    assert session.num_trials == whole.num_trials
    told = [n for name, n in session.info.get("findings", {}).items() if "stand for none" in name]
    assert told == [int(lost.sum())] * bool(np.isfinite(value) and lost.any())


def test_a_missing_channel_leaves_and_a_flat_one_is_told(tmp_path):
    emg = arrays()["emg"].astype(np.float64)
    emg[:, 0], emg[:, 2] = np.nan, 7
    session = made_of(tmp_path, emg=emg)
    assert session.unit_id.tolist() == ["1", "2"] and session.info["units_dropped"] == {"never observed": 1}
    assert session.info["findings"] == {"channels that never change": 1} and session.validity is None
    assert "findings" not in made_of(tmp_path).info


def test_windows_of_nothing_are_left_out(tmp_path):
    emg = arrays()["emg"].astype(np.float64)
    emg[:100] = np.nan  # the first segment, five windows
    session = made_of(tmp_path, emg=emg)
    assert session.num_trials == 4 and session.info["trials_dropped"]["never observed"] == 5
    assert session.conditions["segment"].tolist() == [2, 2, 2, 3]


def test_a_bad_column_of_segments_is_left_out_or_refused(tmp_path):
    session = made_of(tmp_path, repetition=np.arange(3))
    assert "repetition" not in session.conditions and "gesture" in session.conditions
    (told,) = session.info["findings"]
    assert told.startswith(f"{PART_LEFT_OUT} (") and "repetition" in told
    with pytest.raises(InputError, match="repetition"):
        made_of(tmp_path, strict=True, repetition=np.arange(3))


def test_time_stamps_that_are_even_within_segments_are_fine(tmp_path):
    jitter = np.random.default_rng(0).uniform(-0.001, 0.001, 278)
    gaps = np.repeat([0, 3, 50, 51], LENGTHS)  # segments are not contiguous in time
    made_of(tmp_path, time_s=np.arange(278) / 200 + gaps + jitter)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: np.where(np.arange(278) > 30, t + 0.05, t), "1 of 274 steps of time_s"),
        (lambda t: t * 1.05, "274|the usual one is 5.25 ms"),
        (lambda t: t * 1000, "the usual one is 5000 ms"),
        (lambda t: t[:-1], r"time_s is float64 \[277\]"),
        (lambda t: np.where(np.arange(278) == 9, np.nan, t), "2 of 274 steps"),
    ],
)
def test_uneven_sampling_is_refused(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        made_of(tmp_path, time_s=change(np.arange(278) / 200))


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"emg": np.zeros((3, 278))}, "transpose it"),
        ({"emg": np.zeros((4, 69, 3))}, "segments end to end"),
        ({"emg": np.array([None] * 3)}, "'emg'.*object|object.*'emg'"),
        ({"gesture_names": np.array(["a", "b", "c"], object)}, "'gesture_names'"),
    ],
)
def test_other_layouts_are_refused_by_name(tmp_path, fields, words):
    with pytest.raises(InputError, match=words):
        made_of(tmp_path, **fields)


def test_other_files_are_refused_with_what_is_there(tmp_path):
    np.savez(tmp_path / "p.npz", data=np.zeros(3), stimulus=np.zeros(3))
    with pytest.raises(InputError, match="lacks the array 'emg'.*holds data, stimulus"):
        read_session(str(tmp_path / "p.npz"), ReadSpec())
    (tmp_path / "ninapro").mkdir()
    (tmp_path / "ninapro/S1_A1_E1.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(InputError, match=r"holds no .npz file \(it has .mat\)"):
        find(str(tmp_path / "ninapro"))
    with pytest.raises(InputError, match="S1_A1_E1.mat cannot be read as .npz"):
        read_session(str(tmp_path / "ninapro/S1_A1_E1.mat"), ReadSpec())
