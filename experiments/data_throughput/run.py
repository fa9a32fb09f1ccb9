"""How fast are spikes binned and batches read, against what else one would use, and in how much memory?

    python experiments/data_throughput/run.py [--only=binning,convert,pipeline,stall] [--rounds=15]

Every method of a part runs once a round, in an order drawn anew; ratios are of the same round. Memory is that of
processes of their own, one a scale: 1x, 10x and 100x the recording. Each part replaces its entry of results.json.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np  # noqa: E402  (the environment above is read at import)

from neurojax.data.batching import BatchingConfig, Layout, Planner, gather  # noqa: E402
from neurojax.data.binning import bin_spike_times  # noqa: E402
from neurojax.data.buffers import Buffers  # noqa: E402
from neurojax.data.pipeline import stream  # noqa: E402
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.files import read_json, write_json  # noqa: E402
from neurojax.runs.workdir import provenance  # noqa: E402

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
SCALES = (1, 10, 100)
BIN_S, WINDOW_BINS = 0.02, 100
UNITS, MEAN_HZ, BASE_S = 300, 5.0, 120.0  # the recording of scale 1
SESSIONS, BASE_TRIALS = 6, 12  # trials of each session of scale 1
BATCHES = 100  # read in a round
STEP_S, STEPS = 0.01, 100  # of a device that is busy so long while the host waits for it
SHAPES = {"2 sessions x 16 trials": (2, 32), "1 session x 16 trials": (1, 16), "1 session x 64 trials": (1, 64)}


def spikes_of(scale: int, folder: Path | None = None) -> tuple[np.ndarray, np.ndarray, float]:
    """Times in order and their units, with rates that differ as those of neurons do; made in pieces, on disk."""
    rng = np.random.default_rng(0)
    rates_hz = rng.gamma(1.0, MEAN_HZ, UNITS)
    pieces = []
    for piece in range(scale):
        number = rng.poisson(rates_hz * BASE_S)
        times = rng.uniform(0, BASE_S, number.sum()) + piece * BASE_S
        order = np.argsort(times)
        pieces.append((times[order], np.repeat(np.arange(UNITS, dtype=np.int32), number)[order]))
    times, units = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    if folder is not None:
        np.save(folder / "times.npy", times)
        np.save(folder / "units.npy", units)
    return times, units, scale * BASE_S


def rounds_of(methods: dict[str, Callable], number: int, clock=time.process_time) -> dict[str, list[float]]:
    """Seconds of each method in each round; the first round of all warms up and is left out."""
    taken = {name: [] for name in methods}
    for turn in range(number + 1):
        for name in random.Random(turn).sample(sorted(methods), len(methods)):
            began = clock()
            methods[name]()
            if turn:
                taken[name].append(clock() - began)
    return taken


def quartiles(values) -> list[float]:
    return [float(f"{value:.4g}") for value in np.quantile(values, (0.25, 0.5, 0.75))]


def compared(taken: dict[str, list[float]], amount: float, ours: str) -> dict:
    """Rates of each method and paired ratios of ours to it, as quartiles."""
    return {
        name: {
            "per_s": quartiles(amount / np.array(seconds)),
            "ours_to_it": quartiles(np.array(seconds) / np.array(taken[ours])),
        }
        for name, seconds in taken.items()
    }


def binning(rounds: int, scratch: Path) -> dict:
    import pynapple
    from pynapple.core._jitted_functions import jitcount

    times, units, total_s = spikes_of(10)
    trains = [times[units == unit] for unit in range(UNITS)]
    starts = np.arange(0, total_s, WINDOW_BINS * BIN_S)
    edges = np.arange(round(total_s / BIN_S) + 1) * BIN_S
    group, epoch = pynapple.TsGroup(dict(enumerate(map(pynapple.Ts, trains)))), pynapple.IntervalSet(0, total_s)
    flat, labels = np.concatenate(trains), np.repeat(np.arange(UNITS), [len(train) for train in trains])

    def ours(times, units):
        return bin_spike_times(times, units, UNITS, starts, np.full(len(starts), WINDOW_BINS), BIN_S)

    methods = {
        "neurojax, spikes in order of time": lambda: ours(times, units),
        "neurojax, one train after another": lambda: ours(flat, labels),
        "pynapple, TsGroup.count": lambda: group.count(BIN_S, epoch),
        "pynapple, its compiled loop alone": lambda: [
            jitcount(train, epoch.start, epoch.end, BIN_S, np.dtype(np.int64)) for train in trains
        ],
        "numpy.histogram a unit": lambda: np.stack([np.histogram(train, edges)[0] for train in trains], axis=1),
    }
    expected = methods["numpy.histogram a unit"]()
    for name in list(methods)[:2]:
        np.testing.assert_array_equal(methods[name](), expected)
    differing = int((np.asarray(group.count(BIN_S, epoch).d) != expected).sum())  # it rounds edges to 9 digits
    first, *others = methods
    taken = rounds_of(methods, rounds)
    result = {"num_spikes": len(times), "num_units": UNITS, "num_bins": len(edges) - 1, "clock": "process CPU seconds"}
    result |= {"methods": compared(taken, len(times), first), "pynapple_bins_that_differ": differing}
    result["one_train_after_another"] = compared(taken, len(times), others[0])
    result["memory"] = {f"{scale}x": in_own_process("binning_memory", scale, scratch) for scale in SCALES}
    return result


def binning_memory(scale: int, folder: Path) -> dict:
    """Peak memory of binning beyond the spikes, which lie on disk, and the counts it returns."""
    spikes_of(scale, folder)
    code = (
        "import sys, json, numpy as np; from pathlib import Path\n"
        "from neurojax.data.binning import bin_spike_times\n"
        "folder, units, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])\n"
        "times, rows = np.load(folder / 'times.npy', mmap_mode='r'), np.load(folder / 'units.npy', mmap_mode='r')\n"
        "status = lambda: Path('/proc/self/status').read_text()\n"
        "peak = lambda: int(status().split('VmHWM:')[1].split()[0]) * 1024\n"
        "starts = np.arange(0, seconds, 2.0); before = peak()\n"
        "counts = bin_spike_times(times, rows, units, starts, np.full(len(starts), 100), 0.02)\n"
        "print(json.dumps({'num_spikes': len(times), 'peak_bytes': peak(), 'before_bytes': before,\n"
        "                  'spikes_bytes': times.nbytes + rows.nbytes, 'counts_bytes': counts.nbytes}))\n"
    )
    words = [sys.executable, "-c", code, str(folder), str(UNITS), str(scale * BASE_S)]
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    held = found["before_bytes"] + found["spikes_bytes"] + found["counts_bytes"]
    return found | {"scratch_bytes": max(0, found["peak_bytes"] - held)}


def convert(rounds: int, scratch: Path) -> dict:
    """`neurojax convert phy` of one recording: everything from the files to the hashed session folder."""
    return {f"{scale}x": in_own_process("convert_once", scale, scratch) for scale in SCALES}


def convert_once(scale: int, folder: Path) -> dict:
    from neurojax.data.conversion import convert_session
    from neurojax.data.readers.spec import ReadSpec

    source = folder / "recording"
    source.mkdir()
    words = [sys.executable, str(Path(__file__)), "--inner=write_sorting", f"--scale={scale}", f"--folder={source}"]
    subprocess.run(words, check=True)
    before, began = memory_bytes("VmHWM"), time.process_time()
    convert_session(source, ReadSpec(window_s=2.0), out=folder / "out", kind="phy")
    taken_s = time.process_time() - began
    number = len(np.load(source / "spike_times.npy", mmap_mode="r"))
    return {
        "num_spikes": number,
        "cpu_s": round(taken_s, 3),
        "spikes_per_s": round(number / taken_s),
        "peak_bytes": memory_bytes("VmHWM"),
        "before_bytes": before,
        "counts_bytes": (folder / "out" / "recording" / "counts.npy").stat().st_size,
    }


def write_sorting(scale: int, folder: Path) -> dict:
    times, units, _ = spikes_of(scale)
    np.save(folder / "spike_times.npy", np.round(times * 30_000).astype(np.int64))
    np.save(folder / "spike_clusters.npy", units)
    (folder / "params.py").write_text("sample_rate = 30000.\n")
    return {}


def pipeline(rounds: int, scratch: Path) -> dict:
    return {f"{scale}x": in_own_process("pipeline_at", scale, scratch, rounds) for scale in SCALES}


def pipeline_at(scale: int, folder: Path, rounds: int) -> dict:
    rng = np.random.default_rng(0)
    for number, num_units in enumerate(rng.integers(304, 1108, SESSIONS).tolist()):  # as in the repeated-site set
        counts = rng.poisson(0.08, (BASE_TRIALS * scale, WINDOW_BINS, num_units)).astype(np.uint8)
        write_session(from_counts(counts, bin_size_s=BIN_S, session_id=f"s{number}"), folder)
    write_dataset_index(folder)
    del counts
    sessions = open_dataset(folder, verify="none").sessions
    layout, memory = Layout.of(sessions), Buffers()
    result = {"bytes_on_disk": sum(session.counts.nbytes for session in sessions), "clock": "wall and CPU seconds"}
    for label, (groups, trials) in SHAPES.items():
        planner = Planner(sessions, BatchingConfig(groups, trials, 128, 1.0), seed=0)
        plans = [planner.plan(index) for index in range(BATCHES)]

        def trial_of(session, trial):
            start = session.trial_start_bin[trial]
            return np.asarray(session.counts)[start : start + session.trial_num_bins[trial]]

        def one_by_one(plans=plans):
            for plan in plans:
                for session, chosen in zip(plan.session, plan.trial, strict=True):
                    for trial in chosen:
                        np.array(trial_of(sessions[session], trial))

        def stacked(plans=plans):
            for plan in plans:
                for session, chosen in zip(plan.session, plan.trial, strict=True):
                    np.stack([trial_of(sessions[session], trial) for trial in chosen])

        def batch(index, planner=planner):
            return gather(sessions, layout, planner.plan(index), memory.empty)

        def read(num_threads, batch=batch):
            for _ in stream(batch, 0, BATCHES, num_threads=num_threads):
                pass

        ours = "pipeline, 1 reader thread"
        methods = {
            ours: lambda read=read: read(1),
            "pipeline, read when asked": lambda read=read: read(0),
            "raw copy, each trial thrown away": one_by_one,
            "raw copy, trials of a batch stacked": stacked,
        }
        taken = rounds_of(methods, rounds, lambda: np.array([time.perf_counter(), time.process_time()]))
        result[label] = {}
        for column, clock in enumerate(("wall", "cpu")):
            seconds = {name: [pair[column] for pair in pairs] for name, pairs in taken.items()}
            result[label][clock] = compared(seconds, BATCHES * trials, ours)
    result["own_bytes"] = memory_bytes("RssAnon")  # without the recordings' pages, which are the disk's
    return result


def stall(rounds: int, scratch: Path) -> dict:
    """How long steps of STEP_S wait for their batch; the host sleeps while the device works.

    Of every way to read: `share_of_time`, all waits of a round over waits and steps (of STEP_S each, however late
    a busy machine wakes the host), and `median_step`, the same of a step with the median wait; quartiles over rounds.
    """
    rng = np.random.default_rng(0)
    sessions = [
        from_counts(
            rng.poisson(0.08, (10 * BASE_TRIALS, WINDOW_BINS, units)).astype(np.uint8),
            bin_size_s=BIN_S,
            session_id=f"s{units}",
        )
        for units in rng.integers(304, 1108, SESSIONS).tolist()
    ]
    layout, memory = Layout.of(sessions), Buffers()
    planner = Planner(sessions, BatchingConfig(*SHAPES["2 sessions x 16 trials"], 128, 1.0), seed=0)

    def shares(num_threads: int) -> tuple[float, float]:
        def batch(index):
            return gather(sessions, layout, planner.plan(index), memory.empty)

        batches, waited = stream(batch, 0, STEPS + 1, num_threads=num_threads), []
        next(batches)
        for _ in range(STEPS):
            time.sleep(STEP_S)
            began = time.perf_counter()
            next(batches)
            waited.append(time.perf_counter() - began)
        # On a shared machine some waits are those of a host that was not there: the median leaves them out.
        mean_s, median_s = float(np.mean(waited)), float(np.median(waited))
        return mean_s / (mean_s + STEP_S), median_s / (median_s + STEP_S)

    result = {}
    for number, label in {0: "read when asked", 1: "1 reader thread"}.items():
        of_time, of_median = zip(*(shares(number) for _ in range(rounds)), strict=True)
        result[label] = {"share_of_time": quartiles(of_time), "median_step": quartiles(of_median)}
    return result


def memory_bytes(field: str) -> int:
    """A line of this process's status: VmHWM is the peak of all pages, RssAnon what is not a file's now."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) * 1024


def in_own_process(name: str, scale: int, scratch: Path, rounds: int = 0) -> dict:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        words = [sys.executable, str(Path(__file__)), f"--inner={name}", f"--scale={scale}", f"--folder={folder}"]
        done = subprocess.run([*words, f"--rounds={rounds}"], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


PARTS = {"binning": binning, "convert": convert, "pipeline": pipeline, "stall": stall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="binning,convert,pipeline,stall")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scratch", default=None, help="a folder with 4 GB of room")
    for name in ("inner", "scale", "folder"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.inner:
        extra = (words.rounds,) if words.inner == "pipeline_at" else ()
        print(json.dumps(globals()[words.inner](int(words.scale), Path(words.folder), *extra)))
        return
    results = read_json(RESULTS) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory(dir=words.scratch) as scratch:
        for name in words.only.split(","):
            found = PARTS[name](words.rounds, Path(scratch))
            results[name] = {**provenance(HERE), "rounds": words.rounds, "result": found}
            write_json(RESULTS, results)
            print(f"{name}: done")


if __name__ == "__main__":
    main()
