"""EEG larger than memory: read in blocks it becomes the session that it was before, of whatever file; bad files leave
nothing."""

import os
import resource
import tracemalloc
import weakref

import numpy as np
import pytest
from scipy import signal

from neurojax.data import order_statistics, robust_scale, row_blocks
from neurojax.data.readers import eeg, eeg_recording
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.session_format import content_sha256, write_session
from neurojax.main import main
from tests.data.readers.edf_for_tests import edf_of

RATE_HZ, SAMPLES = 100, 500


def samples(dtype=np.float32, channels=3):
    rng = np.random.default_rng(5)
    return (rng.standard_normal((SAMPLES, channels)).cumsum(0) + rng.standard_normal(channels) * 40).astype(dtype)


def with_holes():
    values = samples()
    values[40:90, 1], values[120], values[300:310], values[499, 2] = np.nan, np.nan, np.nan, np.nan
    return values


def archive(folder, save=np.savez, **changes):
    arrays = {
        "eeg": samples(), "unit": "mV", "sampling_rate_hz": float(RATE_HZ), "run_offsets": [0, 190, 251, SAMPLES],
        "channel_names": np.array(["Fz", "Cz", "jaw"]), "event_sample": np.arange(3, SAMPLES, 31),
        "event_kind": np.arange(17) % 3,
    }  # fmt: skip
    save(folder / "p.npz", **{name: value for name, value in (arrays | changes).items() if value is not None})
    return folder / "p.npz"


def runs_of_csv(folder):
    place = folder / "p"
    place.mkdir()
    for run in range(2):
        values = np.random.default_rng([3, run]).standard_normal((200, 3)).round(3)
        time_s = np.arange(200) / 64 + np.where(np.arange(200) > 130, 20, 0)
        lines = ["timestamps,TP9, AF7 ,Marker0,TP10"]
        for row, (t, (a, b, c)) in enumerate(zip(time_s, values, strict=True)):
            marker = (1 + row // 25) * (row % 25 == 5)
            lines.append(f"{t:.4f},{a},{b if row != 60 else ''},{marker},{c}")
        (place / f"run{run}.csv").write_text("\r\n".join(lines) + "\n\n", encoding="utf-8-sig")
    return place


def bids(folder):
    place = folder / "sub-1" / "eeg"
    place.mkdir(parents=True)
    for run in (1, 2):
        stem = place / f"sub-1_task-read_run-{run}"
        edf_of(place, f"{stem.name}_eeg.edf", annotated=run == 1, records=3 + run, Fz=64, Cz=64, EOG=64)
        stem.with_name(f"{stem.name}_channels.tsv").write_text("name\ttype\nFz\tEEG\nCz\tEEG\nEOG\tEOG\n")
        events = "onset\tduration\ttrial_type\n2.0\t0\thouse\n0.5\t0\tface\n"
        stem.with_name(f"{stem.name}_events.tsv").write_text(events)
    return folder / "sub-1"


STEPS = {"band_hz": "2-30", "resample_hz": "40", "scale": "robust"}
TURNED = {"channels": "jaw+Fz", "drop": "Cz", "muscle": "jaw"}
# Digests of what was made before recordings were read in blocks; filters and mne may differ in a last digit from
# version to version, so there is none of them.
HALF = "9ac6f99d9aabb427c56bd7e676986a9ff7c81b3118d21e6187c318ef8d1888ae"
IN_UV = "d0a16c978847fa551d6d942e23dbbb133409ccbfcf2bd0c7dfdb9759d152cb32"
HOLES = "75858644856f439b39f1fc238dda9a18b5aaf3dc9d9f5b0e9d2b60fe6236893a"
HOLES_HALF = "843ff2fd6fb0760a2a3f9e7a78e2cfe76486dc638864181281c6df3237fa370e"
CSV = "9a594bd0357d4a411fe11e72f0110c0234a7014ef391b0e32800d7dec1bfedb4"
PLAIN = "43382e4a2ca1d15976a21173e6ba1d1f4336d96445269f604558fdb23492612f"
# name -> (how it is written, options, digest)
CASES = {
    "float32": (archive, {}, PLAIN),
    "compressed": (lambda folder: archive(folder, np.savez_compressed), {}, PLAIN),
    "int16, half the precision": (lambda folder: archive(folder, eeg=samples(np.int16), unit="uV"), {}, HALF),
    "float64, eeg_uv": (lambda folder: archive(folder, eeg=None, eeg_uv=samples(np.float64)), {}, IN_UV),
    "columns first": (lambda folder: archive(folder, eeg=np.asfortranarray(samples())), {}, PLAIN),
    "holes": (lambda folder: archive(folder, eeg=with_holes()), {}, HOLES),
    "holes, scaled": (lambda folder: archive(folder, eeg=with_holes()), {"scale": "robust"}, ""),
    "holes, half": (lambda folder: archive(folder, eeg=with_holes().round(), unit="uV"), TURNED, HOLES_HALF),
    "turned, all steps": (archive, TURNED | STEPS, ""),
    "one channel that hardly changes": (
        lambda folder: archive(folder, eeg=np.where(np.arange(SAMPLES)[:, None] % 9, 3, samples())),
        {"scale": "robust"}, "",
    ),
    "band": (archive, {"band_hz": "1-40"}, ""),
    "slower": (archive, {"resample_hz": "37.5"}, ""),
    "faster, speech": (lambda folder: archive(folder, speech=samples(channels=2)), {"resample_hz": "150"}, ""),
    "edf": (edf_of, {}, ""),
    "edf, no annotations": (lambda folder: edf_of(folder, annotated=False), STEPS | {"band_hz": "1-15"}, ""),
    "edf of two rates": (lambda folder: edf_of(folder, Fz=50, Cz=25, O1=50), {}, ""),
    "edf of long records": (lambda folder: edf_of(folder, annotated=False, records=2, Fz=900, Cz=900), {}, ""),
    "bdf": (lambda folder: edf_of(folder, "p.bdf", annotated=False), {}, ""),
    "csv": (runs_of_csv, {"sampling_hz": "64", "unit": "mV"}, CSV),
    "csv, scaled": (runs_of_csv, {"sampling_hz": "64", "scale": "robust"}, ""),
    "bids": (bids, {"resample_hz": "50"}, ""),
}  # fmt: skip


def read(source, options, folder=None):
    spec = ReadSpec(options=tuple(({"window_ms": "0:300"} | options).items()))
    return eeg.read_in_blocks(str(source), spec, folder)


@pytest.fixture(params=[40, 3000, 2**22])
def block_bytes(request, monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", request.param)


@pytest.mark.parametrize("case", CASES)
def test_blocks_of_any_size_make_the_session_of_before(block_bytes, tmp_path, case):
    make, options, digest = CASES[case]
    if case.startswith(("edf", "bdf", "bids")):
        pytest.importorskip("mne")
    source = make(tmp_path)
    (tmp_path / "scratch").mkdir()
    found, whole = read(source, options, tmp_path / "scratch"), read(source, options)
    assert isinstance(found.values, np.memmap) and not isinstance(whole.values, np.memmap)
    assert content_sha256(found) == content_sha256(whole) and found.info == whole.info
    assert digest in ("", content_sha256(found))
    assert not list((tmp_path / "scratch").iterdir())  # what is on disk has no name


def test_of_runs_that_are_joined_one_is_held_at_a_time(tmp_path):
    refs, alive = [], []

    def run(number):
        alive.append(sum(ref() is not None for ref in refs))
        values = np.full((4, 2), number, np.float32)
        refs.append(weakref.ref(values))
        nowhere, none = np.zeros((2, 2)), np.zeros(0, np.int64)
        return eeg_recording.Recording(values, 100.0, ("A", "B"), nowhere, np.array([0, 4]), none, {})

    found = eeg_recording.joined(map(run, range(4)), "p", tmp_path)
    assert alive == [0, 0, 0, 0]
    np.testing.assert_array_equal(found.values[:, 1], np.repeat(np.arange(4), 4))


def test_steps_are_those_of_whole_runs_to_the_bit(block_bytes, tmp_path):
    values, ends = samples() * np.float32(1000), [(0, 190), (190, 251), (251, SAMPLES)]
    sections = signal.butter(4, [2, 30], btype="bandpass", fs=RATE_HZ, output="sos")
    runs = [values[first:stop].astype(np.float64) for first, stop in ends]
    runs = [signal.sosfiltfilt(sections, run, axis=0).astype(np.float32) for run in runs]
    found = read(archive(tmp_path), {"band_hz": "2-30"}, tmp_path)
    np.testing.assert_array_equal(found.values, np.concatenate(runs))
    runs = [signal.resample_poly(run.astype(np.float64), 2, 5, axis=0, padtype="line") for run in runs]
    values = np.concatenate(runs).astype(np.float32)
    found = read(archive(tmp_path), {"band_hz": "2-30", "resample_hz": "40"}, tmp_path)
    np.testing.assert_array_equal(found.values, values)
    low, centre, high = np.percentile(values.astype(np.float64), [25, 50, 75], axis=0)
    spread = ((high - low) / 1.349).astype(np.float32)
    found = read(archive(tmp_path), STEPS, tmp_path)
    np.testing.assert_array_equal(found.values, (values - centre.astype(np.float32)) / spread)


def test_memory_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 2**16)
    peaks = []
    for number in (30_000, 240_000):
        rng = np.random.default_rng(0)
        small = {"run_offsets": [0, number // 3, number], "event_sample": None, "event_kind": None}
        source = archive(tmp_path, eeg=rng.standard_normal((number, 3), np.float32), **small)
        tracemalloc.start()
        read(source, STEPS | {"window_ms": "0:60000"}, tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 2 * 2**20 and peaks[1] < peaks[0] + 2**18  # the second recording has 2.7 MiB


def test_places_of_many_columns_take_the_memory_of_few():
    values = np.random.default_rng(0).standard_normal((40, 256), np.float32)
    tracemalloc.start()
    found = order_statistics.percentiles(lambda: (values[:30], values[30:]), 40, (0.25, 0.5, 0.75))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, np.percentile(values.astype(np.float64), [25, 50, 75], axis=0))
    assert peak < 24 * 2**20  # all columns at once take 24 MiB for their counts alone, and as much for sums


def test_the_folder_has_the_bytes_of_before_and_nothing_is_left_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 64)
    source, options = archive(tmp_path, eeg=with_holes()), ("window_ms=0:300",)
    assert main(["convert", "eeg", str(source), f"--out={tmp_path / 'out'}", f"--options={options[0]}"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["CARD.md", "dataset.json", "p"]
    written = write_session(read(source, {}), tmp_path / "whole")
    for name in ("values.npy", "trials.npz", "validity.npz", "units.npz"):
        assert (tmp_path / "out" / "p" / name).read_bytes() == (written / name).read_bytes()


def refused(source, out, capsys, said, *more):
    """Asserts that a conversion ends in one line and exit code 2, and leaves nothing."""
    capsys.readouterr()
    options = ",".join(("window_ms=0:300", *more))
    assert main(["convert", "eeg", str(source), f"--out={out}", "--num_workers=0", f"--options={options}"]) == 2
    told = capsys.readouterr().err.strip()
    assert said in told and "\n" not in told and not out.exists(), told


@pytest.mark.parametrize("name", ["p.edf", "p.bdf"])
def test_files_cut_short_end_in_one_line_or_with_their_whole_records(tmp_path, capsys, name):
    pytest.importorskip("mne")
    bytes_of = 3 if name.endswith("bdf") else 2
    good = edf_of(tmp_path, name, annotated=False)
    whole, content = read(good, {}), good.read_bytes()
    for cut, there in ((150 * bytes_of * 2, 7), (75 * bytes_of, 8), (1, 8)):  # two records; half of one; one byte
        good.write_bytes(content[:-cut])
        refused(good, tmp_path / "out", capsys, f"{there} whole records of the 9 that its header says")
    unknown = content[:236] + b"-1".ljust(8) + content[244:]
    good.write_bytes(unknown)
    np.testing.assert_array_equal(read(good, {}, tmp_path).values, whole.values)
    good.write_bytes(unknown[: -75 * bytes_of])  # a recorder that was switched off in a record
    found = read(good, {}, tmp_path)
    np.testing.assert_array_equal(found.values, whole.values[:400])
    assert found.info["findings"] == {"a record that the file ends in": 1} and "findings" not in whole.info
    good.write_bytes(unknown[: 256 * 4 + 149 * bytes_of])
    refused(good, tmp_path / "out", capsys, "no whole record is in it")


def test_damage_late_in_a_file_ends_in_one_line_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 600)
    source = archive(tmp_path)
    content = bytearray(source.read_bytes())
    content[content.index(samples().tobytes()[-40:])] ^= 0xFF
    source.write_bytes(content)
    refused(source, tmp_path / "out", capsys, "cannot be read as .npz")
    place = runs_of_csv(tmp_path)
    last, good = place / "run1.csv", (place / "run1.csv").read_bytes()
    for end, said in (
        (b"1.5,2,3,0\n", "row 200 has 4 cells, expected 5"),
        (b"1.5,2,bad,0,1\n", "column 'AF7' holds text"),
        (b"1.5,2,3,x,1\n", "Marker0 holds text"),
        (b"?,2,3,0,1\n", "a time is no number"),
        (b"1.5,2,\xff,0,1\n", "cannot be read as a table"),
        (b"1.5,2,3,0," + b"1" * 2**22, "has a line of 4194304 characters or more"),
    ):
        last.write_bytes(good.rstrip() + b"\n" + end)
        refused(place, tmp_path / "out", capsys, said, "sampling_hz=64")


def test_places_in_sorted_columns_are_those_of_a_sort():
    rng = np.random.default_rng(0)
    for dtype, number, columns in ((np.float32, 501, 2), (np.float64, 78, 3), (np.float32, 1, 1)):
        values = (rng.standard_normal((number, columns)) * 10.0 ** rng.integers(-30, 30, (number, columns))).astype(
            dtype
        )
        values[rng.random(values.shape) < 0.2] = rng.choice([0.0, -1.0, 2.5])
        values[number // 8 :, -1] = 2.5  # hardly ever changes: its spread is the standard deviation

        def blocks(values=values):
            return (values[first : first + 7] for first in range(0, len(values), 7))

        ranks = [0, number // 2, number - 1]
        np.testing.assert_array_equal(order_statistics.ranked(blocks, ranks), np.sort(values, axis=0)[ranks])
        exact = np.percentile(values.astype(np.float64), [10, 25, 50, 75], axis=0)
        np.testing.assert_array_equal(order_statistics.percentiles(blocks, number, (0.1, 0.25, 0.5, 0.75)), exact)
        for one, other in zip(robust_scale.of_blocks(blocks, number), robust_scale.of_samples(values), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


def test_many_runs_do_not_hold_a_file_open_each(tmp_path):
    place = tmp_path / "p"
    place.mkdir()
    for run in range(40):
        rows = [f"{sample / 64},{(sample * run) % 7},{sample % 5}" for sample in range(24)]
        (place / f"run{run:02}.csv").write_text("\n".join(["timestamps,A,B", *rows]))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 12, limits[1]))
    try:
        found = read(place, {"sampling_hz": "64"}, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    np.testing.assert_array_equal(found.values[24 * 39 :, 0], np.arange(24) * 39 % 7)
