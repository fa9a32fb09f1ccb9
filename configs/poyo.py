"""POYO-style: a token is an event; the data, objective and budget of configs/mtm.py.

    neurojax train --config=configs/poyo.py:size=tiny --workdir=runs/poyo

Recordings hold counts: each count is as many events at the centre of its bin.

source    Azabou et al. 2023 (POYO), there trained on behaviour, here on hidden counts
hardware  two x86-64 CPU cores that other work shared, one thread; Python 3.11, jax 0.10.2
time      149 s of CPU time for the training of size=tiny (configs/mtm.py: 21 s by the clock)
scores    synthetic animals, test trials, pooled bits/spike: co-smoothing 0.986, forward 0.488,
          inter-region 0.984, intra-region 0.947; units left out one at a time are a random eighth
          of (trial, unit). Beside it on all entries: configs/mtm.py 1.019, 0.451, 0.967, 0.950
          after as many steps, linear stack 0.940, 0.301, 0.813, 0.784. Validation trials, as
          training shows them (same order, over the train mean): after 300 of 700 steps 0.956,
          0.343, 0.922, 0.863, at the end 1.009, 0.510, 0.979, 0.925 (seed 0, commit 0c19a33,
          2026-11-30). All entries after 225 steps of a width of 48, which take 25 s of CPU time:
          0.925 +- 0.018, 0.042 +- 0.055, 0.874 +- 0.017, 0.812 +- 0.018 (95 % over trials;
          configs/mtm.py after as much time 1.005, 0.366, 0.953, 0.932; seed 0, commit 7f8b251,
          experiments/model_zoo). All of this before 5e17d1e, since which the bound on tokens counts
          units and not padding; not measured since. Without linear_beside: not measured
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
        # for all: in fewer than 1 % of the steps of the synthetic animals
        event_share=0.15 if size == "tiny" else 0.25,
        linear_beside=True,
    )
    return config
