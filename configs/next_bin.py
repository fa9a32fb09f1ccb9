"""Next-bin prediction on the causal NDT1: the model and budget of configs/mtm.py, every bin from
those before it.

neurojax train --config=configs/next_bin.py:size=tiny --workdir=runs/next_bin
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
