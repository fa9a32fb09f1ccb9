"""STNDT: attention over bins and over units; the data, objective and budget of configs/mtm.py.

    neurojax train --config=configs/stndt.py:size=tiny --workdir=runs/stndt

source    Le & Shlizerman 2022 (STNDT), with rows of units as in Zhang et al. 2024; no contrastive
          loss
hardware  -
time      not measured yet
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
        raise ValueError(f"config argument {arg!r}; configs/stndt.py has no preset, only size=...")
    config = mtm.get_config(f"size={size}")
    config.model.update(name="stndt", space_layers=1)
    return config
