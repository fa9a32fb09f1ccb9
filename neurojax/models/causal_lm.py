"""A causal language model: tokens of text to the logits of the next one.

    tokens [G, b, T] -> embedding (GPT-2: + learned positions) -> blocks -> norm -> logits over V

No token reads a later one, nor one of another document in its row. Parameters of all layers lie
in one array each, so that a program of 80 layers compiles as fast as one of two.
"""

import dataclasses

import jax
import jax.numpy as jnp

from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.models.interface import Outputs, TableSpec, TextInputs, Weights, by_group, by_trial
from neurojax.models.lm_blocks import BLOCKS
from neurojax.ranges import at_least, check_ranges, one_of, positive, share

HAS_CAUSAL_SCHEME = True
INITIAL_SD = 0.02  # of embeddings


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    family: "gpt2" (layer norm, learned positions, GELU, biases) or "llama" (RMS norm, rotary
        positions, gated SiLU, no biases).
    width, num_layers, num_heads, mlp_width: D, blocks, H, hidden units.
    num_kv_heads: K, heads of keys and values; a divisor of num_heads, equal to it for gpt2.
    num_positions: tokens a model can look back; of gpt2 rows of its position table.
    norm_epsilon: added to variances.
    rotary_base: of llama's wavelengths.
    tied: logits by the embedding of tokens; otherwise by a matrix of their own.
    dropout: on embeddings and on what each half of a block adds.
    compute_dtype: of matrix products; parameters, norms and the loss are float32.
    """

    family: str
    width: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    mlp_width: int
    num_positions: int
    norm_epsilon: float
    rotary_base: float
    tied: bool
    dropout: float
    compute_dtype: str

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)
        dims, heads, groups = self.width, self.num_heads, self.num_kv_heads
        even = dims % heads == 0 and (self.family == "gpt2" or dims // heads % 2 == 0)
        require(
            even,
            f"model.width={dims} with num_heads={heads}; expected a multiple, and of llama heads "
            "of an even number of dims",
        )
        require(
            heads % groups == 0 and (self.family == "llama" or heads == groups),
            f"model.num_kv_heads={groups} with num_heads={heads}; expected a divisor, and of gpt2 "
            "the same number",
        )


RANGES = {
    "family": one_of(*BLOCKS),
    "width num_layers num_heads num_kv_heads mlp_width": at_least(1),
    "num_positions": at_least(2),
    "norm_epsilon rotary_base": positive(),
    "dropout": share("[0, 1)"),
    "compute_dtype": one_of("float32", "bfloat16"),
}


def tables(config: Config) -> dict[str, TableSpec]:
    """None: no row belongs to a document."""
    return {}


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters, no buffers); raises InputError for data that are no text, or longer rows."""
    require(
        facts.num_classes >= 2 and not facts.num_channels and not facts.units_per_session,
        "model.name=causal_lm reads text; set data.source=text, as configs/causal_lm.py does",
    )
    require(
        facts.num_bins <= config.num_positions,
        f"data.context_tokens={facts.num_bins}, but model.num_positions={config.num_positions}; "
        "expected at most as many",
    )
    keys = iter(jax.random.split(key, 12))
    width, layers = config.width, config.num_layers

    def matrix(*shape: int, sd: float = INITIAL_SD) -> jax.Array:
        return sd * jax.random.normal(next(keys), shape)

    def of_layers(inputs: int, outputs: int, scale: float = 1.0) -> dict[str, jax.Array]:
        # By the width, not 0.02 at any: at a width of 64 units that read 0.02 are all but linear,
        # and what depends on several words at once is learned late or never.
        made = {"kernel": matrix(layers, inputs, outputs, sd=scale / inputs**0.5)}
        bias = {"bias": jnp.zeros((layers, outputs))} if config.family == "gpt2" else {}
        return made | bias

    def norm(*shape: int) -> dict[str, jax.Array]:
        bias = {"bias": jnp.zeros(shape)} if config.family == "gpt2" else {}
        return {"scale": jnp.ones(shape)} | bias

    into_residual = 1 / (2 * layers) ** 0.5  # less with depth
    keyed = width // config.num_heads * config.num_kv_heads
    embedding = {"tokens": matrix(facts.num_classes, width)}
    if config.family == "gpt2":
        embedding["positions"] = matrix(config.num_positions, width)
        block = {"query_key_value": of_layers(width, 3 * width)}
    else:
        sizes = {"query": width, "key": keyed, "value": keyed, "gate": config.mlp_width}
        block = {name: of_layers(width, size) for name, size in sizes.items()}
    block |= {
        "norm_attention": norm(layers, width),
        "output": of_layers(width, width, into_residual),
        "norm_mlp": norm(layers, width),
        "expand": of_layers(width, config.mlp_width),
        "contract": of_layers(config.mlp_width, width, into_residual),
    }
    params = {"embedding": embedding, "layers": block, "norm": norm(width)}
    if not config.tied:
        params["read_out"] = {"kernel": matrix(width, facts.num_classes)}
    return params, {}


def apply(
    weights: Weights, inputs: TextInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Logits float32 [G, b, T, V] of the token after each; states [G, b, T, D] after the norm."""
    groups = inputs.tokens.shape[0]
    tokens, document, position = map(by_trial, inputs)  # [B, T]
    # Padding has one document of its own: a softmax of nothing would be NaN.
    allowed = (document[:, :, None] == document[:, None, :]) & _not_later(tokens.shape[1])[None]

    def attend(queries, keys, values):
        return jax.nn.dot_product_attention(queries, keys, values, mask=allowed[:, None]), None

    key = key if train and config.dropout else None
    states, _ = through_blocks(weights.params, tokens, position, attend, config, key=key)
    logits = read_out(weights.params, states, config)
    return Outputs(by_group(logits, groups), by_group(states, groups))


def _not_later(length: int) -> jax.Array:
    return jnp.tril(jnp.ones((length, length), bool))


def through_blocks(params, tokens, position, attend, config: Config, memory=None, key=None):
    """Tokens and places int [B, T] to (states float32 [B, T, D], what the layers keep).

    Args:
        params: of `init`.
        tokens, position: int [B, T].
        attend: (queries, keys, values) -> (mixed, kept); with a memory its first argument is that
            of the layer.
        config: of the model.
        memory: a pytree with layers as first axis, or None.
        key: of dropout; None has none.
    """
    block, norm = BLOCKS[config.family]
    values = jnp.take(params["embedding"]["tokens"], tokens, axis=0, mode="clip")
    if config.family == "gpt2":
        values = values + jnp.take(params["embedding"]["positions"], position, axis=0, mode="clip")
    keys = None if key is None else jax.random.split(key, config.num_layers + 1)
    if keys is not None:
        values = _dropped(values, config.dropout, keys[-1])

    def one(values, layer):
        own, remembered, layer_key = layer

        def drop(added, place):
            if layer_key is None:
                return added
            return _dropped(added, config.dropout, jax.random.fold_in(layer_key, place))

        look = attend if remembered is None else lambda *heads: attend(remembered, *heads)
        return block(own, values, position, look, config, drop)

    layer_keys = None if keys is None else keys[:-1]
    values, kept = jax.lax.scan(one, values, (params["layers"], memory, layer_keys))
    return norm(params["norm"], values, config.norm_epsilon), kept


def _dropped(values: jax.Array, rate: float, key: jax.Array) -> jax.Array:
    kept = jax.random.bernoulli(key, 1 - rate, values.shape)
    return jnp.where(kept, values / (1 - rate), 0.0).astype(values.dtype)


def read_out(params, states: jax.Array, config: Config) -> jax.Array:
    """States float32 [..., D] to logits float32 [..., V]."""
    dtype = jnp.dtype(config.compute_dtype)
    kernel = params["embedding"]["tokens"].T if config.tied else params["read_out"]["kernel"]
    return jnp.matmul(
        states.astype(dtype), kernel.astype(dtype), preferred_element_type=jnp.float32
    )
