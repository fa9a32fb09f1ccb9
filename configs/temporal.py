"""The temporal-masking baseline: configs/mtm.py with bins hidden at random and no prompt.

    neurojax train --config=configs/temporal.py:size=small --config.data.root=ROOT \\
        --workdir=runs/temporal

source    the baseline of Zhang et al. 2024, section 4
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      size=small, nine mouse sessions: 14 minutes, training 10 of them
scores    these sessions, test trials, pooled bits/spike: co-smoothing -0.093, forward 0.047,
          inter-region -0.176, intra-region -0.490 (experiments/real_sessions, 2026-11-23);
          size=tiny, synthetic animals: 0.652, 0.278, 0.774, 0.772 (commit e1b0172397, 2026-11-29)
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
