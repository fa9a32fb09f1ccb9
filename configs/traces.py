"""Masked prediction of calcium traces: the masking and the model of configs/mtm.py on real values.

    neurojax convert traces day1/suite2p --out=ROOT --options=sampling_hz=10 --window_s=4 \
        --split=blocks:60s
    neurojax train --config=configs/traces.py --config.data.root=ROOT --workdir=runs/traces

source    Zhang et al. 2024 with a Gaussian likelihood in the place of the Poisson one
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      40 s for the whole command on the sessions below, training 19 of them
scores    two made-up sessions of 40 and 50 cells (experiments/traces: four latents, as much noise
          as signal), test trials, R2 mean over cells: co-smoothing 0.365, forward 0.143,
          inter-region 0.364, intra-region 0.346; ridge 0.367, 0.335 and 0.325 without forward,
          autoregression 0.058 there (size=tiny, seed 0, commit 5f484f4, 2026-12-01); of recordings
          nothing is measured yet
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/mtm.py, `size` and `preset` as there, with NDT1-stitch and a Gaussian head."""
    spec = importlib.util.spec_from_file_location("mtm_config", Path(__file__).with_name("mtm.py"))
    mtm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mtm)
    config = mtm.get_config(arg)
    config.data.source = "traces"
    del config.data["synthetic"]  # data.root has to be given
    for name in ("posterior_noise", "own_alone_share"):
        if name in config.model:
            del config.model[name]
    config.model.name = "ndt"
    config.model.read_in_init = "random"  # principal components are found for counts alone
    # Measured with these; what was chosen for spikes since was not tried here.
    config.optimizer.row_weight_decay = 1.0
    config.head = ConfigDict(dict(name="gaussian"))
    config.eval = ConfigDict(
        dict(
            evaluator="traces",
            floors="ridge,last_value,autoregression",
            trials_per_pass=256,
            memory_mb=4096,  # of each device, for the activations of forward passes
            num_boot=500,  # resamples of trials behind the interval of a session
        )
    )
    return config
