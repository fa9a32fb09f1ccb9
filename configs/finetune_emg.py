"""A new person: fine-tunes a network for gestures on the first minute of somebody it never saw.

    neurojax convert emg ME.npz --out=ME --options=calibrate=1
    neurojax adapt --from=RUN --data=ME --out=DIR       takes this config; then
    neurojax evaluate --workdir=DIR

or `neurojax train --config=configs/finetune_emg.py --config.init_from=RUN --config.data.root=ME
--workdir=DIR`. Model, objective, head and optimiser are those of RUN (configs/emg.py; with
`:filters` of configs/emg.py:filters); entries named below or on the command line differ. ME holds
one person, or several, of whom one network is made together. `adapt` looks for the order of
electrodes in which RUN reads the calibration best, and takes `data.min_step` from RUN. Once begun,
DIR holds all it needs: RUN may go.

The order found so is of the training alone. `evaluate` finds one anew from the unlabelled windows
that it tests; its scores by the past begin with the calibration windows. A stream
(`train.gesture_stream`) starts in the order as worn and knows nobody: feed it the windows of the
calibration first, then those to be read.

finetune.strategy   full  everything trains: the network has no row that belongs to one person
source    fine-tuning on new people, Cote-Allard et al. 2019, section V
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      about 5 s of CPU time a person, compilation included
scores    balanced accuracy in rounds 1 and 2 of 14 people, calibrated on one repetition of round 0:
          0.971 (95 % interval over people 0.953 to 0.990); linear discriminants of the same
          calibration 0.932, perceptron 0.934. The network before 0.941: the gain of 0.030 (-0.002
          to 0.062) is not resolved, above in 10 of 14; one person falls from 0.965 to 0.903
          (experiments/gestures/few_shot.py, commit 45dfbb2c9a, 2026-11-30)
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def as_in_the_run(block: ConfigDict) -> ConfigDict:
    """The entries of a block, open: None is the value of the run it starts from."""
    return ConfigDict({name: placeholder(type(value)) for name, value in block.items()})


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/emg.py, with what is of the run that it starts from left open; `filters` for a run of
    configs/emg.py:filters."""
    path = Path(__file__).with_name("emg.py")
    spec = importlib.util.spec_from_file_location("emg_config", path)
    emg = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(emg)
    config = emg.get_config(arg)
    config.finetune = ConfigDict(dict(strategy="full"))
    for block in ("model", "objective", "head", "optimizer"):
        config[block] = as_in_the_run(config[block])
    config.data.trials_per_batch = 128
    config.train.num_steps = 200
    config.train.save_every_steps = 200
    config.train.validate_every_steps = 0
    config.eval.floors = "lda,perceptron"
    return config
