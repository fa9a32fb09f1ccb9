"""POYO-style: a token is an event; the data, objective and budget of configs/mtm.py.

    neurojax train --config=configs/poyo.py:size=tiny --workdir=runs/poyo

Recordings hold counts: each count is as many events at the centre of its bin.

source    Azabou et al. 2023 (POYO), there trained on behaviour, here on hidden counts
hardware  two x86-64 CPU cores that other work shared, one thread; Python 3.11, jax 0.10.2
time      not timed yet
scores    not measured yet
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/mtm.py with another model; `size=tiny|small|base|paper` as there."""
    spec = importlib.util.spec_from_file_location("mtm_config", Path(__file__).with_name("mtm.py"))
    mtm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mtm)
    size, preset = mtm.parse(arg)
    if preset != "improved":
        raise ValueError(f"config argument {arg!r}; configs/poyo.py has no preset, only size=...")
    config = mtm.get_config(f"size={size}")
    for name in ("embed_width", "num_positions", "bin_mask_token"):
        del config.model[name]
    config.model.update(
        name="poyo",
        latent_bins=2,
        latents_per_step=1,
        # of the bins x units of a step; where more of them hold spikes, evenly spaced ones stand
        # for all: in 0.1 % of the steps of the synthetic animals
        event_share=0.15 if size == "tiny" else 0.25,
        linear_beside=True,
    )
    return config
