"""The temporal-masking baseline: the same model and budget as configs/mtm.py, bins hidden at
random, no prompt.

neurojax train --config=configs/temporal.py:size=small --config.data.root=ROOT
--workdir=runs/temporal
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/mtm.py with one scheme."""
    spec = importlib.util.spec_from_file_location("mtm_config", Path(__file__).with_name("mtm.py"))
    mtm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mtm)
    config = mtm.get_config(arg)
    config.objective.schemes = "temporal"
    return config
