"""A digital twin of visual cortex: images to the responses of neurons, animals stitched by rows.

    neurojax train --config=configs/twin.py --workdir=runs/twin
    neurojax import twin NAME.safetensors --out=runs/public     a public twin, in docs/twins.md

source    Lurz et al. 2021, ICLR; Willeke et al. 2022, arXiv 2206.08666 (penalties, read-out);
          trained on synthetic V1 of a known ceiling, or on a folder of responses and stimuli
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      66 s of CPU time for the whole command
scores    share of explainable variance of 100 made-up cells 0.846 (95 % interval over cells 0.818
          to 0.873) on textures, 0.910 on gratings, 0.778 on white noise; none of these was shown;
          the mean over training trials has 0; correlation with single responses 0.664 (other
          repeats of the same image 0.672)
          (experiments/twin, commit 16e4a7d731, 2026-11-30)
"""

from ml_collections import ConfigDict


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
            source="stimuli",
            root="",  # responses and stimuli; empty makes synthetic V1
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            sessions_per_batch=1,
            trials_per_batch=64,
            bucket_units=4,
            session_temperature=1.0,
            synthetic=dict(
                num_animals=1,
                first_animal=0,
                num_cells=100,
                num_train=3000,
                num_validation=300,
                num_test=60,
                num_repeats=10,
                noise="medium",
                image_px=24,
            ),
        )
    )
    config.model = ConfigDict(
        dict(
            name="twin",
            image_height=24,
            image_width=24,
            width=40,
            num_layers=2,
            input_kernel=9,
            input_padding=0,
            hidden_kernel=5,
            hidden_padding=2,
            activation="elu",
            norm_epsilon=1e-5,
            norm_momentum=0.1,
            places="position",  # or unit: of neurons whose place in cortex is not known
            place_width=30,
            place_layers=1,
            place_bounded=True,
            shifter_width=5,
            shifter_layers=0,  # 2 where the pupil was tracked
            spread=0.1,
            behaviour="none",  # channels or gain where it was recorded
            smoothness=0.01,
            sparsity=0.001,
        )
    )
    config.objective = ConfigDict(dict(name="responses"))
    config.head = ConfigDict(dict(name="poisson"))
    config.optimizer = ConfigDict(
        dict(
            learning_rate=9e-3,
            warmup_share=0.1,
            initial_divisor=10.0,
            final_divisor=1e2,
            weight_decay=0.0,
            decay_everything=False,
            row_weight_decay=0.0,
            b1=0.9,
            b2=0.999,
            epsilon=1e-8,
            clip_norm=0.0,
        )
    )
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
            patience=5,  # validations without a better correlation
            stop_by="responses_correlation",
        )
    )
    config.eval = ConfigDict(dict(evaluator="responses", trials_per_pass=64))
    return config
