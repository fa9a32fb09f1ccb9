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

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def as_in_the_run(block: ConfigDict) -> ConfigDict:
    """The entries of a block, open: None is the value of the run it starts from."""
    return ConfigDict({name: placeholder(type(value)) for name, value in block.items()})


def get_config(arg: str | None = None) -> ConfigDict:
    """configs/causal_lm.py, with what is of the run that it starts from left open; it takes no
    argument: the family is that of this run."""
    if arg:
        raise ValueError(f"config argument {arg!r}; expected none: the model is that of init_from")
    path = Path(__file__).with_name("causal_lm.py")
    spec = importlib.util.spec_from_file_location("causal_lm_config", path)
    causal_lm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(causal_lm)
    config = causal_lm.get_config()
    config.finetune = ConfigDict(
        dict(
            strategy="lora",
            lora=dict(layers="query_key_value,output,expand,contract", rank=2, scale=2.0),
        )
    )
    config.data.synthetic.turned_share = 0.5  # of made-up findings a world turned round
    for block in ("model", "objective", "head", "optimizer"):
        config[block] = as_in_the_run(config[block])
    config.train.num_steps = 1000
    config.train.save_every_steps = 500
    config.train.validate_every_steps = 100
    return config
