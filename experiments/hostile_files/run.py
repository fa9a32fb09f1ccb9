"""Bad recordings and weights against `neurojax convert` and `import`: what came of each, counted by format.

    python experiments/hostile_files/run.py [--only=FORMAT,...] [--show]

Writes results.json; exit code 1 when an input left more than a sentence.
"""

import argparse
import collections
import importlib
import importlib.util
import sys
import tempfile
import warnings
from pathlib import Path

from neurojax.files import write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
MODULES = ("npz_cases", "emg_cases", "mat_cases", "hdf5_cases", "folder_cases")
if importlib.util.find_spec("pynwb"):
    MODULES += ("nwb_cases",)
if importlib.util.find_spec("safetensors"):
    MODULES += ("weights_cases",)
if importlib.util.find_spec("mne"):
    MODULES += ("eeg_cases",)

from harness import OUTCOMES, judge  # noqa: E402


def all_cases() -> list:
    cases = [case for name in MODULES for case in importlib.import_module(name).cases()]
    names = collections.Counter((case.format, case.name) for case in cases)
    if twice := [name for name, number in names.items() if number > 1]:
        raise ValueError(f"cases of one name: {twice}")
    return cases


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--show", action="store_true", help="prints every message")
    words = parser.parse_args()
    wanted, found = set(filter(None, words.only.split(","))), []
    warnings.simplefilter("ignore", ResourceWarning)
    for case in all_cases():
        if wanted and case.format not in wanted:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            outcome, message = judge(case, Path(scratch))
            message = message.replace(scratch, "")
        found.append({"format": case.format, "case": case.name, "outcome": outcome, "message": message[:200]})
        if words.show or outcome == "FAILED":
            print(f"{outcome}: {case.format}, {case.name}: {message}")
    table = {format: collections.Counter() for format in dict.fromkeys(row["format"] for row in found)}
    for row in found:
        table[row["format"]][row["outcome"]] += 1
    print(f"{'format':16}" + "".join(f"{outcome:>10}" for outcome in OUTCOMES))
    for format, numbers in [*table.items(), ("all", sum(table.values(), collections.Counter()))]:
        print(f"{format:16}" + "".join(f"{numbers[outcome]:>10}" for outcome in OUTCOMES))
    if not wanted:
        write_json(
            HERE / "results.json",
            {
                **provenance(HERE),
                "inputs": len(found),
                "by_format": {format: dict(sorted(numbers.items())) for format, numbers in table.items()},
                "cases": {
                    format: {
                        row["case"]: f"{row['outcome']}: {row['message']}" for row in found if row["format"] == format
                    }
                    for format in table
                },
            },
        )
    return int(any(row["outcome"] == "FAILED" for row in found))


if __name__ == "__main__":
    sys.exit(main())
