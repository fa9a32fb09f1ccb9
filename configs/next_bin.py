"""Next-bin prediction on the causal NDT1, with the model and budget of configs/mtm.py.

    neurojax train --config=configs/next_bin.py:size=tiny --workdir=runs/next_bin

source    causal next-step prediction of spikes, as in NDT3 (Ye et al. 2024) and language models
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      92 s of CPU time for size=tiny on the synthetic animals
scores    the same animals, test trials, pooled bits/spike: co-smoothing 0.941, forward -0.159,
          inter-region 0.710, intra-region 0.479; linear stack 0.940, 0.301, 0.813, 0.784 (seed 0,
          commit e1b0172397, 2026-11-29). Forward asks for ten bins at once; what a run goes on with
          by itself, bin by bin, scores 0.893 one bin ahead and 0.396 eight (the train mean 0; who
          knows the dynamics 1.124 and 0.773): experiments/generation
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/mtm.py with another objective."""
    spec = importlib.util.spec_from_file_location("mtm_config", Path(__file__).with_name("mtm.py"))
    mtm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mtm)
    config = mtm.get_config(arg)
    config.objective = ConfigDict(dict(name="next_bin"))
    return config
