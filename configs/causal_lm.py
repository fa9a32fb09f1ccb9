"""A language model that reads abstracts and is asked which of two is true.

    neurojax train --config=configs/causal_lm.py --workdir=runs/findings
    neurojax evaluate --workdir=runs/findings --protocol=brainbench --data=PAIRS.csv --out=FILE

family    gpt2 (default)  llama: `--config=configs/causal_lm.py:family=llama`
source    Radford et al. 2019; choice by perplexity: Luo et al. 2024 (BrainBench); trained on
          made-up findings of a known best accuracy, or on a corpus under data.root
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      13 min of CPU time for 8,000 steps of family=llama with 64 units (experiments/findings)
scores    right choices 0.830 there, where the best reader is right in 0.830, one that overlooks
          the state of the animals in 0.583; the gpt2 below was seen at 2,500 steps: 0.590
"""

from ml_collections import ConfigDict

FAMILIES = ("gpt2", "llama")
# Of a model larger than a device: with sharding.model=8 each of 8 holds an eighth of every matrix.
RULES = (
    ("(query_key_value|query|key|value|gate|expand)/kernel", (None, None, "model")),
    ("(output|contract)/kernel", (None, "model")),
    ("embedding/|read_out/kernel", (None, "model")),
)


def parse(arg: str | None) -> str:
    """`family=llama` -> "llama"; gpt2 where nothing is said."""
    key, _, value = (arg or "family=gpt2").partition("=")
    if key != "family" or value not in FAMILIES:
        raise ValueError(f"config argument {arg!r}; expected family={'|'.join(FAMILIES)}")
    return value


def get_config(arg: str | None = None) -> ConfigDict:
    """The whole config of a run."""
    family = parse(arg)
    config = ConfigDict()
    config.seed = 0
    config.members = 1
    config.init_from = ""
    config.data = ConfigDict(
        dict(
            source="text",
            root="",  # a corpus; empty trains on made-up findings
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            trials_per_batch=16,  # rows
            context_tokens=128,
            synthetic=dict(num_documents=40_000, num_pairs=4000, noise="medium", turned_share=0.0),
        )
    )
    config.model = ConfigDict(
        dict(
            name="causal_lm",
            family=family,
            width=128,
            num_layers=2,
            num_heads=4,
            num_kv_heads=4 if family == "gpt2" else 2,
            mlp_width=512,
            num_positions=128,
            norm_epsilon=1e-5,
            rotary_base=10_000.0,
            tied=True,
            dropout=0.0,
            compute_dtype="float32",
        )
    )
    config.objective = ConfigDict(dict(name="lm"))
    config.head = ConfigDict(dict(name="categorical"))
    config.optimizer = ConfigDict(
        dict(
            learning_rate=2e-3,
            warmup_share=0.1,
            initial_divisor=10.0,
            final_divisor=1e2,
            weight_decay=0.01,
            decay_everything=False,
            row_weight_decay=0.0,
            b1=0.9,
            b2=0.98,
            epsilon=1e-8,
            clip_norm=1.0,
        )
    )
    config.sharding = ConfigDict(dict(data=0, model=1, rules=RULES))
    config.train = ConfigDict(
        dict(
            num_steps=4000,
            microbatches=1,
            steps_per_dispatch=1,
            log_every_steps=50,
            save_every_steps=1000,
            validate_every_steps=250,
            keep_checkpoints=2,
            max_skipped_in_a_row=10,
        )
    )
    config.eval = ConfigDict(
        dict(
            evaluator="brainbench",
            protocol="brainbench",
            tokens_per_pass=1024,  # on a GPU 16,384 or more
            normalised_by="tokens",  # or bytes, words: of the text, not of its tokens
            prompt="",  # in front of every text
            score_prompt=False,
            after_end=True,  # texts stand after the token between documents, as in training
            num_bins=10,  # of calibration
            num_boot=1000,
        )
    )
    return config
