"""A small trained model and its recording, which come with the package: a macaque's reaches."""

from pathlib import Path

from neurojax.api.pretrained import Pretrained, load
from neurojax.data.session import Session
from neurojax.data.store.dataset import open_dataset

REACHING = Path(__file__).resolve().parents[1] / "examples" / "reaching"


def reaching_example() -> tuple[Pretrained, Session]:
    """Motor cortex of macaque "Chewie", 2013-12-19, eight-target reaches, and a model of it.

    The session has 180 trials of 0.3 to 0.8 s in bins of 0.1 s, 155 units, `behaviour["velocity"]`
    of the hand and `conditions["target"]`. The model is `configs/mtm.py:size=tiny`, trained for 394
    steps (100 passes) on the spikes of the session's train split alone; it never saw the hand. It
    is small and for trying things: 126 trials are few, it knows them (its card says how well), and
    on co-smoothing it is at 0.185 bits/spike where the linear stack has 0.203.

    Source: Dyer et al. 2017, Nature Biomedical Engineering 1, 967-976, through the repository
    nerdslab/myow-neuro; Apache-2.0, see LICENSE beside the files.
    """
    return load(REACHING / "model"), open_dataset(REACHING / "data").sessions[0]
