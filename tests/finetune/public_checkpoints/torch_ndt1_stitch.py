"""NDT1-stitch once more, in torch and from its description, under the public names of its weights.

    pip install torch
    python tests/finetune/public_checkpoints/torch_ndt1_stitch.py   # writes mtm/ beside it

Random weights: nothing was learned. Written once; mtm/outputs.npz says which version wrote it.

Source: Zhang et al. 2024, section 3; sizes, order of tokens and norms as the released config has them.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent / "mtm"
PROMPTS = {"neuron": 0, "causal": 1, "inter_region": 2, "intra_region": 3}
SIZES = {"K": 6, "E": 10, "D": 8, "M": 12, "T": 6, "S": 3, "L": 2}
UNITS, NUM_HEADS = (5, 7), 2


def shapes(sizes: dict[str, int], units: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Public name -> shape."""
    k, e, d, m = (sizes[letter] for letter in "KEDM")
    maps = {"encoder.embedder.embed_spikes": (e, k), "encoder.embedder.projection": (d, e), "decoder.0": (k, d)}
    for n in units:
        maps[f"encoder.stitcher.stitcher_dict.{n}"] = (k, n)
        maps[f"stitch_decoder.stitch_decoder_dict.{n}"] = (n, d)
    norms = ["encoder.out_norm"]
    for layer in range(sizes["L"]):
        name = f"encoder.layers.{layer}"
        maps |= {f"{name}.attn.{part}": (d, d) for part in ("query", "key", "value", "out_proj")}
        maps |= {f"{name}.mlp.up_proj": (m, d), f"{name}.mlp.down_proj": (d, m)}
        norms += [f"{name}.ln1", f"{name}.ln2"]
    rows = {"embed_pos": sizes["T"], "embed_prompt": len(PROMPTS), "embed_session": sizes["S"]}
    found = {f"{name}.weight": shape for name, shape in maps.items()}
    found |= {f"{name}.bias": shape[:1] for name, shape in maps.items()}
    found |= {f"{name}.{part}": (d,) for name in norms for part in ("weight", "bias")}
    return found | {f"encoder.embedder.{name}.weight": (number, d) for name, number in rows.items()}


def drawn(sizes: dict[str, int], units: tuple[int, ...], seed: int) -> dict[str, np.ndarray]:
    """Random weights, every bias and norm away from where training would start it."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in sorted(shapes(sizes, units).items()):
        about = 1.0 if ".ln" in name and name.endswith("weight") else 0.0
        made[name] = (about + rng.normal(0, 0.5, shape)).astype(np.float32)
    return made


def outputs(weights, counts, prompt: str, session_row: int, num_heads: int, context_sees_bins: bool = False) -> dict:
    """Every stage of a forward pass, in double precision, without dropout.

    Args:
        weights: public name -> array.
        counts: [b, T, N], zero where hidden.
        prompt: of PROMPTS; under "causal" a bin sees bins up to itself.
        session_row: of embed_session.
        num_heads: of attention.
        context_sees_bins: under "causal" too, as released; a later bin then reaches earlier ones.
    """
    given = {name: torch.from_numpy(np.asarray(array, np.float64)) for name, array in weights.items()}

    def linear(name, values):
        return F.linear(values, given[f"{name}.weight"], given[f"{name}.bias"])

    def norm(name, values):
        return F.layer_norm(values, values.shape[-1:], given[f"{name}.weight"], given[f"{name}.bias"])

    counts = torch.from_numpy(np.asarray(counts, np.float64))
    trials, num_bins, units = counts.shape
    read = linear(f"encoder.stitcher.stitcher_dict.{units}", counts)
    embedded = F.softsign(linear("encoder.embedder.embed_spikes", read))
    bins = linear("encoder.embedder.projection", embedded)
    stages = {"read_in": read, "projected": bins}
    bins = bins + given["encoder.embedder.embed_pos.weight"][:num_bins]
    session = given["encoder.embedder.embed_session.weight"][session_row].expand(trials, 1, -1)
    asked = given["encoder.embedder.embed_prompt.weight"][PROMPTS[prompt]].expand(trials, 1, -1)
    tokens = stages["tokens"] = torch.cat([session, asked, bins], dim=1)

    length, width = tokens.shape[1:]
    sees = torch.ones(length, length, dtype=torch.bool)
    if prompt == "causal":
        sees[2:, 2:] = torch.tril(sees[2:, 2:])
        sees[:2, 2:] = context_sees_bins

    def by_head(values):
        return values.reshape(trials, length, num_heads, width // num_heads).transpose(1, 2)

    number = 0
    while f"encoder.layers.{number}.ln1.weight" in given:
        name = f"encoder.layers.{number}"
        normed = norm(f"{name}.ln1", tokens)
        query, key, value = (by_head(linear(f"{name}.attn.{part}", normed)) for part in ("query", "key", "value"))
        scores = query @ key.transpose(2, 3) / (width // num_heads) ** 0.5
        mixed = torch.softmax(scores.masked_fill(~sees, -torch.inf), dim=-1) @ value
        tokens = tokens + linear(f"{name}.attn.out_proj", mixed.transpose(1, 2).reshape(trials, length, width))
        expanded = F.gelu(linear(f"{name}.mlp.up_proj", norm(f"{name}.ln2", tokens)))
        tokens = tokens + linear(f"{name}.mlp.down_proj", expanded)
        stages[f"layer_{number}"] = tokens
        number += 1
    states = stages["states"] = norm("encoder.out_norm", tokens)[:, 2:]
    stages["log_rates"] = linear(f"stitch_decoder.stitch_decoder_dict.{units}", states)
    return {name: stage.numpy().astype(np.float32) for name, stage in stages.items()}


def asked_for(weights: dict[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
    """What mtm/outputs.npz holds, of the first read-in and the last row of embed_session."""
    found = {"counts": counts.astype(np.uint8)}
    for prompt in PROMPTS:
        stages = outputs(weights, counts, prompt, SIZES["S"] - 1, NUM_HEADS)
        if prompt != "inter_region":
            stages = {name: stages[name] for name in ("states", "log_rates")}
        found |= {f"{prompt}.{name}": stage for name, stage in stages.items()}
    leaks = outputs(weights, counts, "causal", SIZES["S"] - 1, NUM_HEADS, context_sees_bins=True)
    return found | {"causal.log_rates_as_released": leaks["log_rates"]}


def main() -> None:
    """Writes mtm/weights.npz and mtm/outputs.npz."""
    weights = drawn(SIZES, UNITS, seed=0)
    counts = np.random.default_rng(1).poisson(1.0, (2, SIZES["T"], UNITS[0]))
    counts[0, 2], counts[1, :, 3] = 0, 0  # a bin and a unit are hidden
    HERE.mkdir(exist_ok=True)
    np.savez_compressed(HERE / "weights.npz", **weights)
    version = np.array(f"torch {torch.__version__}, python {sys.version.split()[0]}")
    np.savez_compressed(HERE / "outputs.npz", **asked_for(weights, counts), version=version)


if __name__ == "__main__":
    main()
