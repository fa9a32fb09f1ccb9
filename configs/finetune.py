"""A new animal: fine-tunes a pretrained run on sessions it never saw.

    neurojax train --config=configs/finetune.py --config.init_from=RUN --config.data.root=ROOT \\
        --workdir=DIR

Model, objective, head and optimiser are those of RUN, which is of an NDT; entries named below or
on the command line differ. Once begun, DIR holds all it needs: RUN may go.

finetune.strategy   full              everything trains
                    lora              low-rank adapters of the layers that finetune.lora.layers
                                      names, beside the rows; the shared part stays bit for bit
                    stitcher_only     new rows train; what was known stays bit for bit
                    gradual_unfreeze  as stitcher_only until finetune.unfreeze_step, then as full
                    none              nothing trains: new rows stay as they start
finetune.new_rows   pca               read-in at the session's principal components, aligned to the
                                      pretrained latents; read-out through their pseudo-inverse
                    closed_form       read-in as pca; read-out of every unit by Poisson regression
                                      on the frozen states, what `neurojax adapt` does
                    region_mean       mean of the pretrained rows of the same region
                    random            as in pretraining
source    fine-tuning on new sessions, Zhang et al. 2024, section 5
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      about 20 s of CPU time for one synthetic animal (experiments/new_animal)
scores    co-smoothing, bits/spike: 0.857 +- 0.021 on synthetic animals (linear stack 0.731), on
          nine mouse sessions 0.094 +- 0.083 (linear stack 0.211): experiments/new_animal
"""

import typing

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from neurojax.models import ndt_linear
from neurojax.objectives import mtm
from neurojax.train.optimizer import OptimizerConfig


def as_in_the_run(kind, **types) -> ConfigDict:
    """Every field of a record, open: None is the value of the run it starts from."""
    types = {"name": str} | typing.get_type_hints(kind) | types
    return ConfigDict({name: placeholder(type_) for name, type_ in types.items()})


def get_config(arg: str | None = None) -> ConfigDict:
    """The whole config of a run; it takes no argument, since size and preset are those of the run
    it starts from."""
    if arg:
        raise ValueError(
            f"config argument {arg!r}; expected none: size and preset are those of init_from"
        )
    config = ConfigDict()
    config.seed = 0
    config.members = 1
    config.init_from = ""
    config.finetune = ConfigDict(
        dict(
            strategy="gradual_unfreeze",
            unfreeze_step=100,
            new_rows="pca",
            lora=dict(layers="query,value,expand,contract", rank=4, scale=2.0),
        )
    )
    config.data = ConfigDict(
        dict(
            source="spikes",
            root="",
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            sessions_per_batch=2,
            trials_per_batch=32,
            bucket_units=placeholder(int),
            session_temperature=1.0,
            synthetic=dict(num_sessions=4, num_trials=240, dynamics="lorenz"),
        )
    )
    config.model = as_in_the_run(ndt_linear.Config)
    config.objective = as_in_the_run(mtm.Config, schemes=str)
    config.head = ConfigDict(dict(name=placeholder(str)))
    config.optimizer = as_in_the_run(OptimizerConfig)
    del config.optimizer.name
    config.sharding = ConfigDict(dict(data=0, model=1, rules=()))
    config.train = ConfigDict(
        dict(
            num_steps=400,
            # ends sooner after so many passes over the trials, 0 never: of few trials new rows
            # learn more by heart than they gain (experiments/adapt)
            most_passes=100.0,
            # parts a batch is computed in, one after another, where memory is short
            microbatches=1,
            steps_per_dispatch=1,  # steps sent to the devices at once, with data.placement=device
            log_every_steps=20,
            save_every_steps=200,
            validate_every_steps=100,
            keep_checkpoints=2,
            max_skipped_in_a_row=10,
        )
    )
    config.eval = ConfigDict(
        dict(
            evaluator="spikes",
            protocol="mtm",
            trials_per_pass=256,
            memory_mb=4096,
            leave_out="exact",  # "groups": many units at a time, corrected; see docs/evaluation.md
            num_boot=500,
            num_permutations=999,
            baselines="train_mean,psth,drift,stack",
            mixed_with="stack",  # the model is shown together with it, too; "" for the model alone
        )
    )
    return config
