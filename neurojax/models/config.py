"""Shapes and recipe: of the transformer that models share, and of NDT1-stitch around it."""

import dataclasses

from neurojax.errors import require
from neurojax.ranges import at_least, check_ranges, one_of, share


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
        check_ranges(self, "model.", RANGES)
        require(
            self.width % self.num_heads == 0,
            f"model.width={self.width} is not a multiple of model.num_heads={self.num_heads}",
        )
        require(
            self.positions != "rotary" or (self.width // self.num_heads) % 2 == 0,
            f"rotary positions need an even head width, got {self.width} / {self.num_heads}; "
            "change model.width",
        )
        require(
            self.attention == "xla" or not self.dropout_attention,
            f"model.attention={self.attention} knows no model.dropout_attention; set that to 0",
        )


RANGES = {
    "width num_layers num_heads mlp_width unroll": at_least(1),
    "dropout dropout_attention": share("[0, 1)"),
    "positions": one_of("learned", "rotary"),
    "init": one_of("released", "scaled"),
    "compute_dtype": one_of("float32", "bfloat16"),
    "attention": one_of("xla", "cudnn", "splash"),
    "remat": one_of("none", "dots", "block"),
}


@dataclasses.dataclass(frozen=True)
class NDTConfig(TransformerConfig):
    """Attributes, beside those of the transformer:
    read_in_width: K, channels after the per-session read-in.
    embed_width: hidden width of the shared embedder; 0 goes straight from K to `width`.
    num_positions: rows of the learned position table; at least the longest trial's bins.
    num_session_rows: rows of the session-token table; at least the number of sessions.
    bin_mask_token: add a learned vector to the tokens of hidden bins, so that a hidden bin does not
        look like a silent one.
    dropout_embed: on all tokens before the first layer.
    read_in_init: "random", or "principal": each session's principal components (train split).
    """

    read_in_width: int
    embed_width: int
    num_positions: int
    num_session_rows: int
    bin_mask_token: bool
    dropout_embed: float
    read_in_init: str

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "model.", RANGES_OF_NDT)

    def tokens_per_bin(self, num_units: int) -> int:
        """Tokens that the units of a session are in each bin."""
        return 1


RANGES_OF_NDT = {
    "read_in_width": at_least(1),
    "embed_width num_positions num_session_rows": at_least(0),
    "dropout_embed": share("[0, 1)"),
    "read_in_init": one_of("random", "principal"),
}
