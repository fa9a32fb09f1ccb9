"""How much memory a conversion takes, of recordings that get longer: read in blocks, and read whole.

    python experiments/larger_than_memory/run.py [--folder=runs/larger_than_memory]   # some minutes; starts over

Makes one person of 16 electrodes at 2 kHz (float32) for each length, converts it by `neurojax convert emg` in a process
of its own, and once more with the recording read whole; writes the peak of resident memory to results.json.
"""

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

from neurojax.files import write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
MEGABYTES = (50, 150, 500)  # of samples
CHANNELS, RATE_HZ, BLOCK = 16, 2000, 2**16
WHOLE = """
import sys
from neurojax.data.readers import emg
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.session_format import write_session
write_session(emg.read_session(sys.argv[1], ReadSpec()), sys.argv[2])
"""
NOTHING = "import sys; from neurojax.data.readers import emg; from neurojax.data.store import session_format"


def write_person(path: Path, samples: int, compression: int) -> None:
    """A recording, written a block at a time; segments of five seconds, seven gestures in turn."""
    rng = np.random.default_rng(0)
    offsets = np.append(np.arange(0, samples - 5 * RATE_HZ, 5 * RATE_HZ), samples)
    small = {
        "segment_offsets": offsets,
        "gesture": np.arange(len(offsets) - 1) % 7,
        "gesture_names": np.array([f"gesture {number}" for number in range(7)]),
        "sampling_rate_hz": np.float64(RATE_HZ),
        "consent": np.array("made up"),
    }
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        for name, array in small.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
        with archive.open("emg.npy", "w", force_zip64=True) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": (samples, CHANNELS)}
            np.lib.format.write_array_header_1_0(member, header)
            for first in range(0, samples, BLOCK):
                number = min(BLOCK, samples - first)
                block = np.round(30 * rng.standard_normal((number, CHANNELS), np.float32), 1)
                member.write(block.tobytes())


def peak_mb(*command: str) -> float:
    """Peak resident memory of a process, MB; stops where it fails. This process, whose own memory counts until the
    other one starts, stays small: it never holds a recording."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:3]} failed")
    return usage.ru_maxrss * 1024 / 1e6


def measured(megabytes: int, compression: int, folder: Path) -> dict:
    """Peaks of one length, in blocks and whole."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "person.npz"
    samples = int(megabytes * 1e6) // (4 * CHANNELS)
    write_person(path, samples, compression)
    convert = ("-m", "neurojax", "convert", "emg", str(path), f"--out={folder / 'blocks'}", "--num_workers=0")
    found = {"megabytes": megabytes, "minutes": samples / RATE_HZ / 60, "file_mb": path.stat().st_size / 1e6}
    found["blocks_mb"] = peak_mb(*convert)
    found["whole_mb"] = peak_mb("-c", WHOLE, str(path), str(folder / "whole"))
    one, other = (folder / way / "person" / "values.npy" for way in ("blocks", "whole"))
    found["same_bytes"] = filecmp.cmp(one, other, shallow=False)
    shutil.rmtree(folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/larger_than_memory"))
    folder = parser.parse_args().folder
    rows = {"stored": [measured(one, zipfile.ZIP_STORED, folder) for one in MEGABYTES]}
    rows["compressed"] = [measured(one, zipfile.ZIP_DEFLATED, folder) for one in MEGABYTES[:1]]
    results = {
        "command": "python experiments/larger_than_memory/run.py",
        **provenance(HERE),
        "nothing_mb": peak_mb("-c", NOTHING),
        **rows,
    }
    write_json(HERE / "results.json", results)
    for kind, found in rows.items():
        for row in found:
            told = f"in blocks {row['blocks_mb']:.0f} MB, whole {row['whole_mb']:.0f} MB"
            print(f"{kind:10} {row['megabytes']} MB of samples: {told}, same bytes: {row['same_bytes']}")


if __name__ == "__main__":
    main()
