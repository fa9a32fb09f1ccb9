"""Multi-task masking on NDT1-stitch: size sets the shapes, preset the recipe.

    neurojax train --config=configs/mtm.py:size=tiny --workdir=runs/first
    neurojax train --config=configs/mtm.py:size=small --config.data.root=ROOT --workdir=runs/small

size      tiny (first run, CPU)  small (9 short sessions, CPU)  base  paper (the released shapes)
preset    improved (what helped, see README)  faithful (the released recipe, two errors corrected)
source    Zhang et al. 2024; NDT1: Ye and Pandarinath 2021
hardware  two x86-64 CPU cores that other work shared; Python 3.11, jax 0.10.2
time      tiny: 107 s for the whole first command on idle cores, 85 s the second time
          small, nine mouse sessions: 21 minutes, training 8 of them, with other work beside
scores    test trials, pooled bits/spike (co-smoothing, forward, inter-region, intra-region):
          tiny, synthetic animals: 1.017, 0.440, 0.966, 0.947;
          linear stack 0.940, 0.301, 0.813, 0.784; together 1.035, 0.457, 0.967, 0.958
          small, nine mouse sessions, one seed: 0.321, 0.168, 0.297, 0.257;
          linear stack 0.343, 0.179, 0.315, 0.267; together 0.355, 0.196, 0.332, 0.291
"""

from ml_collections import ConfigDict

SIZES = {
    "tiny": dict(
        read_in_width=64, embed_width=0, width=64, num_layers=2, num_heads=4, mlp_width=128
    ),
    "small": dict(
        read_in_width=96, embed_width=0, width=192, num_layers=2, num_heads=6, mlp_width=384
    ),
    "base": dict(
        read_in_width=256, embed_width=512, width=384, num_layers=5, num_heads=6, mlp_width=768
    ),
    "paper": dict(
        read_in_width=668, embed_width=1336, width=512, num_layers=5, num_heads=8, mlp_width=1024
    ),
}
NUM_STEPS = {"tiny": 700, "small": 3000, "base": 20_000, "paper": 100_000}
PRESETS = ("improved", "faithful")


def parse(arg: str | None) -> tuple[str, str]:
    """`size=tiny,preset=improved` -> (size, preset); both may be left out."""
    chosen = {"size": "tiny", "preset": "improved"}
    allowed = {"size": tuple(SIZES), "preset": PRESETS}
    for part in filter(None, (arg or "").split(",")):
        key, _, value = part.partition("=")
        if key not in chosen or value not in allowed[key]:
            raise ValueError(
                f"config argument {part!r}; expected size={'|'.join(SIZES)} or "
                f"preset={'|'.join(PRESETS)}"
            )
        chosen[key] = value
    return chosen["size"], chosen["preset"]


def get_config(arg: str | None = None) -> ConfigDict:
    """The whole config of a run."""
    size, preset = parse(arg)
    config = ConfigDict()
    config.seed = 0
    config.members = 1  # models trained side by side and averaged; `--ensemble=K` sets it
    config.init_from = ""

    config.data = ConfigDict(
        dict(
            source="spikes",
            root="",  # converted sessions; empty trains on the built-in synthetic animals
            # share of the training trials used; the shares of one seed are nested
            train_fraction=1.0,
            placement="host",
            num_threads=1,
            sessions_per_batch=2,
            trials_per_batch=32,
            bucket_units=128 if size == "tiny" else 256,
            session_temperature=1.0,
            synthetic=dict(num_sessions=4, num_trials=240, dynamics="lorenz"),
        )
    )
    config.model = ConfigDict(
        SIZES[size]
        | dict(
            name="ndt_linear",
            num_positions=0,
            num_session_rows=0,
            positions="rotary",
            bin_mask_token=True,
            # made-up animals, for which `tiny` is, have more signal than recordings
            dropout_embed=0.1 if size == "tiny" else 0.3,
            dropout=0.1 if size == "tiny" else 0.3,
            dropout_attention=0.0,
            init="scaled",
            read_in_init="principal",
            compute_dtype="float32",
            attention="xla",  # "flash" for trials of thousands of bins
            remat="none",
            # on CPUs layers in a row take less time than a scan of few; two are compiled sooner so
            unroll=5 if size in ("base", "paper") else 1,
            posterior_noise=0.5,
            own_alone_share=0.3,
        )
    )
    config.objective = ConfigDict(
        dict(
            name="mtm",
            schemes="neuron,causal,intra_region,inter_region",
            per_trial=True,
            neuron_ratio=0.3 if size == "tiny" else 0.5,
            causal_ratio=0.3,
            causal_span_share=0.1,
            intra_ratio=0.3,
            temporal_ratio=0.3,
            region_size_power=1.0,
            reduction="mean",
            size_power=0.5,
        )
    )
    config.head = ConfigDict(dict(name="poisson"))  # other likelihoods: docs/concepts.md
    config.optimizer = ConfigDict(
        dict(
            learning_rate=5e-3 if size == "tiny" else 2e-3,
            warmup_share=0.15,
            initial_divisor=10.0,
            final_divisor=1e4,
            weight_decay=0.01,
            decay_everything=False,
            row_weight_decay=SIZES[size]["width"] / 48,  # longer rows fit more by heart
            b1=0.9,
            b2=0.999,
            epsilon=1e-8,
            clip_norm=1.0,
        )
    )
    config.sharding = ConfigDict(dict(data=0, model=1, rules=()))
    config.train = ConfigDict(
        dict(
            num_steps=NUM_STEPS[size],
            # ends sooner after so many passes over the trials, 0 never: few trials are learned by
            # heart long before many
            most_passes=0.0 if size == "tiny" else 100.0,
            # parts a batch is computed in, one after another, where memory is short
            microbatches=1,
            steps_per_dispatch=1,  # steps sent to the devices at once, with data.placement=device
            log_every_steps=20,
            save_every_steps=500,
            validate_every_steps=100 if size == "tiny" else 250,
            keep_checkpoints=2,
            max_skipped_in_a_row=10,
        )
    )
    config.eval = ConfigDict(
        dict(
            evaluator="spikes",
            protocol="mtm",
            # at most, fewer where memory_mb holds fewer; few stay in the caches of a CPU
            trials_per_pass=64 if size == "tiny" else 256,
            memory_mb=4096,  # of each device, for the activations of forward passes
            leave_out="exact",  # "groups": many units at a time, corrected; see docs/evaluation.md
            num_boot=500,  # resamples of trials behind every interval
            num_permutations=999,  # of trials, behind every p-value of the region matrix
            baselines="train_mean,psth,drift,stack",
            mixed_with="stack",  # the model is shown together with it, too; "" for the model alone
        )
    )
    if preset == "faithful":
        make_faithful(config)
    return config


def make_faithful(config: ConfigDict) -> None:
    """The released model, hyper-parameters, loss, schedule and initialisation."""
    config.data.update(sessions_per_batch=1, trials_per_batch=16)
    for name in ("posterior_noise", "own_alone_share"):
        del config.model[name]
    config.model.update(
        name="ndt",
        num_session_rows=40,
        positions="learned",
        bin_mask_token=False,
        dropout_embed=0.2,
        dropout=0.4,
        dropout_attention=0.4,
        init="released",
        read_in_init="random",
    )
    config.objective.update(
        per_trial=False,
        neuron_ratio=0.3,
        causal_ratio=0.6,
        causal_span_share=0.0,
        region_size_power=0.0,
        reduction="sum",
        size_power=0.0,
    )
    config.optimizer.update(
        learning_rate=1e-4, decay_everything=True, row_weight_decay=0.01, clip_norm=0.0
    )
    config.train.most_passes = 0.0
