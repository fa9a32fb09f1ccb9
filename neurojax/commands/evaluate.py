"""`neurojax evaluate`: scores a run under a protocol, beside baselines and oracle, and draws it; or
writes its predictions for a benchmark."""

from pathlib import Path
from typing import Any

from neurojax.errors import require
from neurojax.evals import protocols
from neurojax.train import run


def evaluate(folder: Path, *, submission: Path | None = None, **options: Any) -> None:
    """Scores the newest checkpoint of a workdir.

    Args:
        folder: the workdir.
        submission: writes the prediction files of BrainWideBench there and nothing else, see
            `commands.submission`.
        **options: `data`, `protocol` and `out` of `train.run.evaluate`, whose errors these are.
    """
    if submission is None:
        run.evaluate(folder, **options, log=lambda line: print(line, flush=True))
        return
    from neurojax.commands import submission as files

    named, out = options.get("protocol"), options.get("out")
    require(
        named is None or protocols.get_protocol(named).name == "brainwide",
        f"--submission with --protocol={named}; the files are those of --protocol=brainwide",
    )
    require(out is None, "--out is of scores; --submission writes predictions alone")
    files.write(folder, submission, options.get("data"))
