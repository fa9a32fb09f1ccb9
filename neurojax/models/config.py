"""Shapes and recipe of the model, as plain fields."""

import dataclasses

from neurojax.errors import InputError


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """NDT1-stitch.

    Attributes:
        read_in_width: K, channels after the per-session read-in.
        embed_width: hidden width of the shared embedder; 0 goes straight from K to `width`.
        width, num_layers, num_heads, mlp_width: the transformer.
        num_positions: rows of the learned position table; 0 means the longest trial of the dataset.
        num_session_rows: rows of the session-token table; grows to the number of sessions.
        positions: "learned" or "rotary".
        bin_mask_token: add a learned vector to the tokens of hidden bins, so that a hidden bin
            does not look like a silent one.
        dropout_embed: on all tokens before the first layer.
        dropout: on attention output and after the MLP.
        dropout_attention: on attention probabilities.
        dropout_states: on the states the read-out weighs, the linear path included.
        init: "released" (the reference's initialisation) or "scaled" (read-in scaled by each unit's
            expected variability, read-out at zero around each unit's log mean rate: training starts
            at the null model).
        hidden_counts: what a hidden count reads as: "silent" (zero, like a bin without a spike) or "mean" (the rate
            the read-out gives the unit before it knows anything: hiding a unit leaves the latents where they are).
        posterior_noise: noise over signal of a latent when all units are visible; above 0 the latents are the posterior
            mean of a factor model given the units that are visible, whose loadings are the read-in rows
            (needs hidden_counts="mean"); 0 is the plain sum over visible units, which shrinks as units are hidden.
        smoothed_tokens: tokens also see the latents smoothed over bins and averaged over the trial.
        linear_path: the same smoothed latents reach the read-out beside the transformer.
        own_history: each unit's own recent log gains reach its log-rate (they are zero where it is hidden).
        own_alone_share: in training, this share of the units of a causal trial is predicted from own history alone,
            so that its weights are learned before the population explains the training trials by heart.
        read_in_init: "random", or "principal": each session's principal components (train split).
        read_out_init: "zero" (the null model), or "linear": a closed-form linear predictor on the linear path, beside
            which the transformer starts at zero (needs the linear path, principal components, hidden_counts="mean").
        link: from the read-out's weighted sum to the gain on the base rate: "exp" or "softplus", see stitcher.log_gain.
        compute_dtype: "float32" or "bfloat16"; parameters, norms, softmax and loss stay float32.
        attention: "xla", or a flash kernel, which keeps no scores of heads and layers: "cudnn" (NVIDIA; it takes the
            pattern as a bias of 2 bytes a pair of tokens), "splash" (TPU); train.kernels makes a config's "flash" one.
        remat: what the backward pass keeps of each layer: "none" recomputes nothing, "dots" keeps products with
            weights, "block" only the layer's input. Only memory and speed change.
        unroll: layers unrolled per iteration of the scan; only speed changes.
    """

    read_in_width: int = 64
    embed_width: int = 0
    width: int = 64
    num_layers: int = 2
    num_heads: int = 4
    mlp_width: int = 128
    num_positions: int = 0
    num_session_rows: int = 0
    positions: str = "learned"
    bin_mask_token: bool = True
    dropout_embed: float = 0.1
    dropout: float = 0.1
    dropout_attention: float = 0.0
    dropout_states: float = 0.0
    init: str = "scaled"
    hidden_counts: str = "silent"
    posterior_noise: float = 0.0
    smoothed_tokens: bool = False
    linear_path: bool = False
    own_history: bool = False
    own_alone_share: float = 0.0
    read_in_init: str = "random"
    read_out_init: str = "zero"
    link: str = "exp"
    compute_dtype: str = "float32"
    attention: str = "xla"
    remat: str = "none"
    unroll: int = 1

    def __post_init__(self):
        for name in ("read_in_width", "width", "num_layers", "num_heads", "mlp_width", "unroll"):
            if getattr(self, name) < 1:
                raise InputError(f"model.{name}={getattr(self, name)}; expected at least 1")
        if self.width % self.num_heads:
            raise InputError(f"model.width={self.width} is not a multiple of model.num_heads={self.num_heads}")
        if self.positions == "rotary" and (self.width // self.num_heads) % 2:
            raise InputError(
                f"rotary positions need an even head width, got {self.width} / {self.num_heads}; change model.width"
            )
        for name, allowed in (
            ("positions", ("learned", "rotary")),
            ("init", ("released", "scaled")),
            ("hidden_counts", ("silent", "mean")),
            ("read_in_init", ("random", "principal")),
            ("link", ("exp", "softplus")),
            ("read_out_init", ("zero", "linear")),
            ("compute_dtype", ("float32", "bfloat16")),
            ("attention", ("xla", "cudnn", "splash")),
            ("remat", ("none", "dots", "block")),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(f"model.{name}={getattr(self, name)!r}; choose from {', '.join(allowed)}")
        if not 0 <= self.posterior_noise < float("inf"):
            raise InputError(f"model.posterior_noise={self.posterior_noise}; expected 0 (off) or a positive ratio")
        if self.posterior_noise and self.hidden_counts != "mean":
            raise InputError(f"model.posterior_noise needs model.hidden_counts=mean, got {self.hidden_counts}")
        if self.attention != "xla" and self.dropout_attention:
            raise InputError(f"model.attention={self.attention} knows no model.dropout_attention; set that to 0")
        if self.own_alone_share and not self.own_history:
            raise InputError(f"model.own_alone_share={self.own_alone_share} needs model.own_history=True; set it to 0")
        needed = dict(linear_path=True, read_in_init="principal", hidden_counts="mean", init="scaled")
        if self.read_out_init == "linear" and any(getattr(self, name) != value for name, value in needed.items()):
            wanted = ", ".join(f"model.{name}={value}" for name, value in needed.items())
            raise InputError(f"model.read_out_init=linear needs {wanted}")
        for name in ("embed_width", "num_positions", "num_session_rows"):
            if getattr(self, name) < 0:
                raise InputError(f"model.{name}={getattr(self, name)}; expected 0 or more")
        for name in ("dropout_embed", "dropout", "dropout_attention", "dropout_states", "own_alone_share"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"model.{name}={getattr(self, name)}; expected a share in [0, 1)")
