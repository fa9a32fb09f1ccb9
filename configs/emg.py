"""Gestures from surface EMG of people never seen: the power of learned filters, a small network.

    neurojax convert emg PATH --out=ROOT
    neurojax train --config=configs/emg.py --config.data.root=ROOT --workdir=runs/emg

source    data and task: Cote-Allard et al. 2019 (7 gestures, 8 channels, 200 Hz), windows of
          260 ms; network after Schirrmeister et al. 2017, figure 2
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      30 s for the whole command, training 11 of them
scores    balanced accuracy, 27 people in five folds, each tested by a network that never saw them:
          0.833 (95 % interval over people 0.782 to 0.884); linear discriminants 0.797, perceptron
          0.838, chance 0.143 (experiments/gestures, commit e1b0172397, 2026-11-29)
"""

from ml_collections import ConfigDict


def get_config(arg: str | None = None) -> ConfigDict:
    """The whole config of a run; `filters` takes the network of learned filters instead."""
    if arg not in (None, "", "filters"):
        raise ValueError(f"config argument {arg!r}; expected none, or filters")
    config = ConfigDict()
    config.seed = 0
    config.members = 1
    config.init_from = ""
    config.data = ConfigDict(
        dict(
            source="emg",
            root="",  # of `neurojax convert emg`
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            trials_per_batch=512,
            label="gesture",
            order="ring",
            min_step=2.0,  # units of an 8-bit armband
            fold=-1,  # of people.csv, to test; -1: the split of the conversion
        )
    )
    config.model = ConfigDict(
        dict(name="perceptron", width=256, num_layers=2, input_dropout=0.2, dropout=0.5)
    )
    config.objective = ConfigDict(dict(name="supervised"))
    config.head = ConfigDict(dict(name="categorical"))
    config.optimizer = ConfigDict(
        dict(
            learning_rate=2e-3,
            warmup_share=0.15,
            initial_divisor=10.0,
            final_divisor=1e3,
            weight_decay=0.05,
            decay_everything=False,
            row_weight_decay=0.0,
            b1=0.9,
            b2=0.999,
            epsilon=1e-8,
            clip_norm=1.0,
        )
    )
    config.sharding = ConfigDict(dict(data=0, model=1, rules=()))
    config.train = ConfigDict(
        dict(
            num_steps=2000,
            microbatches=1,
            steps_per_dispatch=1,
            log_every_steps=50,
            save_every_steps=500,
            validate_every_steps=250,
            keep_checkpoints=2,
            max_skipped_in_a_row=10,
        )
    )
    config.eval = ConfigDict(dict(evaluator="gestures", floors="lda"))
    if arg == "filters":
        _take_filters(config)
    return config


def _take_filters(config: ConfigDict) -> None:
    """Samples in place of features, read by learned filters (Schirrmeister et al. 2017)."""
    common = {name: config.data[name] for name in config.data}
    for name in ("order", "min_step", "fold"):
        del common[name]
    own = dict(source="signals", trials_per_batch=256, normalise="person")
    config.data = ConfigDict({**common, **own})
    config.model = ConfigDict(
        dict(name="signals", num_filters=64, filter_bins=9, width=128, dropout=0.3)
    )
