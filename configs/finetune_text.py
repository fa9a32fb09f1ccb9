"""Another world: fine-tunes a language model on texts it was not trained on.

    neurojax train --config=configs/finetune_text.py --config.init_from=RUN \\
        --config.data.root=CORPUS --workdir=DIR

Model, objective, head and optimiser are those of RUN (`neurojax train`, or `neurojax import`);
entries named below or on the command line differ. The corpus has the tokenizer of RUN. Once begun,
DIR holds all it needs: RUN may go. The same adapters for recordings: configs/finetune.py.

finetune.strategy   lora  low-rank adapters of the layers that finetune.lora.layers names; what was
                          trained before stays bit for bit
                    full  everything trains
source    LoRA, Hu et al. 2022
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      4 min of CPU time for 2,500 steps of 152 thousand parameters (experiments/findings)
scores    right choices in a world turned round 0.805 with 1.8 % of the parameters at
          optimizer.learning_rate=2e-2, 0.829 with all of them, 0.520 before
"""

import typing

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from neurojax.models import causal_lm
from neurojax.train.optimizer import OptimizerConfig


def as_in_the_run(kind) -> ConfigDict:
    """Every field of a record, open: None is the value of the run it starts from."""
    return ConfigDict({n: placeholder(type_) for n, type_ in typing.get_type_hints(kind).items()})


def get_config(arg: str | None = None) -> ConfigDict:
    """The whole config of a run; it takes no argument: the family is that of the run it starts
    from."""
    if arg:
        raise ValueError(f"config argument {arg!r}; expected none: the model is that of init_from")
    config = ConfigDict()
    config.seed = 0
    config.members = 1
    config.init_from = ""
    config.finetune = ConfigDict(
        dict(
            strategy="lora",
            lora=dict(layers="query_key_value,output,expand,contract", rank=2, scale=2.0),
        )
    )
    config.data = ConfigDict(
        dict(
            source="text",
            root="",  # a corpus; empty trains on made-up findings of a world turned round
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            trials_per_batch=16,  # rows
            context_tokens=128,
            synthetic=dict(num_documents=40_000, num_pairs=4000, noise="medium", turned_share=0.5),
        )
    )
    config.model = as_in_the_run(causal_lm.Config)
    config.model.name = placeholder(str)
    config.objective = ConfigDict(dict(name=placeholder(str)))
    config.head = ConfigDict(dict(name=placeholder(str)))
    config.optimizer = as_in_the_run(OptimizerConfig)
    config.sharding = ConfigDict(dict(data=0, model=1, rules=()))
    config.train = ConfigDict(
        dict(
            num_steps=1000,
            microbatches=1,
            steps_per_dispatch=1,
            log_every_steps=50,
            save_every_steps=500,
            validate_every_steps=100,
            keep_checkpoints=2,
            max_skipped_in_a_row=10,
        )
    )
    config.eval = ConfigDict(
        dict(
            evaluator="brainbench",
            protocol="brainbench",
            tokens_per_pass=1024,
            normalised_by="tokens",
            prompt="",
            score_prompt=False,
            after_end=True,
            num_bins=10,
            num_boot=1000,
        )
    )
    return config
