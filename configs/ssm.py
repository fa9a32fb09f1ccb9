"""Diagonal state spaces instead of attention; the data, objective and budget of configs/mtm.py.

    neurojax train --config=configs/ssm.py:size=tiny --workdir=runs/ssm

A trial costs as many operations a bin however long it is; the linear model of `ndt_linear` stands
beside the layers.

source    Orvieto et al. 2023 (linear recurrent units), in both directions but for causal trials
hardware  -
time      not measured yet
scores    not measured yet
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict

NOT_ITS = (
    *("num_heads", "positions", "num_positions", "unroll"),
    *("attention", "dropout_attention"),
)


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/mtm.py with another model; `size=tiny|small|base|paper` as there."""
    spec = importlib.util.spec_from_file_location("mtm_config", Path(__file__).with_name("mtm.py"))
    mtm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mtm)
    size, preset = mtm.parse(arg)
    if preset != "improved":
        raise ValueError(f"config argument {arg!r}; configs/ssm.py has no preset, only size=...")
    config = mtm.get_config(f"size={size}")
    for name in NOT_ITS:
        del config.model[name]
    config.model.update(name="ssm", state_width=config.model.width // 2)
    return config
