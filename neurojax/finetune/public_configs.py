"""Sizes of a public language model from its config.json; what is not computed here is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.errors import require

MAX_LAYERS, MAX_SIZE = 1024, 1 << 20


def sizes(family: str, published: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], int]:
    """(the `model` block of a config, V) of a published config.

    Args:
        family: "gpt2" or "llama" (Mistral, too).
        published: content of config.json.
        path: of it, for messages.

    Raises:
        InputError: another family, a size that is none, or a variant that is not computed here.
    """
    kinds = {"gpt2": ("gpt2",), "llama": ("llama", "mistral")}[family]
    require(
        published.get("model_type") in kinds,
        f"{path} is of model_type {str(published.get('model_type'))[:40]!r}, expected "
        f"{' or '.join(kinds)}; import it as what it is",
    )
    return (_gpt2 if family == "gpt2" else _llama)(published, path)


def _number(published: Mapping[str, Any], path: Path, *names: str, default: Any = None) -> int:
    """A size under the first of several names; null is none."""
    found = next((published[name] for name in names if published.get(name) is not None), default)
    require(
        type(found) is int and 0 < found <= MAX_SIZE,
        f"{path}: {names[0]}={str(found)[:40]} is no size; use another copy",
    )
    return found


def _real(published: Mapping[str, Any], path: Path, name: str, default: float) -> float:
    found = published.get(name, default)
    number = isinstance(found, int | float) and not isinstance(found, bool)
    require(number and 0 < found < 1e12, f"{path}: {name}={str(found)[:40]} is no positive number")
    return float(found)


def _require_plain(published: Mapping[str, Any], path: Path, allowed: Mapping[str, tuple]) -> None:
    """Raises InputError for a switch that changes what a model computes, set to what is not
    computed here."""
    for name, values in allowed.items():
        require(
            published.get(name, values[0]) in values,
            f"{path}: {name}={str(published.get(name))[:60]} is not computed here; expected "
            f"{' or '.join(map(str, values))}",
        )


def _gpt2(published: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], int]:
    _require_plain(
        published, path,
        {
            "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
            "scale_attn_weights": (True,),
            "scale_attn_by_inverse_layer_idx": (False,),
            "add_cross_attention": (False,),
            "tie_word_embeddings": (True,),
        },
    )  # fmt: skip
    width, heads = _number(published, path, "n_embd"), _number(published, path, "n_head")
    block = {
        "family": "gpt2",
        "width": width,
        "num_layers": _number(published, path, "n_layer"),
        "num_heads": heads,
        "num_kv_heads": heads,
        "mlp_width": _number(published, path, "n_inner", default=4 * width),
        "num_positions": _number(published, path, "n_positions", "n_ctx"),
        "norm_epsilon": _real(published, path, "layer_norm_epsilon", 1e-5),
        "rotary_base": 10_000.0,
        "tied": True,
    }
    return _checked(block, path), _number(published, path, "vocab_size")


def _llama(published: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], int]:
    # Newer files keep both in one entry.
    rotary = published.get("rope_parameters")
    rotary = rotary if isinstance(rotary, dict) else {}
    published = {
        **published,
        **({"rope_type": rotary["rope_type"]} if "rope_type" in rotary else {}),
    }
    _require_plain(
        published, path,
        {
            "hidden_act": ("silu",),
            "attention_bias": (False,),
            "mlp_bias": (False,),
            "rope_scaling": (None,),
            "rope_type": ("default",),
        },
    )  # fmt: skip
    width = _number(published, path, "hidden_size")
    heads = _number(published, path, "num_attention_heads")
    dims = _number(published, path, "head_dim", default=max(1, width // heads))
    require(
        dims * heads == width,
        f"{path}: head_dim={dims} with {heads} heads is not hidden_size={width}; such models are "
        "not computed here",
    )
    positions = _number(published, path, "max_position_embeddings")
    # Beyond it a token is not seen by all layers: texts are read in windows of that length.
    window = _number(published, path, "sliding_window", default=positions)
    base = rotary.get("rope_theta", published.get("rope_theta", 10_000.0))
    block = {
        "family": "llama",
        "width": width,
        "num_layers": _number(published, path, "num_hidden_layers"),
        "num_heads": heads,
        "num_kv_heads": _number(published, path, "num_key_value_heads", default=heads),
        "mlp_width": _number(published, path, "intermediate_size"),
        "num_positions": min(positions, window),
        "norm_epsilon": _real(published, path, "rms_norm_eps", 1e-6),
        "rotary_base": _real({"rope_theta": base}, path, "rope_theta", 10_000.0),
        "tied": published.get("tie_word_embeddings") is True,
    }
    return _checked(block, path), _number(published, path, "vocab_size")


def _checked(block: dict[str, Any], path: Path) -> dict[str, Any]:
    require(
        block["num_layers"] <= MAX_LAYERS,
        f"{path} has {block['num_layers']:,} layers, expected at most {MAX_LAYERS:,}",
    )
    return {"name": "causal_lm", **block, "dropout": 0.0, "compute_dtype": "float32"}
