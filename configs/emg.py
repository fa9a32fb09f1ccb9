"""Gestures from surface EMG of people never seen: features of a window, a perceptron.

    neurojax convert emg PATH --out=ROOT
    neurojax train --config=configs/emg.py --config.data.root=ROOT --workdir=runs/emg
    neurojax train --config=configs/emg.py:filters ...     learned filters in place of features
    neurojax train --config=configs/emg.py:conformer ...   frames read forwards: also lstm,
                                                           time_depth
    neurojax train --config=configs/emg.py:ring ...        frames read alike however the armband is
                                                           turned (--config.model.num_layers=2: and
                                                           an lstm after it)
    neurojax train --config=configs/emg.py:events --workdir=runs/events
                                                           when gestures begin, frame by frame;
                                                           also velocity, of a wrist. Without
                                                           data.root it makes people up

source    data and task: Cote-Allard et al. 2019 (7 gestures, 8 channels, 200 Hz), windows of
          260 ms; features: Hudgins et al. 1993, logarithms of covariances Barachant et al. 2012
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      2 to 5 minutes for the whole command by the clock, about 1 of CPU time
scores    balanced accuracy, 27 people in five folds, each tested by a network that never saw them:
          0.938 (95 % interval over people 0.913 to 0.963), by the past of a recording alone 0.921,
          both in the order of electrodes that is found without labels; as worn 0.862 (0.792 to
          0.932). As worn too: linear discriminants 0.812, perceptron on hand-made features 0.868;
          chance 0.143
          (experiments/gestures, commit 2355b7ee2a, 2026-11-30). lstm, conformer, time_depth and
          ring, 400 steps, fold 0 as worn: 0.801, 0.792, 0.800, 0.697 (perceptron 0.885)
          events, velocity, ten made-up people never seen: event error 0.147 (linear reader
          0.168, not resolved; who says nothing 1), mean absolute error 0.255 standard
          deviations (ridge 0.209, median 0.815)
"""

from ml_collections import ConfigDict, FieldReference

TARGETS = {"events": "pulses", "velocity": "velocity"}
SEQUENCES = ("lstm", "conformer", "time_depth", "ring")


def get_config(arg: str | None = None) -> ConfigDict:
    """The whole config of a run; `filters` takes the network of learned filters instead, `lstm`,
    `conformer` and `time_depth` layers that go from frame to frame, `ring` a perceptron for all
    turns of the armband; `events` and `velocity` answer every frame, by the past alone."""
    if arg not in (None, "", "filters", *SEQUENCES, *TARGETS):
        words = ", ".join(("filters", *SEQUENCES, *TARGETS))
        raise ValueError(f"config argument {arg!r}; expected none, or one of {words}")
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
    if arg:
        _take_filters(config)
    if arg in SEQUENCES:
        _take_sequence(config, arg)
    if arg in TARGETS:
        _take_sequence(config, "lstm")
        _take_targets(config, arg)
    return config


def _take_filters(config: ConfigDict) -> None:
    """Samples in place of features, read by learned filters (Schirrmeister et al. 2017)."""
    common = {name: config.data[name] for name in config.data}
    config.eval.min_step = common["min_step"]  # of the floors, in the unit of the recordings
    for name in ("order", "min_step", "fold"):
        del common[name]
    own = dict(source="signals", trials_per_batch=256, normalise="person")
    config.data = ConfigDict({**common, **own})
    config.model = ConfigDict(
        dict(name="signals", num_filters=64, filter_bins=9, width=128, dropout=0.3)
    )


def _take_sequence(config: ConfigDict, layer: str) -> None:
    """Frames of 80 ms every 20 ms, read forwards (models/sequence.py)."""
    config.model = ConfigDict(
        dict(
            name="sequence",
            front="power_frequency",  # or spectrogram
            frame_bins=16,
            hop_bins=4,
            num_bands=4,
            layer=layer,
            num_layers=2,
            width=64,
            num_heads=4,
            window_frames=16,
            kernel_frames=5,
            reads="window",
            dropout=0.3,
        )
    )
    if layer == "ring":
        turns = dict(most_turns=1, pool="mean", trained_turns=1)
        config.model.update(name="ring", layer="lstm", num_layers=0, width=128, **turns)


def _take_targets(config: ConfigDict, objective: str) -> None:
    """A target at every frame; of made-up people where there is no root (sources/frames.py)."""
    hop_bins = FieldReference(4)  # of the source and the model alike
    config.data = ConfigDict(
        dict(
            source="frames",
            root="",  # of recordings with the behaviour pulses, or velocity
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            trials_per_batch=16,
            target=TARGETS[objective],
            hop_bins=hop_bins,
            normalise="person",
            synthetic=dict(
                num_people=6, num_trials=48, trial_s=4.0, gestures_per_s=0.75, noise=0.3
            ),
        )
    )
    config.model.update(front="spectrogram", num_layers=1, reads="frames", dropout=0.1)
    config.model.hop_bins = hop_bins
    config.objective = ConfigDict(dict(name=objective))
    config.head = ConfigDict(dict(name="pulses" if objective == "events" else "gaussian"))
    # Pulses are rare: with 300 steps more events are invented than found.
    config.train.num_steps = 2000 if objective == "events" else 300
    config.eval = ConfigDict(
        dict(evaluator="frames", threshold=0.35, apart_s=0.05, tolerance_s=0.25)
    )
