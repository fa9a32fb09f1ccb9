"""LFADS: a sequential variational autoencoder, one network for several sessions.

    neurojax train --config=configs/lfads.py --workdir=runs/lfads
    neurojax train --config=configs/lfads.py --config.data.root=ROOT --workdir=runs/lfads_mine

source    Sussillo et al. 2016; Pandarinath et al. 2018; coordinated dropout: Keshtkaran &
          Pandarinath 2019. Beyond these, trials are also hidden in the shape of the tasks.
hardware  two x86-64 CPU cores that other work shared, one thread; Python 3.11, jax 0.10.2
time      160 s of CPU time for the first command, training, linear models and scores together;
          training took 75 s by the clock where the cores were half free
scores    test trials, pooled bits/spike, mean of the 4 sessions (half of the 95 % interval):
          co-smoothing 1.029 (0.088)   forward 0.685 (0.149)
          inter-region 1.024 (0.089)   intra-region 1.007 (0.091)
          PSTH in the same run 0.060, -0.036, 0.060, 0.060; linear stack 0.940, 0.301, 0.813, 0.784
          divergence on validation trials, nats a trial: 17.1 of the inputs, 0.6 of the start
          seed 0, one thread, commit da4e7f3; with two threads, commit 78ecda1, forward is 0.712
          and the others within 0.001; 2026-11-29

An evaluation tells what the latents cost and whether they tell of their own trial, and flags a
collapsed posterior (evals/collapse.py). train/search.py trains candidates for the numbers below
side by side in one program. experiments/lfads holds the model beside populations whose rates and
inputs are known: 0.94 of the variance of a Lorenz attractor's rates.

Few trials are learned by heart later than by masked models: of a day of a monkey (112 training
trials, 100 ms; validation trials, co-smoothing and forward as training shows them) 100 passes with
a ramp of half of them reach 0.160 and 0.137, 880 passes 0.149 and 0.138 (seed 0, one thread, commit
a263647, 2026-11-30). So there is no bound on passes by default; a recording of few trials is as
well served by train.most_passes=100 and a ramp that is over by then.

Sizes and weights were chosen on validation trials of these animals, in six runs; a larger network
(128 units, 24 factors, 8 inputs) and twice the steps moved the scores by 0.012 at most.
"""

from ml_collections import ConfigDict


def get_config(arg: str | None = None) -> ConfigDict:
    """The whole config of a run on the built-in synthetic animals; it takes no argument."""
    if arg:
        raise ValueError(f"config argument {arg!r}; configs/lfads.py takes none")
    config = ConfigDict()
    config.seed = 0
    config.members = 1
    config.init_from = ""

    config.data = ConfigDict(
        dict(
            source="spikes",
            root="",  # converted sessions; empty trains on the built-in synthetic animals
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            sessions_per_batch=2,
            trials_per_batch=32,
            bucket_units=128,
            session_temperature=1.0,
            synthetic=dict(num_sessions=4, num_trials=240, dynamics="lorenz"),
        )
    )
    config.model = ConfigDict(
        dict(
            name="lfads",
            read_in_width=32,
            read_in_init="principal",
            encoder_width=64,
            initial_state_width=32,
            controller_width=64,
            generator_width=96,
            num_inputs=4,
            num_factors=16,
            dropout=0.05,
            initial_state_variance=0.1,
            input_time_constant_s=0.2,
            input_noise_variance=0.1,
            variance_floor=1e-4,
        )
    )
    config.objective = ConfigDict(
        dict(
            name="elbo",
            kl_start_step=0,
            kl_stop_step=500,
            kl_weight=1.0,
            recurrent_l2=0.0,
            coordinated_dropout=0.2,
            units_share=0.3,  # shares of the trials; what is left hides single entries only
            regions_share=0.3,
            last_bins_share=0.2,
            units_ratio=0.2,
            last_bins_ratio=0.1,
        )
    )
    config.head = ConfigDict(dict(name="poisson"))
    config.optimizer = ConfigDict(
        dict(
            learning_rate=5e-3,
            warmup_share=0.15,
            initial_divisor=10.0,
            final_divisor=1e4,
            weight_decay=0.01,
            decay_everything=False,
            row_weight_decay=1.0,
            b1=0.9,
            b2=0.999,
            epsilon=1e-8,
            clip_norm=10.0,
        )
    )
    config.sharding = ConfigDict(dict(data=0, model=1, rules=()))
    config.train = ConfigDict(
        dict(
            num_steps=1000,
            # ends sooner after so many passes over the trials, 0 never; the ramp of the divergence
            # is in steps (objective.kl_stop_step) and has to end before that
            most_passes=0.0,
            microbatches=1,
            steps_per_dispatch=1,
            log_every_steps=20,
            save_every_steps=500,
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
            num_samples=0,  # draws of the posterior to average over; 0 follows its means
            mixed_with="stack",  # the model is shown together with it, too; "" for the model alone
        )
    )
    return config
