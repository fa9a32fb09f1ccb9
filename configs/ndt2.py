"""NDT2: tokens are patches of units in a bin; the data, objective and budget of configs/mtm.py.

    neurojax train --config=configs/ndt2.py:size=tiny --workdir=runs/ndt2
    neurojax train --config=configs/ndt2.py:size=tiny --config.model.decoder_layers=1 \
        --workdir=runs/ndt2_autoencoder

source    Ye et al. 2023 (NDT2); without a decoder as in Zhang et al. 2024, `size` as there
hardware  two x86-64 CPU cores that other work shared, one thread; Python 3.11, jax 0.10.2
time      62 s of CPU time for a training of 300 steps at size=tiny
scores    synthetic animals, test trials, all entries, pooled bits/spike: co-smoothing 0.926 +-
          0.019, forward 0.133 +- 0.056, inter-region 0.866 +- 0.018, intra-region 0.787 +- 0.018
          (95 % over trials) after 222 steps, which take 25 s of CPU time; configs/mtm.py after as
          much time 1.005, 0.366, 0.953, 0.932, linear stack 0.940, 0.301, 0.813, 0.784 (seed 0,
          commit 7f8b251, 2026-11-30, experiments/model_zoo). All 700 steps, commit 0c19a33,
          validation trials as training shows them (same order, over the train mean): 1.001, 0.537,
          0.963, 0.889; test trials not yet. The masked autoencoder and linear_beside=False: not
          measured
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict

PATCH_UNITS = {"tiny": 64, "small": 128, "base": 128, "paper": 128}


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/mtm.py with another model; `size=tiny|small|base|paper` as there."""
    spec = importlib.util.spec_from_file_location("mtm_config", Path(__file__).with_name("mtm.py"))
    mtm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mtm)
    size, preset = mtm.parse(arg)
    if preset != "improved":
        raise ValueError(f"config argument {arg!r}; configs/ndt2.py has no preset, only size=...")
    config = mtm.get_config(f"size={size}")
    config.model.update(
        name="ndt2",
        patch_units=PATCH_UNITS[size],  # attention costs the square of the patches
        decoder_layers=0,  # 1 or 2: a masked autoencoder
        linear_beside=True,
    )
    return config
