"""Bad .npz files of `convert arrays`: containers, headers, counts, spike times; and mistyped command lines."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
from harness import MARK, Case, Payload, broken_files

RNG = np.random.default_rng(0)
COUNTS = RNG.integers(0, 4, (20, 5, 6)).astype(np.uint8)
BINNED = {"counts": COUNTS, "bin_size_s": np.float64(0.02)}
FLAT = {"counts": COUNTS.reshape(100, 6), "bin_size_s": np.float64(0.02), "trial_offsets": np.arange(0, 101, 5)}
TIMES = np.sort(RNG.uniform(0, 20, 600))
SPIKES = {"spike_times_s": TIMES, "spike_units": RNG.integers(0, 6, 600), "trial_start_s": np.arange(20) * 1.0}
SPIKES |= {"trial_stop_s": np.arange(20) + 0.5}


def changed(array, **places):
    """A copy with entries of the flattened array replaced: _3=value."""
    array = np.array(array)
    for place, value in places.items():
        array.flat[int(place.removeprefix("_"))] = value
    return array


def with_nan(array, number=1, value=np.nan):
    array = np.array(array, float)
    array.flat[:number] = value
    return array


def edits() -> dict[str, dict]:
    """Name -> arrays of a file whose container is sound."""
    real = COUNTS.astype(float)
    binned = {
        "counts: negative": {"counts": changed(COUNTS.astype(int), _3=-1)},
        "counts: halves": {"counts": real + 0.5},
        "counts: rates in Hz": {"counts": real * 7.31},
        "counts: NaN": {"counts": with_nan(COUNTS)},
        "counts: infinity": {"counts": with_nan(COUNTS, 1, np.inf)},
        "counts: over 65535": {"counts": changed(COUNTS.astype(np.int64), _0=70000)},
        "counts: 2**63": {"counts": changed(COUNTS.astype(np.uint64), _0=2**63)},
        "counts: text": {"counts": COUNTS.astype(str)},
        "counts: complex": {"counts": COUNTS.astype(complex)},
        "counts: dates": {"counts": COUNTS.astype("datetime64[s]")},
        "counts: one axis": {"counts": COUNTS.ravel()},
        "counts: four axes": {"counts": COUNTS[None]},
        "counts: a number": {"counts": np.array(3)},
        "counts: no trial": {"counts": COUNTS[:0]},
        "counts: no bin": {"counts": COUNTS[:, :0]},
        "counts: no unit": {"counts": COUNTS[..., :0]},
        "counts: not there": {"counts": None},
        "counts: two trials": {"counts": COUNTS[:2]},
        "bin size: not there": {"bin_size_s": None},
        "bin size: zero": {"bin_size_s": 0.0},
        "bin size: negative": {"bin_size_s": -0.02},
        "bin size: NaN": {"bin_size_s": np.nan},
        "bin size: infinite": {"bin_size_s": np.inf},
        "bin size: text": {"bin_size_s": "20 ms"},
        "bin size: two of them": {"bin_size_s": [0.02, 0.02]},
        "bin size: none in it": {"bin_size_s": []},
        "bin size: complex": {"bin_size_s": 0.02j},
        "split: a fourth": {"split": np.arange(20) % 4},
        "split: too short": {"split": np.zeros(7, int)},
        "split: text": {"split": np.full(20, "train")},
        "split: no test": {"split": np.zeros(20, int)},
        "split: NaN": {"split": with_nan(np.arange(20) % 3)},
        "split: halves": {"split": np.arange(20) % 3 + 0.5},
        "regions: too few": {"unit_region": ["CA1"] * 5},
        "regions: two axes": {"unit_region": np.full((6, 2), "CA1")},
        "unit names: twice": {"unit_id": ["a"] * 6},
        "bin times: NaN": {"bin_times_s": with_nan(np.arange(100) * 0.02)},
        "bin times: wrong step": {"bin_times_s": np.arange(100) * 0.5},
        "bin times: wrong shape": {"bin_times_s": np.arange(7)},
        "trial starts: too few": {"trial_start_s": np.arange(3.0)},
        "trial starts: text": {"trial_start_s": np.full(20, "x")},
        "behaviour: wrong length": {"speed": np.arange(77.0)},
        "behaviour: a mask without it": {"speed_valid": np.ones(100, bool)},
        "an array of no meaning": {"noise": np.zeros((3, 4, 5, 6))},
        "trial column: 3 axes": {"stimulus": np.zeros((20, 5, 5, 2))},
    }
    offsets = FLAT["trial_offsets"]
    flat = {
        "offsets: not from 0": offsets + 1,
        "offsets: falling": offsets[::-1],
        "offsets: beyond the end": changed(offsets, _20=200),
        "offsets: short of the end": changed(offsets, _20=99),
        "offsets: an empty trial": changed(offsets, _5=offsets[4]),
        "offsets: negative": changed(offsets, _3=-5),
        "offsets: halves": offsets + 0.5,
        "offsets: NaN": with_nan(offsets),
        "offsets: text": offsets.astype(str),
        "offsets: two axes": offsets[None],
        "offsets: none": offsets[:0],
        "offsets: 2**62": changed(offsets.astype(np.int64), _3=2**62),
        "offsets: not there": None,
    }
    spikes = {
        "spikes: all NaN": {"spike_times_s": np.full(600, np.nan)},
        "spikes: some NaN": {"spike_times_s": with_nan(TIMES, 5)},
        "spikes: some infinite": {"spike_times_s": with_nan(TIMES, 5, np.inf)},
        "spikes: before zero": {"spike_times_s": TIMES - 1},
        "spikes: unsorted": {"spike_times_s": TIMES[::-1]},
        "spikes: each twice": {n: np.repeat(SPIKES[n], 2) for n in ("spike_times_s", "spike_units")},
        "spikes: none": {"spike_times_s": TIMES[:0], "spike_units": SPIKES["spike_units"][:0]},
        "spikes: one more time": {"spike_times_s": TIMES[1:]},
        "spikes: two axes": {"spike_times_s": TIMES.reshape(30, 20)},
        "spikes: text": {"spike_times_s": TIMES.astype(str)},
        "spikes: complex": {"spike_times_s": TIMES + 0j},
        "spikes: not there": {"spike_times_s": None},
        "units: not there": {"spike_units": None},
        "units: below 0": {"spike_units": SPIKES["spike_units"] - 1},
        "units: halves": {"spike_units": SPIKES["spike_units"] + 0.5},
        "units: NaN": {"spike_units": with_nan(SPIKES["spike_units"])},
        "units: 2**60": {"spike_units": changed(SPIKES["spike_units"], _0=2**60)},
        "units: 2**64 - 1": {"spike_units": changed(SPIKES["spike_units"].astype(np.uint64), _0=2**64 - 1)},
        "units: text": {"spike_units": SPIKES["spike_units"].astype(str)},
        "units: one silent among six": {"spike_units": np.where(SPIKES["spike_units"] == 3, 2, SPIKES["spike_units"])},
        "trials: stops before starts": {"trial_stop_s": np.arange(20) - 0.5},
        "trials: one of no length": {"trial_stop_s": changed(SPIKES["trial_stop_s"], _4=4.0)},
        "trials: NaN": {"trial_start_s": with_nan(SPIKES["trial_start_s"])},
        "trials: a stop too few": {"trial_stop_s": SPIKES["trial_stop_s"][1:]},
        "trials: no stops": {"trial_stop_s": None},
        "trials: none": {"trial_start_s": np.zeros(0), "trial_stop_s": np.zeros(0)},
        "trials: a billion seconds": {"trial_stop_s": np.arange(20) + 1e9},
        "trials: infinite": {"trial_stop_s": with_nan(SPIKES["trial_stop_s"], 1, np.inf)},
        "trials: all over each other": {"trial_stop_s": np.arange(20) + 5.0},
        "trials: after the last spike": {n: SPIKES[n] + 15 for n in ("trial_start_s", "trial_stop_s")},
        "trials: on another clock": {n: SPIKES[n] + 1e6 for n in ("trial_start_s", "trial_stop_s")},
    }
    made = {name: BINNED | edit for name, edit in binned.items()}
    made |= {name: FLAT | {"trial_offsets": value} for name, value in flat.items()}
    return made | {name: SPIKES | edit for name, edit in spikes.items()}


def archive(members: dict[str, bytes], compression=zipfile.ZIP_STORED):
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "day1.npz", "w", compression) as file:
            for name, content in members.items():
                file.writestr(zipfile.ZipInfo(name) if not name else name, content)
        return folder / "day1.npz"

    return make


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array))
    return stream.getvalue()


def header(text: str, data: bytes = b"", version=(1, 0), length=None) -> bytes:
    """A .npy of a header of our own."""
    raw = text.encode("latin1") + b"\n"
    size = struct.pack("<H", len(raw)) if version == (1, 0) else struct.pack("<I", length or len(raw))
    return b"\x93NUMPY" + bytes(version) + size + raw + data


def containers() -> dict:
    """Name -> make, where the container or a header lies."""
    size = {"bin_size_s.npy": npy(0.02)}
    good = {"counts.npy": npy(COUNTS)} | size
    shapes = {
        "header: a shape of 2**40": "(1099511627776,)",
        "header: a shape whose product passes 2**64": "(4294967296, 4294967296, 16)",
        "header: a negative shape": "(-20, 5, 6)",
        "header: True in the shape": "(True, 5, 6)",
        "header: a float in the shape": "(20.0, 5, 6)",
        "header: text for the shape": "'20'",
        "header: a longer shape than the data": "(21, 5, 6)",
        "header: a shorter shape than the data": "(19, 5, 6)",
        "header: 33 axes": "(" + "1," * 33 + ")",
    }
    data = COUNTS.tobytes()
    made = {
        name: archive(
            {"counts.npy": header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}", data)} | size
        )
        for name, shape in shapes.items()
    }
    texts = {
        "header: code": f"__import__('os').system('touch {MARK}')",
        "header: no dictionary": "[1, 2, 3]",
        "header: an unknown key": "{'descr': '|u1', 'fortran_order': False, 'shape': (20, 5, 6), 'x': 1}",
        "header: descr of objects": "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
        "header: descr of nothing": "{'descr': '|V0', 'fortran_order': False, 'shape': (20, 5, 6)}",
        "header: descr nested": "{'descr': [('a', '<f8', (99999, 99999))], 'fortran_order': False, 'shape': (1,)}",
        "header: descr of code": "{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}",
        "header: brackets without end": "(" * 400,
        "header: of 9,900 blanks and nothing": " " * 9900,
    }
    made |= {name: archive({"counts.npy": header(text, data)} | size) for name, text in texts.items()}
    made["header: version 9"] = archive({"counts.npy": header("{}", data, (9, 9))} | size)
    made["header: claims 4 GB of text"] = archive({"counts.npy": header("{}", data, (2, 0), 2**32 - 1)} | size)
    names = (
        "../../counts",
        "/etc/counts",
        "a/b",
        "..",
        "x" * 300,
        "café",
        "名前",
        "a\nb",
        "a\x1b[31m",
        "",
        "con:x",
        "~",
        "$(x)",
    )
    made |= {f"name: {name[:20]!r}": archive(good | {f"{name}.npy": npy(COUNTS)}) for name in names}
    made["member: no .npy"] = archive(good | {"run.py": f"open('{MARK}', 'w')".encode()})
    made["member: a folder"] = archive(good | {"folder/": b""})
    made["member: an archive"] = archive(good | {"inner.npz": b"PK\x05\x06" + bytes(18)})
    made["members: 3,000 of them"] = archive(good | {f"c{k}.npy": npy(0.0) for k in range(3000)})
    made["an empty archive"] = archive({})
    made["bomb: 600 MB of zeros as text"] = archive(
        size
        | {
            "counts.npy": npy(COUNTS),
            "note.npy": header("{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}", bytes(600_000_000)),
        },
        zipfile.ZIP_DEFLATED,
    )
    return made


def forged(field: str):
    """An archive whose directory lies about the size or the encryption of its first member."""

    def make(folder):
        path = archive({"counts.npy": npy(COUNTS), "bin_size_s.npy": npy(0.02)}, zipfile.ZIP_DEFLATED)(folder)
        content = bytearray(path.read_bytes())
        place = content.index(b"PK\x01\x02")
        offset, value = {"size": (24, b"\xf0\xff\xff\xff"), "small": (24, b"\x01\0\0\0"), "encrypted": (8, b"\1\0")}[
            field
        ]
        content[place + offset : place + offset + len(value)] = value
        path.write_bytes(content)
        return path

    return make


def pickled(folder):
    np.savez(folder / "day1.npz", **BINNED, note=np.array([Payload(folder / MARK)], object))
    return folder / "day1.npz"


def twice(folder):
    import warnings

    with zipfile.ZipFile(folder / "day1.npz", "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in (("counts", COUNTS), ("counts", COUNTS), ("bin_size_s", 0.02)):
            file.writestr(f"{name}.npy", npy(value))
    return folder / "day1.npz"


def saved(arrays: dict, name: str = "day1.npz"):
    def make(folder):
        np.savez(folder / name, **{key: np.asarray(value) for key, value in arrays.items() if value is not None})
        return folder / name

    return make


FLAGS = {
    "--bin_ms=0": BINNED,
    "--bin_ms=-5": BINNED,
    "--bin_ms=nan": BINNED,
    "--bin_ms=twenty": BINNED,
    "--bin_ms=30": BINNED,
    "--bin_ms=1e30": BINNED,
    "--window_s=2": BINNED,
    "--window_s=-1": SPIKES,
    "--align=cue": SPIKES,
    "--window=-0.5,1.5": SPIKES,
    "--align=trial_start_s --window=1,-1": SPIKES,
    "--align=nothing --window=-1,1": SPIKES,
    "--align=trial_start_s --window=a,b": SPIKES,
    "--align=trial_start_s --window=0,nan": SPIKES,
    "--align=trial_start_s --window=-0.5": SPIKES,
    "--align=trial_start_s --window=0,1e9": SPIKES,
    "--split=bogus": BINNED,
    "--split=blocks:0s": BINNED,
    "--split=blocks:": BINNED,
    "--split=blocks:1e9s": BINNED,
    "--behavior=speed": BINNED,
    "--trial_columns=choice": BINNED,
    "--behavior=counts": BINNED,
    "--options=regions=allen": BINNED,
    "--options=x": BINNED,
    "--shard=3/3": BINNED,
    "--shard=-1/3": BINNED,
    "--shard=a/b": BINNED,
    "--num_workers=-1": BINNED,
    "--num_workers=many": BINNED,
    "--bin_m=20": BINNED,
    "--windows=-1,1": BINNED,
    "--split": BINNED,
}


def cases() -> list[Case]:
    def good(path):
        np.savez(path, **BINNED)

    made = broken_files("npz", "arrays", good, "day1.npz")
    one_meaning = {"units: one silent among six", "split: halves"}
    made += [Case("npz", name, "arrays", saved(a), (), name in one_meaning) for name, a in edits().items()]
    made += [Case("npz", name, "arrays", make) for name, make in containers().items()]
    made += [
        Case("npz", f"directory lies: {field}", "arrays", forged(field)) for field in ("size", "small", "encrypted")
    ]
    made += [Case("npz", "a pickled object", "arrays", pickled), Case("npz", "an array twice", "arrays", twice)]
    made += [Case("command line", flags, "arrays", saved(a), tuple(flags.split())) for flags, a in FLAGS.items()]
    for name in ("a b.npz", "café.npz", "-x.npz", ".npz", "x" * 200 + ".npz", "day1.txt", "day1.NPZ"):
        made.append(Case("npz", f"file name {name[:20]!r}", "arrays", saved(BINNED, name), (), True))
    return made
