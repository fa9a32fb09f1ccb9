"""Bad .mat files, v5 and v7.3: containers, classes that are no numbers, dimensions that lie."""

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import scipy.io
import scipy.sparse
from harness import Case, broken_files
from npz_cases import BINNED, COUNTS, SPIKES, TIMES, changed, edits, with_nan

_DATA = COUNTS.tobytes()
HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
NAMED = ("--options=counts=counts,axes=trials:bins:units,bin_size_s=0.02",)


def saved_v5(arrays: dict):
    def make(folder):
        content = {name: np.asarray(value) for name, value in arrays.items() if value is not None}
        scipy.io.savemat(folder / "day1.mat", content)
        return folder / "day1.mat"

    return make


def element(kind: int, data: bytes, size: int | None = None) -> bytes:
    """A tagged element; `size` may lie."""
    return struct.pack("<II", kind, len(data) if size is None else size) + data + bytes(-len(data) % 8)


def matrix(name=b"counts", klass=9, dims=(20, 5, 6), data=_DATA, flags=0, dims_kind=5, data_kind=2, **sizes):
    """A miMATRIX by hand: class 9 is uint8."""
    body = element(6, struct.pack("<II", klass | flags, 0)) + element(dims_kind, struct.pack(f"<{len(dims)}i", *dims))
    return element(14, body + element(1, name) + element(data_kind, data, sizes.get("data_size")), sizes.get("size"))


def by_hand(*elements: bytes, head: bytes = HEADER):
    def make(folder):
        scipy.io.savemat(folder / "bin.mat", {"bin_size_s": 0.02})
        (folder / "day1.mat").write_bytes(head + b"".join(elements) + (folder / "bin.mat").read_bytes()[128:])
        (folder / "bin.mat").unlink()
        return folder / "day1.mat"

    return make


def packed(content: bytes) -> bytes:
    return element(15, zlib.compress(content))[: 8 + len(zlib.compress(content))]


def v5_elements() -> dict:
    deep = matrix(b"x", 9, (1, 1), b"\1")
    for _ in range(3000):  # cells in cells
        deep = element(
            14,
            element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<ii", 1, 1)) + element(1, b"x") + deep,
        )
    return {
        "dimensions: 2**31 - 1 squared": matrix(dims=(2**31 - 1, 2**31 - 1)),
        "dimensions: product passes 2**64": matrix(dims=(2**31 - 1,) * 4),
        "dimensions: negative": matrix(dims=(-20, 5, 6)),
        "dimensions: none": matrix(dims=()),
        "dimensions: more than data": matrix(dims=(21, 5, 6)),
        "dimensions: 40 axes": matrix(dims=(1,) * 40),
        "dimensions: as text": matrix(dims_kind=1),
        "class: 0": matrix(klass=0),
        "class: function handle": matrix(klass=16),
        "class: opaque object": matrix(klass=17),
        "class: old object": matrix(klass=3),
        "class: struct of nothing": matrix(klass=2),
        "class: sparse with dense data": matrix(klass=5),
        "class: cell with numbers": matrix(klass=1),
        "class: 255": matrix(klass=255),
        "flags: complex without its second part": matrix(flags=0x800),
        "data: kind 0": matrix(data_kind=0),
        "data: kind 99": matrix(data_kind=99),
        "data: claims 4 GB": matrix(data_size=2**32 - 1),
        "element: claims 4 GB": matrix(size=2**32 - 8),
        "element: claims nothing": matrix(size=0),
        "element: kind 1000": element(1000, b"abc"),
        "name: empty": matrix(b""),
        "name: a path": matrix(b"../../etc/passwd"),
        "name: no ASCII": matrix("é".encode()),
        "name: 4,000 letters": matrix(b"x" * 4000),
        "name: a line break": matrix(b"a\nb"),
        "packed: not zlib": element(15, b"not zlib at all."),
        "packed: cut": packed(matrix())[:200],
        "packed: twice": packed(packed(matrix())),
        "packed: 300 MB of zeros": packed(matrix(b"x", 9, (300_000_000, 1), bytes(300_000_000))),
        "packed: claims more than it holds": packed(matrix(dims=(2**30, 2, 4))),
        "cells in cells, 3,000 deep": deep,
    }


def v5_cases() -> list[Case]:
    def good(path):
        scipy.io.savemat(path, BINNED, do_compression=True)

    made = broken_files("mat v5", "arrays", good, "day1.mat")
    made += [Case("mat v5", f"by hand, {n}", "arrays", by_hand(content)) for n, content in v5_elements().items()]
    made += [
        Case(
            "mat v5",
            "header: big-endian mark, little-endian data",
            "arrays",
            by_hand(matrix(), head=HEADER[:126] + b"MI"),
        ),
        Case("mat v5", "header: version 9", "arrays", by_hand(matrix(), head=HEADER[:124] + b"\0\x09IM")),
        Case("mat v5", "header: no text", "arrays", by_hand(matrix(), head=bytes(124) + b"\0\1IM")),
    ]
    chosen = ("counts:", "bin size:", "split:", "offsets:", "spikes:", "units:", "trials:")
    foreign = ("dates", "no bin", "no trial", "no unit", "none", "not there", "two of them")
    one_meaning = {"units: one silent among six", "offsets: two axes"}  # MATLAB has no arrays of one axis
    for name, arrays in edits().items():
        if name.startswith(chosen) and not any(word in name for word in foreign):
            made.append(Case("mat v5", name, "arrays", saved_v5(arrays), (), name in one_meaning))
    cells = np.array([COUNTS[0], "text", {"a": 1}], object)
    odd = {
        "a struct for counts": {"counts": {"a": COUNTS}},
        "a cell for counts": {"counts": cells},
        "sparse counts, negative": {"counts": scipy.sparse.csc_matrix(-COUNTS.reshape(100, 6).astype(float))},
        "a struct of structs": {"counts": {"a": {"b": {"c": 1}}}},
        "an empty cell": {"counts": np.empty((0, 0), object)},
    }
    for name, edit in odd.items():
        make = lambda folder, edit=edit: (scipy.io.savemat(folder / "day1.mat", BINNED | edit), folder / "day1.mat")[1]  # noqa: E731
        made += [Case("mat v5", name, "arrays", make), Case("mat v5", f"{name}, by path", "mat", make, NAMED)]
    flags = (
        "counts=nothing,axes=trials:bins:units,bin_size_s=0.02",
        "counts=counts",
        "counts=counts.x.y,bin_size_s=0.02",
        "counts=counts,axes=units,bin_size_s=0.02",
        "counts=counts,axes=bins:bins:units,bin_size_s=0.02",
        "counts=counts,axes=trials:bins:units,bin_size_s=nothing",
        "spikes=counts",
        "counts=counts,spikes=counts",
        "counts=,bin_size_s=0.02",
        "counts=..,bin_size_s=0.02",
        "axes=units:bins",
        "counts=counts,counts=counts",
    )
    return made + [
        Case("mat v5", f"--options={flag}", "mat", saved_v5(BINNED), (f"--options={flag}",)) for flag in flags
    ]


def write_v73(path: Path, arrays: dict, edit=None) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in arrays.items():
            if value is not None:
                file.create_dataset(name, data=np.atleast_2d(np.asarray(value)).T).attrs["MATLAB_class"] = np.bytes_(
                    "double"
                )
        if edit:
            edit(file)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")


def again(file, name, *shape, **words):
    """The dataset made anew."""
    if name in file:
        del file[name]
    made = file.create_dataset(name, *shape, **words)
    made.attrs["MATLAB_class"] = np.bytes_("double")
    return made


def v73_edits() -> dict:
    def link(kind):
        def edit(file):
            del file["counts"]
            file["counts"] = kind

        return edit

    def virtual(file):
        layout = h5py.VirtualLayout((6, 5, 20), "f8")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (6, 5, 20))
        del file["counts"]
        file.create_virtual_dataset("counts", layout)

    def klass(name):
        def edit(file):
            file["counts"].attrs["MATLAB_class"] = np.bytes_(name)

        return edit

    def references(file):
        again(file, "counts", data=np.full((3, 1), h5py.Reference(), h5py.ref_dtype)).attrs["MATLAB_class"] = np.bytes_(
            "cell"
        )

    def dangling(file):
        gone = file.create_dataset("gone", data=1.0)
        again(file, "counts", data=np.array([[gone.ref]], h5py.ref_dtype)).attrs["MATLAB_class"] = np.bytes_("cell")
        del file["gone"]

    def itself(file):
        made = again(file, "counts", (1, 1), dtype=h5py.ref_dtype)
        made[0, 0], made.attrs["MATLAB_class"] = made.ref, np.bytes_("cell")

    return {
        "a group for counts": lambda file: (file.__delitem__("counts"), file.create_group("counts/a")),
        "an outside link": link(h5py.ExternalLink("/etc/passwd", "/x")),
        "an outside link to itself": link(h5py.ExternalLink("day1.mat", "/counts")),
        "a soft link to nowhere": link(h5py.SoftLink("/nowhere")),
        "a soft link to itself": link(h5py.SoftLink("/counts")),
        "a virtual dataset": virtual,
        "data in another file": lambda file: again(
            file, "counts", (100,), dtype="u1", external=[("/etc/passwd", 0, 100)]
        ),
        "a claim of 2**40 numbers": lambda file: again(file, "counts", (2**20, 2**20), dtype="f8", chunks=(64, 64)),
        "a claim that passes 2**64": lambda file: again(
            file, "counts", (2**31, 2**31, 8), dtype="u1", chunks=(8, 8, 8)
        ),
        "no space at all": lambda file: again(file, "counts", data=h5py.Empty("f8")),
        "class: function handle": klass("function_handle"),
        "class: table": klass("table"),
        "class: char, but doubles": klass("char"),
        "class: cell, but doubles": klass("cell"),
        "class: no text": lambda file: file["counts"].attrs.__setitem__("MATLAB_class", np.arange(3)),
        "class: no ASCII": klass("é".encode()),
        "empty of 2**40": lambda file: file["counts"].attrs.__setitem__("MATLAB_empty", 1),
        "cell of null references": references,
        "cell of a reference to what is gone": dangling,
        "cell that holds itself": itself,
        "compound values": lambda file: again(file, "counts", data=np.zeros((3, 2), [("real", "f8"), ("imag", "f8")])),
        "values of a length each": lambda file: again(file, "counts", (3,), dtype=h5py.vlen_dtype("f8")),
        "an enum": lambda file: again(file, "counts", data=np.zeros((3, 3), "u1"), dtype=h5py.enum_dtype({"a": 0})),
        "opaque values": lambda file: again(file, "counts", data=np.zeros((3, 3), "V5")),
        "another name of no letters": lambda file: again(file, "é\n", data=np.zeros((3, 3))),
        "a name of 5,000 letters": lambda file: again(file, "x" * 5000, data=np.zeros((3, 3))),
    }


def v73_cases() -> list[Case]:
    made = broken_files(
        "mat v7.3", "arrays", lambda path: write_v73(path, BINNED), "day1.mat", harmless="its first 512 bytes zero"
    )  # HDF5 begins behind them

    def saved(arrays, edit=None):
        def make(folder):
            write_v73(folder / "day1.mat", arrays, edit)
            return folder / "day1.mat"

        return make

    for name, edit in v73_edits().items():
        made.append(Case("mat v7.3", name, "arrays", saved(BINNED, edit)))
        if name.startswith(("a ", "cell", "class")):
            made.append(
                Case("mat v7.3", f"{name}, by path", "mat", saved(BINNED, edit), NAMED, name.startswith("a name"))
            )
    values = {
        "counts: negative": BINNED | {"counts": changed(COUNTS.astype(float), _3=-1)},
        "counts: NaN": BINNED | {"counts": with_nan(COUNTS)},
        "counts: halves": BINNED | {"counts": COUNTS + 0.5},
        "spikes: some NaN": SPIKES | {"spike_times_s": with_nan(TIMES, 5)},
        "spikes: unsorted": SPIKES | {"spike_times_s": TIMES[::-1]},
        "units: below 0": SPIKES | {"spike_units": SPIKES["spike_units"] - 1},
        "trials: stops before starts": SPIKES | {"trial_stop_s": np.arange(20) - 0.5},
    }
    return made + [Case("mat v7.3", name, "arrays", saved(arrays)) for name, arrays in values.items()]


def cases() -> list[Case]:
    return v5_cases() + v73_cases()
