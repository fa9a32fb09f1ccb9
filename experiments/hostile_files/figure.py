"""What expected.json asks of the bad inputs, from results.json; there is nothing to draw.

python experiments/hostile_files/figure.py
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.files import read_json
from neurojax.report.expected import beside

HERE = Path(__file__).parent


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names."""
    formats = results["by_format"].values()
    ended = {how: sum(one.get(how, 0) for one in formats) for how in ("refused", "counted", "taken", "FAILED")}
    return {
        "inputs": results["inputs"],
        "inputs that failed: a traceback, a hang, code that ran, or taken without a word": ended["FAILED"],
        "inputs refused in a line": ended["refused"],
        "inputs taken, what was odd counted": ended["counted"],
    }


if __name__ == "__main__":
    found = observed(read_json(HERE / "results.json"))
    print("\n".join(beside(found, read_json(HERE / "expected.json"))))
