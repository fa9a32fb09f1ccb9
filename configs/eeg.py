"""Sentences from EEG: which of 512 was said, found by speech features that the signal predicts.

    neurojax train --config=configs/eeg.py --workdir=runs/eeg
    neurojax train --config=configs/eeg.py --config.data.root=ROOT --workdir=runs/eeg
    neurojax train --config=configs/eeg.py:eegnet --config.data.root=ROOT --config.data.label=NAME \
        --workdir=runs/eegnet    windows with a label of two kinds or more; also eegnet_conformer

Without data.root it trains on made-up people, whose brain and jaw both tell of the sentence; the
best that any reader can do is known, and is in the record. With it comes an audit: what the
channels on the jaw give alone (evals/muscle_audit.py; no upper bound on what comes from muscles).

source    network: Defossez et al. 2023 (channel merger, subject layer, dilated convolutions); task:
          Sato et al. 2024 (one of 512 sentences), where jaw muscles were read too
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      23 s of CPU time for 250 steps, without the audit; several minutes by the clock there
scores    top-1 of 512 sentences that training never met, four people: 0.699 (95 % interval over
          people 0.527 to 0.871), on a day that it never saw 0.685; the best reader 0.765 and 0.752,
          ridge regression 0.659, chance 0.002
          (experiments/eeg_speech, commit 4b3f48c413, 2026-11-30); of eegnet: experiments/eeg_real
"""

from ml_collections import ConfigDict

NETWORKS = {"eegnet": "separable", "eegnet_conformer": "conformer"}


def get_config(arg: str | None = None) -> ConfigDict:
    """The whole config of a run; `eegnet` and `eegnet_conformer` tell windows apart by a label."""
    if arg not in (None, "", *NETWORKS):
        raise ValueError(f"config argument {arg!r}; expected none, or one of {', '.join(NETWORKS)}")
    config = ConfigDict()
    config.seed = 0
    config.members = 1
    config.init_from = ""
    config.data = ConfigDict(
        dict(
            source="speech",
            root="",  # of recordings with speech; empty makes people up
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            sessions_per_batch=4,  # people side by side
            trials_per_batch=256,  # each is a candidate for all others
            bucket_units=1,
            session_temperature=1.0,
            item="sentence",
            clip_sd=20.0,
            swap_muscle=0.0,
            synthetic=dict(
                num_people=4,
                num_trials=2048,  # to train on, of each
                num_trained_sentences=2048,
                num_sentences=512,  # of the test
                neural_gain=1.0,
                muscle_gain=0.3,
                noise=3.0,
            ),
        )
    )
    config.model = ConfigDict(
        dict(
            name="eeg",
            num_virtual=24,
            num_harmonics=8,
            dropout_radius=0.0,  # of caps with many sensors 0.2
            width=32,
            num_blocks=4,
            dilation_period=5,
            dropout=0.0,
        )
    )
    config.objective = ConfigDict(dict(name="contrastive"))
    config.head = ConfigDict(dict(name="gaussian"))
    config.optimizer = ConfigDict(
        dict(
            learning_rate=3e-3,
            warmup_share=0.1,
            initial_divisor=10.0,
            final_divisor=1e2,
            weight_decay=0.01,
            decay_everything=False,
            row_weight_decay=0.01,
            b1=0.9,
            b2=0.99,
            epsilon=1e-8,
            clip_norm=1.0,
        )
    )
    config.sharding = ConfigDict(dict(data=0, model=1, rules=()))
    config.train = ConfigDict(
        dict(
            num_steps=250,  # validation is level from 200 on
            microbatches=1,  # more are refused: trials are compared with each other
            steps_per_dispatch=1,
            log_every_steps=25,
            save_every_steps=125,
            validate_every_steps=50,
            keep_checkpoints=2,
            max_skipped_in_a_row=10,
        )
    )
    config.eval = ConfigDict(
        dict(evaluator="speech_retrieval", floors="ridge,encoding", muscle_audit=True)
    )
    if arg:
        _take_labels(config, NETWORKS[arg])
    return config


def _take_labels(config: ConfigDict, then: str) -> None:
    """Windows with a label each, a network of the size of EEGNet (Lawhern et al. 2018)."""
    config.data = ConfigDict(
        dict(
            source="signals",
            root="",  # of `neurojax convert eeg`
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            trials_per_batch=64,
            label="marker",
            normalise="person",
        )
    )
    config.model = ConfigDict(
        dict(
            name="eegnet",
            num_filters=8,
            filter_bins=64,
            depth=2,
            pool_bins=4,
            then=then,
            kernel_frames=16,
            pool_frames=8,
            num_layers=1,  # of a conformer, as the next two
            num_heads=2,
            window_frames=64,
            dropout=0.5,
        )
    )
    config.objective = ConfigDict(dict(name="supervised"))
    config.head = ConfigDict(dict(name="categorical"))
    config.eval = ConfigDict(dict(evaluator="gestures", floors="", min_step=1.0))
