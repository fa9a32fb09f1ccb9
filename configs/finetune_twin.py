"""A new animal on a digital twin: its rows alone, on the core of a twin that was trained before.

    neurojax train --config=configs/finetune_twin.py --config.init_from=RUN \\
        --config.data.root=ROOT --workdir=DIR

Model, objective, head and optimiser are those of RUN (`neurojax train`, or `neurojax import twin`);
entries named below or on the command line differ. Images have the size and unit of RUN's. Once
begun, DIR holds all it needs: RUN may go.

finetune.strategy   stitcher_only     rows of the new animal train (features, bias, networks);
                                      the core stays bit for bit, its norms use what they had seen
                    gradual_unfreeze  as stitcher_only until finetune.unfreeze_step, then everything
                    full              everything from the start
finetune.new_rows   closed_form       places by search and one map from cortex, features by
                                      regression on the core's features (finetune/twin_rows.py)
                    random            as pretraining starts them: more steps, a rate of 0.03
source    a core that generalises to new animals: Lurz et al. 2021, ICLR
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      34 s of CPU time for 400 steps on 600 trials
scores    share of explainable variance of a second made-up animal with a fifth of its trials 0.746
          (95 % interval over cells 0.708 to 0.785) on the core of one animal, 0.754 on that of
          three, where it has 0.831 trained whole, with all trials, and 0.489 with that fifth
          (experiments/twin, commit f81fe7e9f8, 2026-11-30)
"""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def as_in_the_run(block: ConfigDict) -> ConfigDict:
    """The entries of a block, open: None is the value of the run it starts from."""
    return ConfigDict({name: placeholder(type(value)) for name, value in block.items()})


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/twin.py, with what is of the run that it starts from left open; it takes no
    argument."""
    if arg:
        raise ValueError(f"config argument {arg!r}; expected none: the model is that of init_from")
    path = Path(__file__).with_name("twin.py")
    spec = importlib.util.spec_from_file_location("twin_config", path)
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    config = twin.get_config()
    config.finetune = ConfigDict(
        dict(strategy="stitcher_only", unfreeze_step=200, new_rows="closed_form")
    )
    config.data.synthetic.first_animal = 1
    for block in ("model", "objective", "head", "optimizer"):
        config[block] = as_in_the_run(config[block])
    config.optimizer.learning_rate = 3e-3  # of rows that start near where they end
    config.train.num_steps = 400
    config.model.norm_momentum = 0.0  # what the core had seen, not the new animal's batches
    return config
