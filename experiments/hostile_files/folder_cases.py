"""Bad ALF folders, sorting folders and their tables."""

import json
import os
from pathlib import Path

import numpy as np
from harness import MARK, Case, Payload
from npz_cases import header

RNG = np.random.default_rng(0)
TRIALS, CLUSTERS, CHANNELS, LENGTH_S, RATE_HZ = 24, 12, 8, 120.0, 30000.0
PROBE, ALF = "alf/probe00/pykilosort", "alf"


def alf_arrays() -> dict[str, np.ndarray]:
    stimulus = 2.0 + np.arange(TRIALS) * 4.5
    return {
        f"{PROBE}/spikes.times": np.sort(RNG.uniform(0, LENGTH_S, 3000)),
        f"{PROBE}/spikes.clusters": RNG.integers(0, CLUSTERS, 3000).astype(np.uint32),
        f"{PROBE}/clusters.channels": RNG.integers(0, CHANNELS, CLUSTERS),
        f"{PROBE}/clusters.depths": RNG.uniform(0, 3000, CLUSTERS),
        f"{PROBE}/channels.localCoordinates": RNG.normal(size=(CHANNELS, 2)),
        f"{ALF}/_ibl_trials.intervals": np.stack([stimulus - 0.5, stimulus + 3], 1),
        f"{ALF}/_ibl_trials.stimOn_times": stimulus,
        f"{ALF}/_ibl_trials.choice": np.where(RNG.integers(0, 2, TRIALS), 1.0, -1.0),
        f"{ALF}/_ibl_wheel.timestamps": np.arange(0, LENGTH_S, 0.05),
        f"{ALF}/_ibl_wheel.position": np.arange(0, LENGTH_S, 0.05) * -0.5,
    }


def phy_arrays() -> dict[str, np.ndarray]:
    samples = np.sort(RNG.integers(0, int(60 * RATE_HZ), 3000))
    return {"spike_times": samples, "spike_clusters": RNG.integers(0, 5, 3000).astype(np.int32)}


def make_alf(folder: Path) -> Path:
    root = folder / "lab/Subjects/SWC_001/2021-06-30/001"
    for name, array in alf_arrays().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / f"{name}.npy", array)
    return root


def make_phy(folder: Path) -> Path:
    root = folder / "mouse1"
    root.mkdir()
    for name, array in phy_arrays().items():
        np.save(root / f"{name}.npy", array)
    (root / "params.py").write_text("n_channels_dat = 385\nsample_rate = 30000.\n")
    (root / "cluster_info.tsv").write_text(
        "cluster_id\tgroup\tdepth\n" + "".join(f"{k}\tgood\t{k * 20}\n" for k in range(5))
    )
    return root


def make_numpy_folder(folder: Path) -> Path:
    root = folder / "mouse1"
    root.mkdir()
    spikes = np.zeros(3000, [("sample_index", "<i8"), ("unit_index", "<i8"), ("segment_index", "<i8")])
    arrays = phy_arrays()
    spikes["sample_index"], spikes["unit_index"] = arrays["spike_times"], arrays["spike_clusters"]
    np.save(root / "spikes.npy", spikes)
    info = {"sampling_frequency": RATE_HZ, "unit_ids": list(range(5)), "num_segments": 1}
    (root / "numpysorting_info.json").write_text(json.dumps(info))
    return root


MAKE = {"ALF": make_alf, "phy": make_phy}
KIND = {"ALF": "ibl", "phy": "phy"}
NEEDED = {"ALF": (f"{PROBE}/spikes.times", f"{PROBE}/spikes.clusters"), "phy": ("spike_times", "spike_clusters")}


def damages() -> dict:
    """Name -> what is done to the path of a .npy file."""

    def replaced(put):
        def damage(path):
            path.unlink()
            put(path)

        return damage

    def cut(share):
        return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    def shaped(shape, descr="<f8"):
        text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}"
        return lambda path: path.write_bytes(header(text, bytes(24000)))

    def pickled(path):
        np.save(path, np.array([Payload(path.parent / MARK)] * 3, object))

    return {
        "gone": lambda path: path.unlink(),
        "empty file": lambda path: path.write_bytes(b""),
        "cut to a half": cut(0.5),
        "cut in its header": cut(0.002),
        "a byte short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
        "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        "a web page": lambda path: path.write_text("<html>404</html>"),
        "a folder": replaced(lambda path: path.mkdir()),
        "a pipe": replaced(os.mkfifo),
        "a link to nowhere": replaced(lambda path: path.symlink_to("nowhere")),
        "a link to itself": replaced(lambda path: path.symlink_to(path.name)),
        "a link to a device": replaced(lambda path: path.symlink_to("/dev/zero")),
        "pickled objects": pickled,
        "shape of 2**40": shaped("(1099511627776,)"),
        "shape that passes 2**64": shaped("(4294967296, 4294967296, 16)"),
        "shape negative": shaped("(-3000,)"),
        "shape of text": shaped("'x'"),
        "records": lambda path: np.save(path, np.zeros(3000, [("a", "f8")])),
        "text": lambda path: np.save(path, np.full(3000, "x")),
        "complex": lambda path: np.save(path, np.zeros(3000, complex)),
        "dates": lambda path: np.save(path, np.zeros(3000, "datetime64[s]")),
        "no entry": lambda path: np.save(path, np.zeros(0)),
        "one number": lambda path: np.save(path, np.float64(1)),
        "three axes": lambda path: np.save(path, np.zeros((3, 10, 100))),
        "shorter than its partner": lambda path: np.save(path, np.load(path)[:-7]),
        "halves and NaN": lambda path: np.save(path, np.load(path) + np.where(np.arange(3000) % 2, 0.5, np.nan)),
        "all below 0": lambda path: np.save(path, -1.0 - np.load(path)),
    }


def value_edits(format: str) -> dict:
    """Name -> (file, function of its array)."""
    times, clusters = NEEDED[format]
    made = {
        "times unsorted": (times, lambda a: a[::-1]),
        "clusters of 2**40": (clusters, lambda a: a.astype(np.int64) + 2**40 * (a == 3)),
        "times each four times": (times, lambda a: np.repeat(a[::4], 4)),
        "five clusters below 0": (clusters, lambda a: np.where(np.arange(3000) < 5, -1, a.astype(int))),
    }
    if format == "ALF":
        made |= {
            "five times NaN": (times, lambda a: np.where(np.arange(3000) < 5, np.nan, a)),
            "five times infinite": (times, lambda a: np.where(np.arange(3000) < 5, np.inf, a)),
            "times in samples": (times, lambda a: (a * RATE_HZ).astype(np.int64)),
            "stimulus NaN": (f"{ALF}/_ibl_trials.stimOn_times", lambda a: a * np.nan),
            "stimulus NaN once": (f"{ALF}/_ibl_trials.stimOn_times", lambda a: np.where(a == a[3], np.nan, a)),
            "stimulus after the end": (f"{ALF}/_ibl_trials.stimOn_times", lambda a: a + 100),
            "stimulus of one trial less": (f"{ALF}/_ibl_trials.stimOn_times", lambda a: a[1:]),
            "stimulus as text": (f"{ALF}/_ibl_trials.stimOn_times", lambda a: a.astype(str)),
            "all at one time": (f"{ALF}/_ibl_trials.stimOn_times", lambda a: a * 0 + 5),
            "choice of one trial less": (f"{ALF}/_ibl_trials.choice", lambda a: a[1:]),
            "channels out of range": (f"{PROBE}/clusters.channels", lambda a: a + 1000),
            "channels below 0": (f"{PROBE}/clusters.channels", lambda a: a - 1000),
            "channels of fewer clusters": (f"{PROBE}/clusters.channels", lambda a: a[:3]),
            "wheel of other lengths": (f"{ALF}/_ibl_wheel.position", lambda a: a[:-9]),
            "wheel times NaN": (f"{ALF}/_ibl_wheel.timestamps", lambda a: a * np.nan),
            "wheel times falling": (f"{ALF}/_ibl_wheel.timestamps", lambda a: a[::-1]),
        }
    return made


def texts() -> dict[str, dict[str, object]]:
    """Format -> name -> (file, content): tables and settings beside the spikes."""
    info = "cluster_info.tsv"
    return {
        "phy tables": {
            "params: code": ("params.py", f"open('{MARK}', 'w')\nsample_rate = __import__('os').getpid()\n"),
            "params: no Python": ("params.py", "sample_rate = = 3"),
            "params: text": ("params.py", "sample_rate = 'fast'"),
            "params: zero": ("params.py", "sample_rate = 0."),
            "params: negative": ("params.py", "sample_rate = -30000."),
            "params: infinite": ("params.py", "sample_rate = 1e400"),
            "params: no bytes of text": ("params.py", b"\xff\xfe\0\0"),
            "params: 5,000 brackets": ("params.py", "sample_rate = " + "(" * 5000),
            "params: a power": ("params.py", "sample_rate = 9**9**9"),
            "params: empty": ("params.py", ""),
            "table: no bytes of text": (info, b"\xff\xfe\xff\0"),
            "table: NUL": (info, b"cluster_id\tgroup\n0\0\tgood\n"),
            "table: no number of a cluster": (info, "cluster_id\tgroup\nx\tgood\n"),
            "table: no cluster_id": (info, "group\tdepth\ngood\t3\n"),
            "table: ragged": (info, "cluster_id\tgroup\n0\tgood\textra\n1\n"),
            "table: one cluster twice": (info, "cluster_id\tgroup\n0\tgood\n0\tnoise\n"),
            "table: 2**70": (info, f"cluster_id\tgroup\n{2**70}\tgood\n"),
            "table: half a cluster": (info, "cluster_id\tgroup\n0.5\tgood\n"),
            "table: a cell of 200,000 letters": (info, "cluster_id\tgroup\n0\t" + "x" * 200_000 + "\n"),
            "table: a quote without end": (info, 'cluster_id\tgroup\n0\t"good\n1\tmua\n'),
            "table: all noise": (info, "cluster_id\tgroup\n" + "".join(f"{k}\tnoise\n" for k in range(5))),
            "table: a column twice": (info, "cluster_id\tgroup\tgroup\n0\tgood\tnoise\n"),
        },
        "trials csv/tsv": {
            "empty": ("trials.csv", ""),
            "names only": ("trials.csv", "start_s,stop_s\n"),
            "no start_s": ("trials.csv", "onset,stop_s\n1,2\n"),
            "no stop_s": ("trials.csv", "start_s\n1\n"),
            "text for times": ("trials.csv", "start_s,stop_s\nearly,late\n"),
            "stops before starts": ("trials.csv", "start_s,stop_s\n5,1\n9,4\n12,10\n"),
            "NaN": ("trials.csv", "start_s,stop_s\nnan,nan\n"),
            "blank starts, three of ten": (
                "trials.csv",
                "start_s,stop_s\n" + "".join(f"{k if k > 2 else ''},{k + 0.9}\n" for k in range(10)),
            ),
            "infinite": ("trials.csv", "start_s,stop_s\n1,inf\n"),
            "a billion seconds": ("trials.csv", "start_s,stop_s\n0,1e9\n"),
            "all at one time": ("trials.csv", "start_s,stop_s\n" + "5,6\n" * 20),
            "ragged": ("trials.csv", "start_s,stop_s\n1\n2,3,4,5\n"),
            "no bytes of text": ("trials.csv", b"\xff\xfe\0start"),
            "NUL": ("trials.csv", b"start_s,stop_s\n1,\0\n"),
            "semicolons": ("trials.csv", "start_s;stop_s\n1;2\n"),
            "decimal commas": ("trials.tsv", "start_s\tstop_s\n1,5\t2,5\n"),
            "a column twice": ("trials.csv", "start_s,start_s,stop_s\n1,2,3\n"),
            "before the recording": ("trials.csv", "start_s,stop_s\n-9,-8\n-7,-6\n"),
            "a name with a path": (
                "trials.csv",
                "start_s,stop_s,../../x\n" + "".join(f"{k},{k + 0.9},1\n" for k in range(10)),
            ),
            "a name of no letters": (
                "trials.csv",
                "start_s,stop_s,\n" + "".join(f"{k},{k + 0.9},1\n" for k in range(10)),
            ),
            "a name of the folder's own": (
                "trials.csv",
                "start_s,stop_s,num_bins\n" + "".join(f"{k},{k + 0.9},1\n" for k in range(10)),
            ),
            "a formula": ("trials.csv", "start_s,stop_s\n=1+1,=2+2\n"),
        },
    }


def sorting_json() -> dict[str, str]:
    sound = {"sampling_frequency": RATE_HZ, "unit_ids": list(range(5)), "num_segments": 1}
    edits = {
        "no rate": {"sampling_frequency": None},
        "rate as text": {"sampling_frequency": "x"},
        "rate of zero": {"sampling_frequency": 0},
        "rate NaN": {"sampling_frequency": float("nan")},
        "no units": {"unit_ids": []},
        "fewer units": {"unit_ids": [0, 1]},
        "units: a number": {"unit_ids": 5},
        "one unit twice": {"unit_ids": [0, 0, 1, 2, 3]},
        "units nested": {"unit_ids": [[0], [1], [2], [3], [4]]},
    }
    made = {name: json.dumps(sound | edit) for name, edit in edits.items()}
    return made | {"no JSON": "{", "a list": "[1]", "brackets without end": "[" * 100_000, "empty": ""}


def cases() -> list[Case]:
    made = []
    flags = {"ALF": (), "phy": ("--window_s=2",)}
    for format, make in MAKE.items():
        for file in NEEDED[format]:
            for name, damage in damages().items():

                def hurt(folder, make=make, file=file, damage=damage):
                    root = make(folder)
                    damage(root / f"{file}.npy")
                    return root

                made.append(Case(format, f"{file.rpartition('/')[2]}: {name}", KIND[format], hurt, flags[format]))
        for name, (file, edit) in value_edits(format).items():

            def hurt(folder, make=make, file=file, edit=edit):
                root = make(folder)
                np.save(root / f"{file}.npy", edit(np.load(root / f"{file}.npy")))
                return root

            made.append(Case(format, name, KIND[format], hurt, flags[format]))
    for format, edits in texts().items():
        for name, (file, content) in edits.items():

            def hurt(folder, file=file, content=content):
                root = make_phy(folder)
                (root / file).write_bytes(content if isinstance(content, bytes) else content.encode())
                return root

            made.append(Case(format, name, "phy", hurt, flags["phy"] if format == "phy tables" else ()))
    for name, content in sorting_json().items():

        def hurt(folder, content=content):
            root = make_numpy_folder(folder)
            (root / "numpysorting_info.json").write_text(content)
            return root

        made.append(Case("SpikeInterface", name, "phy", hurt, flags["phy"]))
    return made
