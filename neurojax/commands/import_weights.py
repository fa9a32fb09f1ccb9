"""`neurojax import KIND PATH --out=DIR`: public weights as a run that `evaluate` takes."""

import json
from pathlib import Path

from neurojax.commands import config as declared
from neurojax.commands import declarations
from neurojax.data import text_tokens
from neurojax.data.store import roster
from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.files import json_bytes
from neurojax.finetune import public_weights
from neurojax.runs import checkpoint, random_numbers, state_io, together, workdir
from neurojax.train import settings, state

FAMILIES = ("gpt2", "llama")


def import_weights(kind: str, path: Path, *, out: Path) -> None:
    """Writes a workdir of step 0: config, tokenizer and a checkpoint of the weights alone.

    Args:
        kind: "gpt2" or "llama" (Mistral, too).
        path: folder with config.json, safetensors and tokenizer.json.
        out: a new folder.

    Raises:
        InputError: an unknown kind, files that are not what they should be, or `out` holds
            something.
    """
    require(kind in FAMILIES, f"import {kind}: choose from {', '.join(FAMILIES)}")
    path, out = Path(path), Path(out)
    require(
        not out.exists() or (out.is_dir() and not any(out.iterdir())),
        f"{out} holds something already; choose a new folder",
    )
    stored = public_weights.open_folder(path, kind)
    tokenizer = text_tokens.open_file(public_weights.tokenizer_json(path))
    require(
        tokenizer.num_tokens <= stored.num_tokens,
        f"{path}: the tokenizer has {tokenizer.num_tokens:,} tokens, the model "
        f"{stored.num_tokens:,}; put the tokenizer.json of this model there",
    )
    config = _config(stored, kind)
    facts = Facts(stored.model["num_positions"], 1.0, num_classes=stored.num_tokens)
    shapes = state.abstract_trained(settings.model_of(config), facts)["params"]
    named = state_io.named_leaves(shapes)
    sizes = {name: leaf.shape for name, leaf in named.items()}
    arrays = public_weights.parameters(stored, kind, sizes)
    require(
        public_weights.tied_read_out_agrees(stored, arrays["embedding/tokens"]),
        f"{path}: lm_head.weight is not the embedding, but tie_word_embeddings says so; use "
        "another copy",
    )
    with workdir.hold(out):
        files = {
            workdir.CONFIG_NAME: workdir.config_bytes(out, config, stored.digest, {}),
            roster.ROSTER_NAME: json_bytes(roster.content_of([])),
            text_tokens.FILE_NAME: tokenizer.content,
        }
        together.replace(out, files)
        with checkpoint.Checkpointer(out / "checkpoints") as saver:
            saver.save(0, {"params": state_io.nested(arrays)}, _record(config, stored, facts))
            saver.wait()
    number = sum(array.size for array in arrays.values())
    print(f"{number:,} parameters of {path}: {out}")
    print(f"next: neurojax evaluate --workdir={out} --data=PAIRS.csv --out=FILE")


def _config(stored: public_weights.Stored, kind: str) -> dict:
    """configs/causal_lm.py with the model that was found, and no data of its own."""
    path = declarations.folder("configs") / "causal_lm.py"
    config = declared.load([f"--config={path}:family={kind}"])
    config["model"] = stored.model
    config["data"]["context_tokens"] = stored.model["num_positions"]
    del config["data"]["synthetic"]
    # As the source of the protocol scores public models: the first token is read, not scored.
    config["eval"]["after_end"] = False
    return json.loads(json.dumps(config))


def _record(config: dict, stored: public_weights.Stored, facts: Facts) -> dict:
    """What a manifest says of a run, here of weights that were trained elsewhere."""
    return {
        "config_hash": workdir.config_hash(config),
        "dataset_fingerprint": stored.digest,
        "bin_size_s": facts.bin_size_s,
        "seed": config["seed"],
        "sessions": [],
        "num_bins": facts.num_bins,
        "facts": facts.to_record(),
        "mesh": [1, 1],
        "versions": workdir.package_versions(),
        "random_numbers": random_numbers.settings(),
        "imported_from": str(stored.model["family"]),
    }
