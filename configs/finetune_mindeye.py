"""A new person on a run of configs/mindeye.py: rows of their voxels, from one session of scans.

    neurojax train --config=configs/finetune_mindeye.py --config.init_from=RUN \\
        --config.data.root=ROOT --workdir=DIR

Model, objective, head and optimiser are those of RUN; entries named below or on the command line
differ. Without data.root the new person is made up, as those of RUN. Once begun, DIR holds all it
needs: RUN may go.

finetune.strategy   stitcher_only     rows of the new person train, the network stays bit for bit
                    gradual_unfreeze  as stitcher_only until finetune.unfreeze_step, then everything
                    full              everything from the start
finetune.new_rows   random or closed_form: the same here, rows are in closed form
source    an hour of a new person's scans: Scotti et al. 2024 (MindEye2)
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      11 s of CPU time for one session, evaluation included
scores    top-1 of 300 pictures, one made-up person with one session of 120 pictures: 0.250; before
          a step 0.200, that session alone from scratch 0.057, in context 0.320, with twenty
          sessions 0.540, the best reader 0.747
          (experiments/mindeye, commit 89f87a91aa, 2026-11-30)
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def as_in_the_run(block: ConfigDict) -> ConfigDict:
    """The entries of a block, open: None is the value of the run it starts from."""
    return ConfigDict({name: placeholder(type(value)) for name, value in block.items()})


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/mindeye.py, with what is of the run that it starts from left open; it takes no
    argument."""
    if arg:
        raise ValueError(f"config argument {arg!r}; expected none: the model is that of init_from")
    path = Path(__file__).with_name("mindeye.py")
    spec = importlib.util.spec_from_file_location("mindeye_config", path)
    mindeye = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mindeye)
    config = mindeye.get_config()
    config.finetune = ConfigDict(dict(strategy="full", unfreeze_step=80, new_rows="random"))
    config.data.synthetic.update(num_people=1, first_person=7, num_sessions=1)
    config.data.trials_per_batch = 96
    for block in ("model", "objective", "head", "optimizer"):
        config[block] = as_in_the_run(config[block])
    config.optimizer.learning_rate = 3e-4  # rows start near where they end
    config.train.update(
        num_steps=160, validate_every_steps=20, patience=4, stop_by="batch_retrieved"
    )
    return config
