"""What expected.json asks of the killed conversions, from results.json; there is nothing to draw.

python experiments/convert_kills/figure.py
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.files import read_json
from neurojax.report.expected import beside

HERE = Path(__file__).parent


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names."""
    rows = results["rows"]
    return {
        "kills": len(rows),
        "kills after which a folder was there that was not whole": sum(
            one["folders_left"] != one["of_them_whole"] for one in rows
        ),
        "kills after which the same command did not end in the bytes of an undisturbed run": sum(
            one["exit_code"] != 0 or not one["equal"] for one in rows
        ),
        "kills that left temporary files, which the same command took away": sum(
            one["temporaries_left"] > 0 for one in rows
        ),
    }


if __name__ == "__main__":
    found = observed(read_json(HERE / "results.json"))
    print("\n".join(beside(found, read_json(HERE / "expected.json"))))
