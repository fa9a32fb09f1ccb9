"""`neurojax evaluate`: scores a run under a protocol, beside baselines and oracle, and draws it."""

from pathlib import Path
from typing import Any

from neurojax.train import run


def evaluate(folder: Path, **options: Any) -> None:
    """Scores the newest checkpoint of a workdir; options and errors are those of
    `train.run.evaluate`."""
    run.evaluate(folder, **options, log=lambda line: print(line, flush=True))
