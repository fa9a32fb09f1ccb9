"""Shapes and recipe of the transformer that models share."""

import dataclasses

from neurojax.errors import InputError


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """A pre-norm transformer of one token a bin.

    Attributes:
        width, num_layers, num_heads, mlp_width: D, layers, H, hidden units of a layer's MLP.
        positions: "learned" (added to the tokens by the model) or "rotary" (in the attention).
        dropout: on attention output and after the MLP.
        dropout_attention: on attention probabilities.
        init: "released" (the reference's initialisation) or "scaled" (read-in scaled by each unit's
            expected variability, read-out at zero around each unit's log mean rate: training starts
            at the null model).
        compute_dtype: "float32" or "bfloat16"; parameters, norms, softmax and loss stay float32.
        attention: "xla", or a flash kernel, which keeps no scores of heads and layers: "cudnn"
            (NVIDIA; takes the pattern as a bias of 2 bytes a pair of tokens), "splash" (TPU);
            train.kernels makes a config's "flash" one of them.
        remat: what the backward pass keeps of each layer: "none" recomputes nothing, "dots" keeps
            products with weights, "block" only the layer's input. Only memory and speed change.
        unroll: layers unrolled per iteration of the scan; only speed changes.
    """

    width: int
    num_layers: int
    num_heads: int
    mlp_width: int
    positions: str
    dropout: float
    dropout_attention: float
    init: str
    compute_dtype: str
    attention: str
    remat: str
    unroll: int

    def __post_init__(self):
        require_at_least(self, 1, "width", "num_layers", "num_heads", "mlp_width", "unroll")
        require_share(self, "dropout", "dropout_attention")
        require_choice(self, "positions", "learned", "rotary")
        require_choice(self, "init", "released", "scaled")
        require_choice(self, "compute_dtype", "float32", "bfloat16")
        require_choice(self, "attention", "xla", "cudnn", "splash")
        require_choice(self, "remat", "none", "dots", "block")
        if self.width % self.num_heads:
            raise InputError(
                f"model.width={self.width} is not a multiple of model.num_heads={self.num_heads}"
            )
        if self.positions == "rotary" and (self.width // self.num_heads) % 2:
            raise InputError(
                f"rotary positions need an even head width, got {self.width} / {self.num_heads}; "
                "change model.width"
            )
        if self.attention != "xla" and self.dropout_attention:
            raise InputError(
                f"model.attention={self.attention} knows no model.dropout_attention; set that to 0"
            )


def require_at_least(config, least: int, *names: str) -> None:
    """Raises InputError for a field below `least`."""
    for name in names:
        if getattr(config, name) < least:
            wanted = "0 or more" if least == 0 else f"at least {least}"
            raise InputError(f"model.{name}={getattr(config, name)}; expected {wanted}")


def require_share(config, *names: str) -> None:
    """Raises InputError for a field outside [0, 1)."""
    for name in names:
        if not 0 <= getattr(config, name) < 1:
            raise InputError(f"model.{name}={getattr(config, name)}; expected a share in [0, 1)")


def require_choice(config, name: str, *allowed: str) -> None:
    """Raises InputError for a field that is none of the allowed words."""
    if getattr(config, name) not in allowed:
        raise InputError(
            f"model.{name}={getattr(config, name)!r}; choose from {', '.join(allowed)}"
        )
