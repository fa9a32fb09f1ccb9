"""How much memory `convert eeg` takes, of recordings that get longer: archives, EDF, CSV, an archive that is filtered.

    python experiments/larger_than_memory/eeg.py [--folder=runs/larger_than_memory]   # some minutes; resumes

One made-up run of 16 channels (archives float32 at 500 Hz, EDF 16 bits at 500 Hz in records of a second, CSV at 256 Hz
with times), converted in a process of its own, and the shorter ones once more with everything in memory; writes the
peak of resident memory to eeg.json.
"""

import argparse
import filecmp
import shutil
import zipfile
from pathlib import Path

import numpy as np
from run import BLOCK, CHANNELS, HERE, peak_mb

from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance

RATE_HZ = 500
NAMES = [f"E{number}" for number in range(CHANNELS)]
STEPS = "band_hz=1-40,resample_hz=125,scale=robust"
# kind -> (suffix, megabytes of the file, options)
CASES = {
    "npz": (".npz", (50, 150, 500), ""),
    "edf": (".edf", (50, 150, 500), ""),
    "csv": (".csv", (50, 150), "sampling_hz=256"),
    "npz, filtered": (".npz", (50, 150, 500), STEPS),
}
MOST_WHOLE_MB = 150  # longer ones are not read whole
WHOLE = """
import sys
from neurojax.data.readers import eeg
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.session_format import write_session
options = tuple(tuple(one.split("=")) for one in sys.argv[3].split(",") if one)
write_session(eeg.read_session(sys.argv[1], ReadSpec(options=options)), sys.argv[2])
"""
NOTHING = "from neurojax.data.readers import eeg; from neurojax.data.store import session_format"


def write_npz(path: Path, megabytes: int) -> None:
    samples = int(megabytes * 1e6) // (4 * CHANNELS)
    rng = np.random.default_rng(0)
    small = {"channel_names": np.array(NAMES), "sampling_rate_hz": np.float64(RATE_HZ), "unit": np.array("uV")}
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in small.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
        with archive.open("eeg.npy", "w", force_zip64=True) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": (samples, CHANNELS)}
            np.lib.format.write_array_header_1_0(member, header)
            for first in range(0, samples, BLOCK):
                number = min(BLOCK, samples - first)
                member.write((30 * rng.standard_normal((number, CHANNELS), np.float32)).tobytes())


def write_edf(path: Path, megabytes: int) -> None:
    records = int(megabytes * 1e6) // (2 * CHANNELS * RATE_HZ)
    head = f"{'0':<8}{'x':<80}{'x':<80}01.01.0101.01.01{256 * (CHANNELS + 1):<8}{'':<44}{records:<8}{1:<8}{CHANNELS:<4}"
    fields = ((NAMES, 16), ("", 80), ("uV", 8), (-500, 8), (500, 8), (-32768, 8), (32767, 8), ("", 80), (RATE_HZ, 8))
    for field, width in (*fields, ("", 32)):
        head += "".join(f"{one!s:<{width}}" for one in (field if isinstance(field, list) else [field] * CHANNELS))
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(head.encode())
        for _ in range(records):
            file.write(rng.integers(-3000, 3000, (CHANNELS, RATE_HZ)).astype("<i2").tobytes())


def write_csv(path: Path, megabytes: int) -> None:
    values = 30 * np.random.default_rng(0).standard_normal((BLOCK, CHANNELS))
    rows = [",".join(f"{value:.2f}" for value in row) for row in values]
    with path.open("w") as file:
        file.write(",".join(["timestamps", *NAMES]) + "\n")
        number = 0
        while file.tell() < megabytes * 1e6:
            file.writelines(f"{(number + place) / 256:.4f},{row}\n" for place, row in enumerate(rows))
            number += len(rows)


WRITERS = {".npz": write_npz, ".edf": write_edf, ".csv": write_csv}


def measured(suffix: str, megabytes: int, options: str, folder: Path) -> dict:
    """Peaks of one length, in blocks and whole."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "person").mkdir(parents=True)
    path = folder / "person" / f"run{suffix}"
    WRITERS[suffix](path, megabytes)
    source = path.parent if suffix == ".csv" else path
    more = (f"--options={options}",) if options else ()
    convert = ("-m", "neurojax", "convert", "eeg", str(source), f"--out={folder / 'blocks'}", "--num_workers=0", *more)
    found = {"megabytes": megabytes, "file_mb": path.stat().st_size / 1e6, "blocks_mb": peak_mb(*convert)}
    if megabytes <= MOST_WHOLE_MB:
        found["whole_mb"] = peak_mb("-c", WHOLE, str(source), str(folder / "whole"), options)
        name = source.stem
        one, other = (folder / way / name / "values.npy" for way in ("blocks", "whole"))
        found["same_bytes"] = filecmp.cmp(one, other, shallow=False)
    shutil.rmtree(folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/larger_than_memory"))
    folder, path = parser.parse_args().folder / "eeg", HERE / "eeg.json"
    results = read_json(path) if path.exists() else {}
    if results.get("commit") != provenance(HERE)["commit"]:
        results = {"command": "python experiments/larger_than_memory/eeg.py", **provenance(HERE), "kinds": {}}
        results["nothing_mb"] = peak_mb("-c", NOTHING)
        results["nothing_with_mne_mb"] = peak_mb("-c", NOTHING + "; import mne; mne.io.read_raw_edf")
    for kind, (suffix, lengths, options) in CASES.items():
        rows = results["kinds"].setdefault(kind, [])
        for megabytes in lengths[len(rows) :]:
            rows.append(measured(suffix, megabytes, options, folder))
            write_json(path, results)
            print(kind, rows[-1], flush=True)


if __name__ == "__main__":
    main()
