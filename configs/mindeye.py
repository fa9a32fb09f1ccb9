"""Pictures from fMRI: which of 300 was seen, voxels of all people in one space.

    neurojax train --config=configs/mindeye.py --workdir=runs/mindeye
    neurojax train --config=configs/mindeye.py --config.data.root=ROOT --workdir=runs/mindeye

Without data.root it trains on made-up people, whose voxels answer to shared features of pictures;
the best that any reader can do is known, and is in the record.

source    network, mixing and losses: Scotti et al. 2024 (MindEye2); people, voxels and the shared
          test after Allen et al. 2022 (Natural Scenes Dataset), made small
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      18 s of CPU time for seven people, evaluation included
scores    top-1 of 300 pictures that training never met, seven made-up people: 0.511 (95 % interval
          over people 0.494 to 0.528), of brains 0.560; the best reader 0.760, ridge regression
          0.223, a linear encoding inverted by Bayes' rule 0.630, chance 0.003
          (experiments/mindeye, commit d38c808bfe, 2026-11-30)
"""

from ml_collections import ConfigDict

NUM_STEPS = 240


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
            source="betas",
            root="",  # of recordings with embeddings; empty makes people up
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            sessions_per_batch=8,  # people side by side
            trials_per_batch=256,  # each is a candidate for all others
            bucket_units=900,  # the voxels of everybody fit in one bucket
            session_temperature=1.0,
            item="picture",
            clip_sd=10.0,
            synthetic=dict(
                num_people=8,
                first_person=0,
                num_sessions=20,
                trials_per_session=120,
                num_validation=120,
                num_test=300,
                num_repeats=3,
                noise="medium",
                most_voxels=0,
            ),
        )
    )
    config.model = ConfigDict(
        dict(
            name="mindeye",
            read_in_width=64,  # numbers of an embedding
            width=128,
            num_blocks=2,
            projector_width=128,
            projector_layers=2,
            voxel_dropout=0.0,
            dropout=0.15,
        )
    )
    config.objective = ConfigDict(
        dict(
            name="mixco",
            mix_steps=NUM_STEPS // 3,
            mixed_share=0.5,
            mix_beta=0.15,
            mix_temperature=0.1,
            soft_from=0.07,
            soft_to=0.1,
            soft_steps=2 * NUM_STEPS // 3,
        )
    )
    config.head = ConfigDict(dict(name="gaussian"))
    config.optimizer = ConfigDict(
        dict(
            learning_rate=5e-3,
            warmup_share=0.1,
            initial_divisor=10.0,
            final_divisor=1e2,
            weight_decay=0.01,
            decay_everything=False,
            row_weight_decay=0.1,
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
            microbatches=1,  # more are refused: trials are compared with each other
            steps_per_dispatch=1,
            log_every_steps=25,
            save_every_steps=120,
            validate_every_steps=50,
            keep_checkpoints=2,
            max_skipped_in_a_row=10,
            patience=0,
            stop_by="",
        )
    )
    config.eval = ConfigDict(dict(evaluator="image_retrieval", floors="ridge,in_context", ways=300))
    return config
