"""kill -9 at random moments of `neurojax convert`, then the same command again: are the folders those of a quiet run?

    python experiments/convert_kills/run.py [--kills=50] [--first_seed=0]

Prints a line and writes results.json. Exit code 1 when a folder differed.
"""

import argparse
import collections
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from neurojax.files import write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SESSIONS, WORKERS = 12, 2


def write_recordings(folder: Path, sessions: int = SESSIONS, trials: int = 150) -> list[str]:
    """Recordings large enough that reading, hashing and writing each take a while."""
    folder.mkdir(parents=True)
    for number in range(sessions):
        rng = np.random.default_rng(number)
        arrays = {"counts": rng.poisson(0.3, (trials, 50, 300)).astype(np.uint8), "bin_size_s": 0.02}
        np.savez(folder / f"s{number}.npz", **arrays, speed=rng.normal(size=(trials, 50)))
    return sorted(map(str, folder.glob("*.npz")))


def command(paths: list[str], out: Path, workers: int) -> list[str]:
    return [sys.executable, "-m", "neurojax", "convert", "arrays", *paths, f"--out={out}", f"--num_workers={workers}"]


def digests(root: Path) -> dict[str, str]:
    """Hex digest of every file below a folder, hidden ones too."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def killed_after(words: list[str], moment_s: float) -> bool:
    """Starts the command and kills it, workers and all, at the moment; False when it had ended before."""
    process = subprocess.Popen(
        words, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(moment_s)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def one_kill(paths: list[str], out: Path, expected: dict[str, str], moment_s: float, workers: int) -> dict:
    """What the kill left, and what the same command made of it."""
    words, killed = command(paths, out, workers), False
    while not killed:  # a run that ended before its moment is done again and killed earlier
        shutil.rmtree(out, ignore_errors=True)
        killed = killed_after(words, moment_s)
        moment_s = moment_s if killed else moment_s * 0.8
    found = digests(out) if out.exists() else {}
    folders = {name.split("/")[0] for name in found if "/" in name}
    whole = sum(
        all(found.get(name) == digest for name, digest in expected.items() if name.startswith(f"{folder}/"))
        for folder in folders
        if not folder.startswith(".")
    )
    visible = sum(not folder.startswith(".") for folder in folders)
    again = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return {
        "moment_s": round(moment_s, 3),
        "folders_left": visible,
        "of_them_whole": whole,
        "temporaries_left": sum(name.startswith(".") for name in folders | {n for n in found if "/" not in n}),
        "exit_code": again.returncode,
        "equal": digests(out) == expected,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--first_seed", type=int, default=0)
    words, rows = parser.parse_args(), []
    with tempfile.TemporaryDirectory() as scratch:
        paths = write_recordings(Path(scratch) / "recordings")
        began = time.monotonic()
        subprocess.run(command(paths, Path(scratch) / "quiet", 0), cwd=REPOSITORY, check=True, capture_output=True)
        taken_s, expected = time.monotonic() - began, digests(Path(scratch) / "quiet")
        for seed in range(words.first_seed, words.first_seed + words.kills):
            draw = random.Random(seed)
            moment_s, workers = draw.uniform(0.2, 1.0) * taken_s, draw.choice([0, WORKERS])
            rows.append({"seed": seed, "num_workers": workers})
            rows[-1] |= one_kill(paths, Path(scratch) / "out", expected, moment_s, workers)
    states = collections.Counter(row["folders_left"] for row in rows)
    bad = [row for row in rows if not row["equal"] or row["exit_code"] or row["of_them_whole"] != row["folders_left"]]
    left = sum(row["temporaries_left"] > 0 for row in rows)
    print(
        f"kill -9: {len(rows)} runs died with {min(states)} to {max(states)} of {SESSIONS} folders there ({len(states)}"
        f" different numbers) and {left} times with temporary files; the same command again: {len(rows) - len(bad)} of"
        f" {len(rows)} equal to an undisturbed run in every byte"
    )
    for row in bad:
        print(f"NOT equal: {row}")
    write_json(
        HERE / "results.json",
        {
            **provenance(HERE),
            "sessions": SESSIONS,
            "undisturbed_s": round(taken_s, 2),
            "rows": rows,
        },
    )
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
