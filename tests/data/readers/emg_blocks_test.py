"""EMG larger than memory: read in blocks it becomes the session that it was before, of whatever file."""

import tracemalloc
import zipfile

import numpy as np
import pytest

from neurojax.commands.convert import convert
from neurojax.data import row_blocks
from neurojax.data.readers import emg, gathered
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.npz_streams import open_npz
from neurojax.data.store.session_format import content_sha256, write_session
from neurojax.errors import InputError

LENGTHS = (100, 51, 75, 52)  # of the segments
SAMPLES = sum(LENGTHS)


def arrays(**fields):
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    return {
        "emg": np.random.default_rng(0).integers(-128, 128, (SAMPLES, 3)).astype(np.int8),
        "segment_offsets": offsets,
        "gesture": np.array([2, 0, 1, 0], np.int8),
        "repetition": np.array([0, 1, 2, 3], np.int8),
        "gesture_names": np.array(["rest", "fist", "open"]),
        "sampling_rate_hz": np.float64(200),
    } | fields


def holes(dtype):
    """A channel that was never observed, one that never changes, a fill value, a segment that nobody saw."""
    values = (np.random.default_rng(1).standard_normal((SAMPLES, 4)) * 1000).astype(dtype)
    values[20:60, 1], values[:, 2], values[277, 3] = np.nan, np.inf, np.nan
    values[100:150], values[151:226], values[5, 0] = np.nan, np.nan, 9.97e36
    values[:, 3] = np.where(np.isnan(values[:, 3]), values[:, 3], 7)
    return values


# Digests of what was made before recordings were read in blocks.
WHOLE = "1abe400e90a74425a929716ca63e11770505a39ad52b872137cdda5add20a6c3"
HOLES = "e9c3f55146c4090731a7d9a5d8c79fa7ec9a73b9115e44fd793585c3e142b558"
CASES = {
    "int8": ({}, WHOLE),
    "with times": ({"time_s": np.arange(SAMPLES) / 200}, WHOLE),
    "int32": (
        {"emg": np.arange(SAMPLES * 3).reshape(SAMPLES, 3) * 997},
        "1213e9850dae2de375b34f569bf296b0df87a010d89b7b562945e4e1379fab73",
    ),
    "float16": (
        {"emg": np.random.default_rng(2).standard_normal((SAMPLES, 2)).astype(np.float16)},
        "9ba1bd8a3dbf411a4ddd07b6202b1a7a39075d5ad130363e2671ec993fe9a98f",
    ),
    "float32 with holes": ({"emg": holes(np.float32)}, HOLES),
    "float64 with holes": ({"emg": holes(float)}, HOLES),
    "columns first": ({"emg": np.asfortranarray(holes(np.float32))}, HOLES),
}


@pytest.fixture(params=[40, 2**22])
def block_bytes(request, monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", request.param)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_blocks_of_any_size_make_the_session_of_before(block_bytes, tmp_path, case, save):
    fields, digest = CASES[case]
    save(tmp_path / "p.npz", **arrays(**fields))
    (tmp_path / "scratch").mkdir()
    found = emg.read_in_blocks(str(tmp_path / "p.npz"), ReadSpec(), tmp_path / "scratch")
    whole = emg.read_session(str(tmp_path / "p.npz"), ReadSpec())
    assert content_sha256(found) == digest == content_sha256(whole) and found.info == whole.info
    assert isinstance(found.values, np.memmap) and not isinstance(whole.values, np.memmap)
    if digest == HOLES:
        assert found.info["trials_dropped"]["never observed"] == 3
        assert found.info["findings"]["channels that never change"] == 1
        assert found.info["units_dropped"] == {"never observed": 1}


def test_one_value_that_needs_more_digits_keeps_those_of_all(block_bytes, tmp_path):
    for place in (0, SAMPLES - 1):
        values = np.ones((SAMPLES, 2), np.float32)
        values[place] = 0.1, 2
        np.savez(tmp_path / "p.npz", **arrays(emg=values))
        found = emg.read_in_blocks(str(tmp_path / "p.npz"), ReadSpec(), tmp_path)
        assert found.values.dtype == np.float32
        np.testing.assert_array_equal(found.values, values)


def test_the_folder_has_the_same_bytes_and_nothing_is_left_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 64)
    np.savez(tmp_path / "p.npz", **arrays(emg=holes(np.float32)))
    convert("emg", [tmp_path / "p.npz"], tmp_path / "out", num_workers=0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["CARD.md", "dataset.json", "p"]
    whole = emg.read_session(str(tmp_path / "p.npz"), ReadSpec())
    written = write_session(whole, tmp_path / "whole")
    for name in ("values.npy", "trials.npz", "validity.npz", "units.npz"):
        assert (tmp_path / "out" / "p" / name).read_bytes() == (written / name).read_bytes()


def test_memory_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 2**16)
    peaks = []
    for samples in (50_000, 400_000):
        emg_values = np.random.default_rng(0).standard_normal((samples, 8)).astype(np.float32)
        more = {"segment_offsets": np.array([0, samples]), "gesture": np.zeros(1, int)}
        np.savez(tmp_path / "p.npz", **arrays(emg=emg_values, **more, repetition=np.zeros(1, int)))
        spec = ReadSpec(options=(("step_ms", "5000"),))
        tracemalloc.start()
        emg.read_in_blocks(str(tmp_path / "p.npz"), spec, tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 4 * 2**20 and peaks[1] < peaks[0] + 2**20  # the second recording has 12.2 MiB


def damaged(path, how):
    """An archive of which the samples are damaged where no header tells."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        members = {one.filename: one for one in archive.infolist()}
        place = members["emg.npy"].header_offset + 300
    if how == "one byte":
        content[place] ^= 0xFF
    else:
        del content[place : place + 200]
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["one byte", "a part"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_samples_are_refused_and_leave_nothing(tmp_path, how, save):
    save(tmp_path / "p.npz", **arrays(emg=holes(np.float32)))
    damaged(tmp_path / "p.npz", how)
    with pytest.raises(InputError, match="cannot be read as .npz|truncated|is damaged"):
        convert("emg", [tmp_path / "p.npz"], tmp_path / "out", num_workers=0)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", [7, 99, 150, 277])
def test_an_uneven_step_is_found_wherever_a_block_ends(block_bytes, tmp_path, place):
    times = np.arange(SAMPLES) / 200
    times[place:] += 0.003
    np.savez(tmp_path / "p.npz", **arrays(time_s=times))
    with pytest.raises(InputError, match="1 of 274 steps of time_s are not the 5 ms"):
        emg.read_session(str(tmp_path / "p.npz"), ReadSpec())
    times = np.arange(SAMPLES) / 200
    times[100:] += 3  # between segments a step may be anything
    np.savez(tmp_path / "p.npz", **arrays(time_s=times))
    assert content_sha256(emg.read_session(str(tmp_path / "p.npz"), ReadSpec())) == WHOLE
    np.savez(tmp_path / "p.npz", **arrays(time_s=np.arange(SAMPLES) / 196))
    with pytest.raises(InputError, match="0 of 274 steps .*the usual one is 5.10204 ms"):
        emg.read_session(str(tmp_path / "p.npz"), ReadSpec())


def test_a_file_replaced_meanwhile_and_a_name_twice_are_refused(tmp_path):
    np.savez(tmp_path / "p.npz", **arrays())
    held = open_npz(tmp_path / "p.npz", ("emg",))["emg"]
    np.savez(tmp_path / "p.npz", **arrays(emg=np.zeros((9, 3), np.int8)))
    with pytest.raises(InputError, match="replaced while it was read"):
        list(held.blocks())
    with zipfile.ZipFile(tmp_path / "p.npz", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.write(tmp_path / "p.npz", "emg.npy")
    with pytest.raises(InputError, match="twice|not a .npy array"):
        open_npz(tmp_path / "p.npz", ("emg",))


def test_stretches_of_blocks_are_those_of_the_whole():
    known = np.random.default_rng(3).random((40, 3)) < 0.6
    known[:, 2] = True
    for rows in (1, 7, 40):
        stretches = gathered.Stretches(3)
        for _, block in row_blocks.row_blocks(known, rows):
            stretches.add(block)
        again = np.zeros_like(known)
        for column, start, stop in zip(*stretches.found(), strict=True):
            assert start < stop and not again[start:stop, column].any()
            again[start:stop, column] = True
        np.testing.assert_array_equal(again, known)
        anyone = np.stack(stretches.found()[1:], axis=1)[stretches.found()[0] == 0]
        expected = np.append(0, np.cumsum(known[:, 0]))
        np.testing.assert_array_equal(gathered.seen_before(anyone, np.arange(41)), expected)
