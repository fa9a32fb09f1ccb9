"""One core, all nodes: stimulus, activity and behaviour, any of them from any other.

    neurojax train --config=configs/joint.py --workdir=runs/joint
    neurojax train --config=configs/joint.py --config.data.root=ROOT --config.data.stimulus=NAMES \\
        --config.data.behaviour=NAMES --config.model.nonlinear_width=64 --workdir=runs/loop

Without data.root it trains on made-up loops, linear and Gaussian, of which the best answer to every
question is known exactly and is in the record. NAMES are behaviours, or conditions that are
numbers, with commas between (docs/joint.md).

source    masks over nodes as prompts of one model: after Zhang et al. 2025 (NEDS), with the
          stimulus as a third node
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      114 s of CPU time, evaluation included
scores    R2 of test trials over that of the exact conditional mean, two made-up sessions, 15 pairs
          of what is given and asked: least 0.966 (behaviour from stimulus: 0.573 of 0.594, ridge
          0.586), most 0.992 (behaviour from activity: 0.734 of 0.740, ridge 0.721); least 0.965
          and 0.969 at low and high noise; above ridge in 11 pairs, level in two, below in two
          (experiments/joint, seed 1, trained at a4e5812de5, scored at 8d467220e3, 2026-11-30)
"""

from ml_collections import ConfigDict

NUM_STEPS = 3600


def get_config(arg: str | None = None) -> ConfigDict:
    """The whole config of a run; it takes no argument."""
    if arg:
        raise ValueError(f"config argument {arg!r}; expected none")
    config = ConfigDict()
    config.seed = 0
    config.members = 1
    config.init_from = ""
    config.data = ConfigDict(
        dict(
            source="joint",
            root="",  # of recordings with a stimulus and behaviour; empty makes loops up
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            sessions_per_batch=2,
            trials_per_batch=64,
            bucket_units=8,
            session_temperature=1.0,
            stimulus="stimulus",  # names of behaviours or of conditions, with commas
            behaviour="behaviour",
            clip_sd=10.0,
            synthetic=dict(
                num_sessions=2,
                first_session=0,
                num_units=16,
                num_bins=20,
                num_train=1500,
                num_validation=200,
                num_test=500,
                noise="medium",
            ),
        )
    )
    config.model = ConfigDict(
        dict(
            name="joint",
            width=64,
            structure_width=32,
            num_layers=2,
            num_heads=8,
            most_bins_apart=16,
            nonlinear_width=0,  # 64 or so for recordings
            dropout=0.0,
        )
    )
    config.objective = ConfigDict(
        dict(
            name="joint",
            # What is hardest to say, of everything from behaviour alone, is asked most often.
            patterns="stimulus,stimulus,activity,behaviour,behaviour,behaviour,behaviour,"
            "stimulus_activity,stimulus_behaviour,activity_behaviour,past,past_stimulus,"
            "past_activity,past_behaviour",
            past_share=0.75,
        )
    )
    config.head = ConfigDict(dict(name="gaussian"))
    config.optimizer = ConfigDict(
        dict(
            learning_rate=1e-2,
            warmup_share=0.1,
            initial_divisor=10.0,
            final_divisor=1e2,
            weight_decay=0.0,
            decay_everything=False,
            row_weight_decay=0.0,
            b1=0.9,
            b2=0.99,
            epsilon=1e-8,
            clip_norm=1.0,
        )
    )
    config.sharding = ConfigDict(dict(data=0, model=1, rules=()))
    config.train = ConfigDict(
        dict(
            num_steps=NUM_STEPS,
            microbatches=1,
            steps_per_dispatch=1,
            log_every_steps=100,
            save_every_steps=900,
            validate_every_steps=450,
            keep_checkpoints=2,
            max_skipped_in_a_row=10,
            patience=0,
            stop_by="",
        )
    )
    config.eval = ConfigDict(dict(evaluator="joint", floors="ridge", trials_per_pass=250))
    return config
