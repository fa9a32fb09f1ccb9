"""Do both sides compute the same? Loss and every gradient, from copied weights, on the same batch and masks.

python experiments/throughput/parity.py --peer=PYTHON_WITH_TORCH
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax_side import batch_of, recipe_of, state_of
from rows import PARITY, Shape

from neurojax import heads, schemes
from neurojax.models.interface import Weights, gather_rows

HERE = Path(__file__).parent
TOLERANCE = 1e-4  # relative: of the loss, and of each gradient's largest entry
SCHEMES = {"neuron": schemes.NEURON, "causal": schemes.CAUSAL}


def named(params, tables) -> dict[str, np.ndarray]:
    """Weights, or their gradients, under the peer's names."""
    found = {
        "read_in.0.weight": tables["read_in"].T,
        "read_in.0.bias": tables["read_in_bias"][0],
        "read_out.0.weight": tables["read_out"],
        "read_out.0.bias": tables["read_out_bias"],
        "session_token.weight": tables["session_token"],
        "positions.weight": params["positions"],
        "prompts.weight": params["prompts"],
    }
    for name, layer in params["tokenizer"].items():
        found |= {f"{name}.{leaf}": value for leaf, value in _linear(layer).items()}
    transformer = params["transformer"]
    found |= {f"norm.{leaf}": value for leaf, value in _linear(transformer["norm"]).items()}
    for name, stacked in transformer["layers"].items():
        for number in range(len(stacked["bias"])):
            layer = jax.tree.map(lambda leaf, number=number: leaf[number], stacked)
            found |= {f"layers.{number}.{name}.{leaf}": value for leaf, value in _linear(layer).items()}
    return {name: np.asarray(value) for name, value in found.items()}


def _linear(layer) -> dict[str, jax.Array]:
    weight = layer["kernel"].T if "kernel" in layer else layer["scale"]
    return {"weight": weight, "bias": layer["bias"]}


def loss_and_gradients(shape: Shape, scheme_id: int):
    """(loss in nats, gradients by the peer's names, what the peer needs to compute them)."""
    recipe = recipe_of(shape)
    state, batch = state_of(shape, recipe), batch_of(shape, 0)
    scheme = jnp.full(batch.trials["trial_id"].shape, scheme_id, jnp.int32)
    objective, config = recipe.objective.module, recipe.objective.config
    model, head = recipe.model.module, heads.named(recipe.head)
    query = objective.draw_query(jax.random.key(0), batch, scheme, config)
    apply = functools.partial(model.apply, config=recipe.model.config, train=False)

    @functools.partial(jax.value_and_grad, argnums=(0, 1))
    def loss_of(params, tables):
        weights = Weights(params, gather_rows(tables, model.tables(recipe.model.config), batch))
        return objective.loss(apply, head, weights, batch, query, state.step, None, config).loss()

    loss, gradients = jax.jit(loss_of)(state.params, state.tables)
    given = named(state.params, state.tables) | {
        "counts": np.asarray(batch.trials["counts"][0]),
        "visible": np.asarray(query.visible()[0]),
        "target": np.asarray(query.target()[0]),
        "scheme": np.int64(scheme_id),
        "causal": np.bool_(scheme_id == schemes.CAUSAL),
    }
    return float(loss), named(*gradients), given


def differences(peer: str, shape_name: str, scheme: str) -> dict[str, float]:
    """Relative differences of the loss and of the worst gradient."""
    loss, gradients, given = loss_and_gradients(PARITY[shape_name], SCHEMES[scheme])
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(source, **given)
        subprocess.run([peer, str(HERE / "torch_parity.py"), shape_name, str(source), str(target)], check=True)
        with np.load(target) as arrays:
            found = dict(arrays)
    other = float(found.pop("loss"))
    assert set(found) == set(gradients), set(found) ^ set(gradients)
    # Softmax does not see the bias of a key: its gradient is rounding, held against that of the query's bias.
    scale = {name: np.abs(gradients[name.replace("key.bias", "query.bias")]).max() for name in gradients}
    worst = max(float(np.abs(found[name] - value).max() / scale[name]) for name, value in gradients.items())
    return {"loss": abs(loss - other) / abs(other), "worst_gradient": worst}


def check(peer: str) -> dict[str, dict[str, float]]:
    """Differences of every model and scheme; stops where they are above TOLERANCE."""
    found = {f"{shape}, {scheme}": differences(peer, shape, scheme) for shape in PARITY for scheme in SCHEMES}
    for name, values in found.items():
        print(name, values, file=sys.stderr, flush=True)
        if max(values.values()) > TOLERANCE:
            raise SystemExit(f"{name}: the two sides do not compute the same, {values} > {TOLERANCE}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, metavar="PYTHON")
    parser.add_argument("--json", action="store_true", help="prints the differences on standard output")
    given = parser.parse_args()
    found = check(given.peer)
    if given.json:
        print(json.dumps(found))
