"""Bad weights of `import mtm`: safetensors and .npz that lie, pickles in disguise, a config.json that does not fit."""

import dataclasses
import io
import json
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import safetensors.numpy
from harness import MARK, Case, Payload, broken_files

from neurojax.finetune.public_mtm import TABLE

SIZES = {"K": 4, "E": 6, "D": 4, "M": 6, "T": 5, "S": 2, "P": 4, "N": 3}
KINDS = {"safetensors": "weights safetensors", "npz": "weights npz"}


def weights() -> dict[str, np.ndarray]:
    """A sound model of one layer and one read-in."""
    rng = np.random.default_rng(0)
    return {
        name.replace("{n}", "0").replace("{N}", "3"): rng.normal(size=[SIZES[axis] for axis in rule.axes]).astype("f4")
        for name, rule in TABLE.items()
    }


def put(path: Path, arrays: dict[str, np.ndarray]) -> None:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        safetensors.numpy.save_file(arrays, path)
    (path.parent / "config.json").write_text(json.dumps({"num_heads": 2}))


def payload(folder: Path) -> bytes:
    """A pickle that leaves a mark where it is opened; NumPy writes it behind a header of its own."""
    file = io.BytesIO()
    np.save(file, np.array([Payload(folder / MARK)], object))
    return file.getvalue().partition(b"\n")[2]


def edits() -> dict[str, dict[str, np.ndarray]]:
    """Name -> arrays of a file whose container is sound."""
    good = weights()
    norm, stitcher = "encoder.out_norm.bias", "encoder.stitcher.stitcher_dict.3.weight"
    zeros = np.zeros(4, np.float32)
    made = {
        "NaN": good | {norm: np.full(4, np.nan, np.float32)},
        "infinity": good | {norm: np.full(4, np.inf, np.float32)},
        "float64": good | {norm: np.zeros(4)},
        "whole numbers": good | {norm: np.zeros(4, np.int32)},
        "true and false": good | {norm: np.zeros(4, bool)},
        "one axis more": good | {norm: zeros[None]},
        "no axis": good | {norm: np.zeros((), np.float32)},
        "no entries": good | {norm: zeros[:0]},
        "turned": good | {stitcher: good[stitcher].T.copy()},
        "another number of units": good | {stitcher: np.zeros((4, 9), np.float32)},
        "one gone": {name: array for name, array in good.items() if name != norm},
        "one more": good | {"encoder.layers.0.attn.lora_A": zeros},
        "with and without a prefix": good | {f"module.{norm}": zeros},
        "a read-in of 10**6 units": good | {"encoder.stitcher.stitcher_dict.1000000.weight": zeros},
        "a layer 9999": good | {"encoder.layers.9999.ln1.bias": zeros},
        "a layer -1": good | {"encoder.layers.-1.ln1.bias": zeros},
        "a layer 007": good | {"encoder.layers.007.ln1.bias": zeros},
        "a general name": good | {"encoder.layers.{n}.ln1.bias": zeros},
        "nothing": {},
        "of GPT-2": {f"h.{n}.attn.c_attn.weight": np.zeros((4, 12), np.float32) for n in range(12)},
        "a name of 50,000 letters": good | {"x" * 50_000: zeros},
        "3,000 names": {f"encoder.layers.{n}.ln1.bias": zeros for n in range(3000)},
        "a name with a line break": good | {"encoder\nneurojax: done": zeros},
    }
    return made


def with_header(path: Path, change) -> None:
    """A safetensors file with its header changed, as an object or as text."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = change(json.loads(content[8 : 8 + length]))
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def headers() -> dict:
    """Name -> change of a safetensors header."""
    norm = "encoder.out_norm.bias"

    def entry(**changes):
        return lambda header: header | {norm: header[norm] | changes}

    def twice(header):
        text = json.dumps(header)
        return (text[:-1] + f', "{norm}": {json.dumps(header[norm])}' + "}").encode()

    return {
        "shape of 2**62": entry(shape=[2**62]),
        "shape -4": entry(shape=[-4]),
        "shape of text": entry(shape="4"),
        "shape of halves": entry(shape=[4.0]),
        "shape of 70 axes": entry(shape=[1] * 69 + [4]),
        "no shape": entry(shape=None),
        "offsets past the end": entry(data_offsets=[10**9, 10**9 + 16]),
        "offsets backwards": entry(data_offsets=[16, 0]),
        "offsets of another": lambda header: header | {norm: header["encoder.embedder.projection.bias"]},
        "one offset": entry(data_offsets=[0]),
        "dtype none": entry(dtype=None),
        "dtype a list": entry(dtype=["F32"]),
        "dtype object": entry(dtype="O"),
        "dtype F64": entry(dtype="F64"),
        "an entry that is text": lambda header: header | {norm: "F32"},
        "a list": lambda header: b"[]",
        "no JSON": lambda header: b"\xff" * 50,
        "nested 10**5 deep": lambda header: b'{"a":' + b"[" * 10**5 + b"]" * 10**5 + b"}",
        "a name twice": twice,
        "empty": lambda header: b"",
    }


def members() -> dict:
    """Name -> what is written into a .npz beside or instead of sound arrays."""

    def pickled(folder, path):
        np.savez(path, **weights() | {"more": np.array([Payload(folder / MARK)], object)})

    def twice(folder, path):
        np.savez(path, **weights())
        with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile knows that the name is there
            archive.writestr("encoder.out_norm.bias.npy", archive.read("encoder.out_norm.bias.npy"))

    def outside(folder, path):
        np.savez(path, **weights())
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("../outside.npy", archive.read("encoder.out_norm.bias.npy"))

    def of_torch(folder, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", payload(folder))
            archive.writestr("archive/data/0", bytes(64))

    def huge(folder, path):
        np.savez(path, **weights())
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }".ljust(117) + b"\n"
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("huge.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(16))

    return {
        "a pickled object": pickled,
        "a name twice": twice,
        "a name that leaves": outside,
        "a torch archive": of_torch,
        "a header of 4 TB": huge,
    }


def configs() -> dict[str, str]:
    """Name -> text of a config.json beside sound weights."""
    session = '{"session_id": %s, "num_units": %s}'
    return {
        "no JSON": "{",
        "a list": "[]",
        "nested": '{"sessions": ' + "[" * 10**5 + "]" * 10**5 + "}",
        "heads 0": '{"num_heads": 0}',
        "heads 3": '{"num_heads": 3}',
        "heads 10**40": '{"num_heads": 1%s}' % ("0" * 40),
        "heads true": '{"num_heads": true}',
        "bins NaN": '{"num_heads": 2, "bin_size_s": NaN}',
        "bins of 20 s": '{"num_heads": 2, "bin_size_s": 20}',
        "another entry": '{"model_type": "gpt2"}',
        "a session that leaves": '{"num_heads": 2, "sessions": [%s]}' % (session % ('"../../up"', 3)),
        "a session of 4 units": '{"num_heads": 2, "sessions": [%s]}' % (session % ('"a"', 4)),
        "a session of true units": '{"num_heads": 2, "sessions": [%s]}' % (session % ('"a"', "true")),
        "a number": '{"num_heads": 2, "sessions": [3]}',
    }


def cases() -> list[Case]:
    made = []
    for ending, kind in KINDS.items():
        name = f"weights.{ending}"
        # Zeros within an array are an array: no container of weights has a checksum but .npz.
        harmless = "200 bytes overwritten" if ending == "safetensors" else ""
        made += broken_files(kind, "mtm", lambda path: put(path, weights()), name, harmless=harmless)
        for what, arrays in edits().items():
            if ending == "npz" and what == "a name of 50,000 letters":
                continue

            def edited(folder, name=name, arrays=arrays):
                put(folder / name, arrays)
                return folder

            made.append(Case(kind, what, "mtm", edited))
    for what, change in headers().items():

        def forged(folder, change=change):
            put(folder / "weights.safetensors", weights())
            with_header(folder / "weights.safetensors", change)
            return folder

        made.append(Case(KINDS["safetensors"], f"header: {what}", "mtm", forged))
    for what, write in members().items():

        def packed(folder, write=write):
            write(folder, folder / "weights.npz")
            return folder

        made.append(Case(KINDS["npz"], f"member: {what}", "mtm", packed))
    for what, text in configs().items():

        def described(folder, text=text):
            put(folder / "weights.safetensors", weights())
            (folder / "config.json").write_text(text)
            return folder

        made.append(Case(KINDS["safetensors"], f"config: {what}", "mtm", described))
    for ending in (".pt", ".pth", ".pkl", ".bin", ".ckpt", ".safetensors", ".npz", ".npy", ""):

        def disguised(folder, ending=ending):
            path = folder / f"model{ending}"
            path.write_bytes(payload(folder))
            return path

        made.append(Case("weights pickled", f"a pickle called model{ending}", "mtm", disguised))

    def beside(folder):
        (folder / "model.pt").write_bytes(payload(folder))
        return folder

    made.append(Case("weights pickled", "alone in a folder", "mtm", beside))
    return [dataclasses.replace(case, verb="import") for case in made]
