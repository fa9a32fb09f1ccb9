"""POSSM-style: spikes of a chunk by cross-attention, chunks by recurrences; else configs/mtm.py.

    neurojax train --config=configs/possm.py:size=tiny --workdir=runs/possm

Data, objective and budget are those of configs/mtm.py. Recordings hold counts: each count is as
many events at the centre of its bin.

source    Ryoo et al. 2025 (POSSM), there trained on behaviour, here on hidden counts
hardware  -
time      not measured yet
scores    not measured yet
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict

NOT_ITS = (
    *("positions", "num_positions", "unroll", "embed_width"),
    *("attention", "dropout_attention", "bin_mask_token"),
)


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/mtm.py with another model; `size=tiny|small|base|paper` as there."""
    spec = importlib.util.spec_from_file_location("mtm_config", Path(__file__).with_name("mtm.py"))
    mtm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mtm)
    size, preset = mtm.parse(arg)
    if preset != "improved":
        raise ValueError(f"config argument {arg!r}; configs/possm.py has no preset, only size=...")
    config = mtm.get_config(f"size={size}")
    for name in NOT_ITS:
        del config.model[name]
    config.model.update(
        name="possm",
        state_width=config.model.width // 2,
        latent_bins=2,
        latents_per_step=2,
        event_share=0.15 if size == "tiny" else 0.25,  # as of configs/poyo.py
        answer_steps=3,
    )
    return config
