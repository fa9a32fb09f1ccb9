"""EEG: channels by name or not at all, steps within runs, windows within runs and splits, every kind of file alike."""

import numpy as np
import pytest

from neurojax.data import row_blocks
from neurojax.data.conversion import convert_session
from neurojax.data.readers import edf_header, eeg, eeg_files, eeg_recording
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError

NAMES = ("TP9", "AF7", "AF8", "TP10")


def archive(folder, name="p1", **changes):
    """Three runs of 2 s at 100 Hz, an event each half second."""
    rng = np.random.default_rng(0)
    arrays = {
        "eeg": rng.standard_normal((600, 4)).astype(np.float32), "unit": "uV", "sampling_rate_hz": 100.0,
        "channel_names": np.array(NAMES), "run_offsets": [0, 200, 400, 600],
        "event_sample": np.arange(0, 600, 50), "event_marker": np.arange(12) % 2 + 1,
    }  # fmt: skip
    arrays |= changes
    np.savez(folder / f"{name}.npz", **{key: value for key, value in arrays.items() if value is not None})
    return str(folder / f"{name}.npz")


def read(source, split="file", **options):
    options = {"window_ms": "0:300"} | options
    return eeg.read_session(source, ReadSpec(split=split, options=tuple(options.items())))


def test_windows_lie_within_runs_and_runs_within_splits(tmp_path):
    session = read(archive(tmp_path), window_ms="-100:400")
    assert session.num_trials == 9 and session.sampling_hz == 100  # the first event of each run begins too late
    run = session.trial_start_bin // 200
    np.testing.assert_array_equal(run, (session.trial_start_bin + session.trial_num_bins - 1) // 200)
    np.testing.assert_array_equal(session.split, [[0, 1, 2][one] for one in run])
    np.testing.assert_array_equal(session.conditions["run"], run)
    np.testing.assert_array_equal(session.trial_start_bin + 10, np.delete(np.arange(0, 600, 50), [0, 4, 8]))
    assert session.conditions["marker"].tolist() == [2, 1, 2] * 3
    assert sum(session.info["trials_dropped"].values()) == 3
    tested = read(archive(tmp_path), test_run="0")
    assert set(tested.conditions["run"][tested.split == 2]) == {0} and set(
        tested.conditions["run"][tested.split == 1]
    ) == {2}
    person = read(archive(tmp_path), split="random")
    assert len(set(person.split.tolist())) == 1 and "hash of the name" in person.info["split_source"]
    alone = read(archive(tmp_path, event_sample=None, event_marker=None), window_ms="0:900")
    assert alone.num_trials == 6 and set(np.diff(alone.trial_start_bin)) == {90, 110}


def test_a_recording_at_rest_with_a_column_of_events_and_no_event_is_cut_end_to_end(tmp_path):
    none = read(archive(tmp_path, event_sample=np.zeros(0, int), event_marker=np.zeros(0, int)), window_ms="0:500")
    assert none.num_trials == 12 and list(none.conditions) == ["run"]
    lines = ["timestamps,TP9,AF7,Marker0", *(f"{row / 64:.4f},{row % 7},{row % 5},0" for row in range(64))]
    (tmp_path / "rest").mkdir()
    (tmp_path / "rest/one.csv").write_text("\n".join(lines))
    assert read(str(tmp_path / "rest"), sampling_hz="64", window_ms="0:500").num_trials == 2


def test_channels_are_taken_by_name_in_the_order_asked_for(tmp_path):
    source = archive(tmp_path)
    whole = read(source)
    turned = read(source, channels="AF8+TP9+AF7+TP10")
    np.testing.assert_array_equal(turned.unit_id, ["AF8", "TP9", "AF7", "TP10"])
    np.testing.assert_array_equal(turned.values, np.asarray(whole.values)[:, [2, 0, 1, 3]])
    np.testing.assert_array_equal(turned.unit_metadata["head_x"], whole.unit_metadata["head_x"][[2, 0, 1, 3]])
    renamed = read(source, rename="TP10:jaw", muscle="jaw", drop="AF8")
    assert renamed.unit_id.tolist() == ["TP9", "AF7", "jaw"]
    assert renamed.region.tolist() == ["scalp", "scalp", "jaw"]
    assert renamed.info["channels_dropped"] == ["AF8"] and renamed.info["channels_renamed"] == {"TP10": "jaw"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channels": "TP9+AF7+AF8+TP10+Cz"}, "lacks the channel Cz, it has TP9, AF7, AF8, TP10"),
        ({"channels": "TP9+AF7+AF8+tp10"}, "is it 'TP10'. then --options=rename=TP10:tp10"),
        ({"channels": "TP9+AF7"}, "channels that were not asked for: AF8, TP10; drop them by name"),
        ({"drop": "Cz"}, "no channel 'Cz' to drop"),
        ({"rename": "Cz:Fz"}, "no channel 'Cz' to rename"),
        ({"rename": "TP9:AF7"}, "2 channels named 'AF7'"),
        ({"rename": "TP9"}, "expected OLD:NEW"),
        ({"muscle": "jaw"}, "no channel 'jaw' on a muscle"),
        ({"sampling_hz": "100"}, "whose rate is in the file; leave it out"),
        ({"band_hz": "1-50"}, "below half of the sampling rate .50 Hz."),
        ({"scale": "zscore"}, "expected robust"),
        ({"window_ms": "0:3000"}, "no window of 300 samples lies within a run, the longest has 200"),
        ({"window_ms": "300"}, "expected FROM:TO"),
        ({"window_ms": "-1e300:1e300"}, "expected FROM:TO"),
        ({"resample_hz": "1e-300"}, "have no common step"),
        ({"resample_hz": "1e9"}, "one of whole numbers from 1 to 1000"),
        ({"resample_hz": "33.337"}, "have no common step"),
        ({"test_run": "3"}, "expected 0 to 2"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        read(archive(tmp_path), **options)


def test_flat_and_unrecorded_channels_are_refused_until_they_are_dropped(tmp_path):
    values = np.random.default_rng(0).standard_normal((600, 4)).astype(np.float32)
    for bad in (3.0, np.nan):
        broken = values.copy()
        broken[:, 2] = bad
        source = archive(tmp_path, eeg=broken)
        with pytest.raises(InputError, match="channel 'AF8' (never changes|was never recorded); drop it by name"):
            read(source)
        assert read(source, drop="AF8").num_units == 3


def test_steps_stay_within_their_run_and_are_told(tmp_path):
    values = np.random.default_rng(0).standard_normal((600, 4)).astype(np.float32)
    loud = values.copy()
    loud[200:400] *= 1000  # the second run
    plain, other = (
        read(archive(tmp_path, eeg=given), band_hz="1-20", resample_hz="50", window_ms="0:200")
        for given in (values, loud)
    )
    np.testing.assert_array_equal(plain.values[:100], other.values[:100])
    np.testing.assert_array_equal(plain.values[200:], other.values[200:])
    assert np.abs(np.asarray(plain.values[100:200]) - other.values[100:200]).max() > 10
    assert plain.sampling_hz == 50 and len(plain.values) == 300
    assert [step.split()[0] for step in plain.info["steps"]] == ["band-pass", "resampled"]
    np.testing.assert_array_equal(plain.trial_start_bin, np.arange(0, 300, 25))
    scaled = read(archive(tmp_path, eeg=values * 7 + 3), scale="robust")
    assert scaled.unit_of_values == "a.u." and np.abs(np.median(scaled.values, axis=0)).max() < 1e-3
    holes = values.copy()
    holes[5, 1] = np.nan
    with pytest.raises(InputError, match="not recorded, which band_hz would spread"):
        read(archive(tmp_path, eeg=holes), band_hz="1-20")


def test_a_band_pass_keeps_what_is_inside_and_events_stay_at_their_time(tmp_path):
    time_s = np.arange(600) / 100
    inside, outside = np.sin(2 * np.pi * 8 * time_s), 5 * np.sin(2 * np.pi * 35 * time_s)
    values = np.stack([inside + outside] * 4, axis=1).astype(np.float32)
    found = read(archive(tmp_path, eeg=values), band_hz="4-15")
    middle = slice(60, 130)
    np.testing.assert_allclose(found.values[middle, 0], inside[middle], atol=0.1)
    pulse = np.zeros((600, 4), np.float32)
    pulse[250] = 100
    moved = read(archive(tmp_path, eeg=pulse + 0.01 * values, event_sample=[250], event_marker=[1]), resample_hz="40")
    assert moved.trial_start_bin[0] == np.abs(np.asarray(moved.values[:, 0])).argmax() == 100


def runs_of_csv(folder, seed=0):
    for run in range(3):
        rows = np.random.default_rng([seed, run]).standard_normal((50, 3)).round(3)
        lines = ["timestamps,TP9,AF7,Right AUX,Marker0"]
        lines += [f"{run + row / 64:.3f},{a},{b},{c},{row % 25 == 5:d}" for row, (a, b, c) in enumerate(rows)]
        (folder / f"run{run}.csv").write_text("\n".join(lines))


def test_a_folder_of_csv_files_is_one_person_and_each_file_a_run(tmp_path):
    for name in ("session1", "session2"):
        (tmp_path / "subject1" / name).mkdir(parents=True)
        runs_of_csv(tmp_path / "subject1" / name)
    found = eeg.find(str(tmp_path))
    assert [eeg.session_name(source) for source in found] == ["subject1_session1", "subject1_session2"]
    session = read(found[0], sampling_hz="64", window_ms="0:250")
    assert session.unit_id.tolist() == ["TP9", "AF7", "Right AUX"] and session.num_trials == 6
    assert session.conditions["marker"].tolist() == [1] * 6 and session.trial_start_bin.tolist()[:3] == [5, 30, 55]
    assert session.sampling_hz == 64 and set(session.split.tolist()) == {0, 1, 2}
    assert np.isnan(session.unit_metadata["head_x"][2]) and np.isfinite(session.unit_metadata["head_x"][:2]).all()
    with pytest.raises(InputError, match="says no exact rate; give --options=sampling_hz"):
        read(found[0])
    before = eeg.source_sha256(found[0])
    runs_of_csv(tmp_path / "subject1" / "session1", seed=1)
    assert eeg.source_sha256(found[0]) != before
    (tmp_path / "subject1" / "session1" / "run1.csv").write_text("timestamps,TP9,AF7,Marker0\n1,2,3,1\n1.0156,3,4,0")
    with pytest.raises(InputError, match="run 1 has channel"):
        read(found[0], sampling_hz="64")


def test_times_of_a_csv_are_held_against_the_rate_and_a_hole_begins_a_run(tmp_path):
    def written(time_s, digits=3):
        rows = [f"{one:.{digits}f},{k % 7},{k % 5},{k % 16 == 8:d}" for k, one in enumerate(time_s)]
        (tmp_path / "one.csv").write_text("\n".join(["timestamps,TP9,AF7,Marker0", *rows]))
        return str(tmp_path / "one.csv")

    steps = np.arange(128) / 128 + np.where(np.arange(128) >= 60, 30, 0)
    for rate in ("256", "131"):
        with pytest.raises(InputError, match=f"step by 0.00[78].* s or less.*but sampling_hz={rate}"):
            read(written(steps), sampling_hz=rate)
    found = read(written(steps), sampling_hz="128", window_ms="-50:75")
    assert found.conditions["run"].tolist() == [0] * 3 + [1] * 3  # the window of sample 56 reaches over the hole
    assert found.trial_start_bin.tolist() == [2, 18, 34, 66, 82, 98] and found.unit_of_values == "a.u."
    jitter = np.arange(128) / 256 + 0.02 * (np.arange(128) % 9 == 3)  # rounded: half of the steps are 0.004
    found = read(written(jitter), sampling_hz="256", unit="mV", window_ms="0:30")
    assert set(found.conditions["run"]) == {0} and found.unit_of_values == "uV" and found.values.max() == 6000
    for options, said in (({"unit": "T"}, "expected V, mV, uV or nV"), ({"sampling_hz": "2"}, "times in seconds")):
        with pytest.raises(InputError, match=said):
            read(written(jitter), **({"sampling_hz": "256"} | options))
    with pytest.raises(InputError, match="a time is no number"):
        read(written(np.where(np.arange(128) == 3, np.nan, jitter)), sampling_hz="256")
    with pytest.raises(InputError, match="unit=uV came for .*whose unit is in the file"):
        read(archive(tmp_path), unit="uV")


def test_damaged_archives_are_refused(tmp_path):
    for changes, said in (
        ({"sampling_rate_hz": None}, "lacks the array 'sampling_rate_hz'"),
        ({"channel_names": np.array(NAMES[:3])}, "expected text .4., one for each column"),
        ({"run_offsets": [0, 700]}, "expected rising numbers from 0 to 600"),
        ({"event_sample": np.arange(12) + 595}, "events go from sample 595 to 606"),
        ({"event_marker": np.arange(3)}, "one an event"),
        ({"channel_xy": np.zeros((4, 3))}, "in head radii"),
        ({"channel_xy": np.full((4, 2), np.inf)}, "NaN where a place is not known"),
        ({"event_run": np.arange(12)}, "event_run; run is the number of the run, rename it"),
        ({"channel_names": np.array(list(NAMES), dtype=object)}, "object|pickle"),
    ):
        with pytest.raises(InputError, match=said):
            read(archive(tmp_path, **changes))


def test_sites_lie_where_the_system_puts_them():
    at = dict(zip(names := ["Cz", "Fpz", "Oz", "T7", "C4", "TP10", "F3", "EEG Fz-Ref", "T3", "AUX"],
                  eeg_recording.site_positions(names), strict=True))  # fmt: skip
    for name, place in {"Cz": (0, 0), "Fpz": (0, 0.8), "Oz": (0, -0.8), "T7": (-0.8, 0), "C4": (0.4, 0)}.items():
        np.testing.assert_allclose(at[name], place, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(at["TP10"]), 1.0)
    assert at["TP10"][0] > 0 > at["TP10"][1] and at["F3"][0] < 0 < at["F3"][1]
    np.testing.assert_allclose([at["EEG Fz-Ref"], at["T3"]], [(0, 0.4), (-0.8, 0)], atol=1e-9)
    assert np.isnan(at["AUX"]).all()
    angle = np.radians(np.linspace(-70, 70, 5))
    ring = np.stack([np.sin(angle), np.zeros(5), np.cos(angle)], 1)
    sphere = np.concatenate([ring, ring[:, [1, 0, 2]]]) * 95 + [0, 0, 40]  # mm, off the middle
    np.testing.assert_allclose(eeg_recording.flat_map(sphere)[:5, 0], np.linspace(-70, 70, 5) / 90, atol=1e-6)


def edf(path, values, rate, names):
    """A file in the European Data Format, 1-s records, by hand."""
    number, count = values.shape[1], len(values) // rate
    head = f"{'0':<8}{'x':<80}{'x':<80}01.01.0101.01.01{256 * (number + 1):<8}{'':<44}{count:<8}{1:<8}{number:<4}"
    fields = [(names, 16), ([""] * number, 80), (["uV"] * number, 8), ([-500] * number, 8), ([500] * number, 8)]
    fields += [
        ([-32768] * number, 8),
        ([32767] * number, 8),
        ([""] * number, 80),
        ([rate] * number, 8),
        ([""] * number, 32),
    ]
    head += "".join(f"{one!s:<{width}}" for column, width in fields for one in column)
    digital = np.round((values + 500) * 65535 / 1000 - 32768).astype("<i2")
    path.write_bytes(head.encode() + digital.reshape(count, rate, number).transpose(0, 2, 1).tobytes())


def test_edf_without_mne_names_the_extra(tmp_path, monkeypatch):
    edf(tmp_path / "a.edf", np.zeros((100, 1)), 50, ["Cz"])
    monkeypatch.setitem(__import__("sys").modules, "mne", None)
    with pytest.raises(InputError, match=r"pip install 'neurojax\[eeg\]'"):
        eeg_files.read_edf(tmp_path / "a.edf")


def header_with(content, start, field):
    return content[:start] + field.ljust(8).encode() + content[start + 8 :]


def test_headers_of_edf_are_believed_only_as_far_as_the_file_goes(tmp_path):
    path = tmp_path / "a.edf"
    edf(path, np.zeros((100, 2)), 50, ["Fz", "Cz"])
    good = path.read_bytes()
    assert edf_header.records_of(path) == ((50, 50), 0)
    path.write_bytes(header_with(good, 236, "-1") + b"more")  # still written to
    assert edf_header.records_of(path) == ((50, 50), 4)
    of_signals = 256 + 2 * (16 + 80 + 8)  # the ends of ranges; samples of a record 32 and 80 later
    damaged = {
        "100 bytes, its header alone has 256": good[:100],
        "it ends in its header, of 2 signals": good[:300],
        "1 whole records of the 2 that its header says": good[:-4],
        "number of records: 'x'": header_with(good, 236, "x"),
        "2 whole records of the 10000000": header_with(good, 236, "10000000"),
        "no whole record is in it": header_with(good, 236, "0"),
        "number of signals: '0'": good[:252] + b"0   " + good[256:],
        "size of the header: '768'": good[:252] + b"9999" + good[256:],
        "size of the header: '512'": header_with(good, 184, "512"),
        "length of a record in s: 'nan'": header_with(good, 244, "nan"),
        "the range of signal 1 is empty": header_with(good, of_signals + 8, "500"),
        "samples of a record: '0'": header_with(good, of_signals + 2 * (4 * 8 + 80), "0"),
    }
    for said, content in damaged.items():
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"cannot be read as EDF or BDF .{said}"):
            edf_header.records_of(path)
    path.with_suffix(".bdf").write_bytes(good)  # three bytes a sample
    with pytest.raises(InputError, match="1 whole records of the 2"):
        edf_header.records_of(path.with_suffix(".bdf"))


def test_a_folder_of_counts_takes_no_real_values(tmp_path):
    write_session(from_counts(np.ones((4, 5, 2), int), bin_size_s=0.01, session_id="spikes"), tmp_path / "root")
    with pytest.raises(InputError, match=r"session p1 holds real values, but .* holds counts of spikes \(spikes\)"):
        convert_session(
            archive(tmp_path), ReadSpec(options=(("window_ms", "0:300"),)), out=tmp_path / "root", kind="eeg"
        )
    assert [path.name for path in (tmp_path / "root").iterdir() if path.is_dir()] == ["spikes"]


def test_bids_is_read_with_its_tables(tmp_path, monkeypatch):
    pytest.importorskip("mne")
    folder = tmp_path / "sub-01" / "eeg"
    folder.mkdir(parents=True)
    values = 100 * np.random.default_rng(0).uniform(-1, 1, (200, 6))
    names = ["Fz", "Cz", "Pz", "C3", "EMGjaw", "EOG"]
    for run in (1, 2):
        stem = folder / f"sub-01_task-read_run-{run}"
        edf(stem.with_name(f"{stem.name}_eeg.edf"), values + run, 50, names)
        kinds = "\n".join(f"{name}\t{'EOG' if name == 'EOG' else 'EMG' if 'EMG' in name else 'EEG'}" for name in names)
        stem.with_name(f"{stem.name}_channels.tsv").write_text(f"name\ttype\n{kinds}\n")
        stem.with_name(f"{stem.name}_events.tsv").write_text(
            "onset\tduration\ttrial_type\n2.0\t0\thouse\n0.5\t0\tface\n"
        )
    places = {"Fz": (0, 0.7, 0.7), "Cz": (0, 0, 1), "Pz": (0, -0.7, 0.7), "C3": (-0.7, 0, 0.7)}
    rows = "\n".join("\t".join([name, *map(str, place)]) for name, place in places.items())
    (folder / "sub-01_electrodes.tsv").write_text(f"name\tx\ty\tz\n{rows}\nEMGjaw\tn/a\tn/a\tn/a\n")
    assert eeg.find(str(tmp_path)) == [str(tmp_path / "sub-01")]
    session = read(str(tmp_path / "sub-01"), muscle="EMGjaw")
    assert session.session_id == "sub-01" and session.unit_id.tolist() == names[:5] and session.unit_of_values == "uV"
    assert session.conditions["trial_type"].tolist() == ["face", "house"] * 2
    assert session.trial_start_bin.tolist() == [25, 100, 225, 300]
    np.testing.assert_allclose(session.values[:200, :5], values[:, :5] + 1, atol=0.02)
    np.testing.assert_allclose(session.unit_metadata["head_y"][:3], [0.5, 0, -0.5], atol=0.02)
    assert np.isnan(session.unit_metadata["head_x"][4]) and session.region[4] == "jaw"
    assert "BIDS with 2 files" in eeg.recognises(str(tmp_path))
    assert "findings" not in session.info
    late = folder / "sub-01_task-read_run-2_events.tsv"
    late.write_text("onset\tduration\ttrial_type\n0.5\t0\tface\nsoon\t0\tface\n1e9\t0\thouse\n")
    told = read(str(tmp_path / "sub-01"), muscle="EMGjaw")
    assert told.info["findings"] == {"events outside their recording, or without a time": 2} and told.num_trials == 3
    late.write_text("onset\tduration\ttrial_type\n2.0\t0\thouse\n0.5\t0\tface\n")
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 64)
    in_pieces = read(str(tmp_path / "sub-01"), muscle="EMGjaw")
    np.testing.assert_array_equal(in_pieces.values, session.values)
    (folder / "sub-01_task-read_run-1_eeg.edf").write_bytes(b"0       damaged")
    with pytest.raises(InputError, match="cannot be read as EDF or BDF"):
        read(str(tmp_path / "sub-01"))
