"""`neurojax import KIND PATH --out=DIR`: public weights as a run that other commands take."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.commands import config as declared
from neurojax.commands import declarations
from neurojax.data import text_tokens
from neurojax.data.store import roster
from neurojax.errors import require
from neurojax.facts import Facts, of_table
from neurojax.files import json_bytes, sha256_file
from neurojax.finetune import (
    named_arrays,
    public_mtm,
    public_mtm_config,
    public_twin,
    public_twin_config,
    public_weights,
)
from neurojax.finetune.weights import rows_of
from neurojax.runs import checkpoint, random_numbers, state_io, together, workdir
from neurojax.train import settings, state

LANGUAGE = ("gpt2", "llama")
FAMILIES = (*LANGUAGE, "mtm", "twin")


class Made(NamedTuple):
    """A run that was trained elsewhere.

    Attributes:
        config: of the run.
        facts: of the data it was trained on, as far as they are known.
        arrays: name in the state -> array.
        digest: hex digest of what was read.
        entries: of the roster; none of texts.
        files: name -> content, beside config and roster.
        next: what to do with it.
    """

    config: dict[str, Any]
    facts: Facts
    arrays: dict[str, np.ndarray]
    digest: str
    entries: list[dict[str, Any]]
    files: dict[str, bytes]
    next: str


def import_weights(kind: str, path: Path, *, out: Path) -> None:
    """Writes a workdir of step 0: config, roster, and a checkpoint of the weights alone.

    Args:
        kind: "gpt2" or "llama" (Mistral, too), language models; "mtm", the released NDT1-stitch;
            "twin", a digital twin of SENSORIUM.
        path: of a language model a folder with config.json, safetensors and tokenizer.json; of mtm
            a .safetensors or .npz file, or a folder with one and, maybe, a config.json; of a twin
            such a file with its config.json beside it.
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
    made = _language_model(kind, path) if kind in LANGUAGE else OF_KIND[kind](path)
    with workdir.hold(out):
        files = {
            workdir.CONFIG_NAME: workdir.config_bytes(out, made.config, made.digest, {}),
            roster.ROSTER_NAME: json_bytes(roster.content_of(made.entries)),
        }
        together.replace(out, files | made.files)
        with checkpoint.Checkpointer(out / "checkpoints") as saver:
            saver.save(0, state_io.nested(made.arrays), _record(made, kind))
            saver.wait()
    number = sum(array.size for array in made.arrays.values())
    print(f"{number:,} parameters of {path}: {out}")
    print(f"next: {made.next.format(out=out)}")


def _language_model(kind: str, path: Path) -> Made:
    stored = public_weights.open_folder(path, kind)
    tokenizer = text_tokens.open_file(public_weights.tokenizer_json(path))
    require(
        tokenizer.num_tokens <= stored.num_tokens,
        f"{path}: the tokenizer has {tokenizer.num_tokens:,} tokens, the model "
        f"{stored.num_tokens:,}; put the tokenizer.json of this model there",
    )
    config = _config(f"causal_lm.py:family={kind}")
    config["model"] = stored.model
    config["data"]["context_tokens"] = stored.model["num_positions"]
    # As the source of the protocol scores public models: the first token is read, not scored.
    config["eval"]["after_end"] = False
    facts = Facts(stored.model["num_positions"], 1.0, num_classes=stored.num_tokens)
    params = state.abstract_trained(settings.model_of(config), facts)["params"]
    sizes = {name: leaf.shape for name, leaf in state_io.named_leaves(params).items()}
    arrays = public_weights.parameters(stored, kind, sizes)
    require(
        public_weights.tied_read_out_agrees(stored, arrays["embedding/tokens"]),
        f"{path}: lm_head.weight is not the embedding, but tie_word_embeddings says so; use "
        "another copy",
    )
    return Made(
        config=config,
        facts=facts,
        arrays={f"params/{name}": array for name, array in arrays.items()},
        digest=stored.digest,
        entries=[],
        files={text_tokens.FILE_NAME: tokenizer.content},
        next="neurojax evaluate --workdir={out} --data=PAIRS.csv --out=FILE",
    )


def _ndt1_stitch(path: Path) -> Made:
    """The released model, as the faithful preset of configs/mtm.py builds it."""
    weights = named_arrays.file_of(path)
    with named_arrays.opened(weights) as file:
        found = public_mtm.looked_at(file)
        length, folder = found.sizes, path if path.is_dir() else None
        told = public_mtm_config.described(folder, found.units, length["S"])
        require(
            length["D"] % told.num_heads == 0,
            f"{weights}: num_heads={told.num_heads} does not divide the width {length['D']}; say "
            "how many heads there are in config.json beside the weights, and name the folder",
        )
        config = _config("mtm.py:size=paper,preset=faithful")
        config["model"] |= {
            "read_in_width": length["K"],
            "embed_width": length["E"],
            "width": length["D"],
            "num_layers": length["L"],
            "num_heads": told.num_heads,
            "mlp_width": length["M"],
            "num_positions": length["T"],
            # each session's own, and after them all that are stored
            "num_session_rows": len(found.units) + length["S"],
        }
        facts = of_table(rows_of(told.entries), length["T"], told.bin_size_s)
        shapes = state.abstract_trained(settings.model_of(config), facts)
        leaves = state_io.named_leaves({name: shapes[name] for name in ("params", "tables")})
        rows = [entry["embed_session_row"] for entry in told.entries]
        sizes = {name: leaf.shape for name, leaf in leaves.items()}
        arrays = public_mtm.parameters(file, found, rows, sizes)
    words = {
        "num_heads": f"{told.num_heads} heads",
        "bin_size_s": f"bins of {1000 * told.bin_size_s:g} ms",
    }
    if told.assumed:
        assumed = ", ".join(words[name] for name in told.assumed)
        print(f"{assumed} ({public_mtm_config.NAME} does not say)")
    if unknown := rows.count(None):
        print(
            f"{unknown} of {len(rows)} read-ins belong to a session that config.json does not tell "
            f"(rows of embed_session): they get the mean token; see {named_arrays.PAGE}"
        )
    return Made(
        config=config,
        facts=facts,
        arrays=arrays,
        digest=sha256_file(weights),
        entries=told.entries,
        files={},
        next="neurojax adapt --from={out} --data=ROOT --out=DIR",
    )


def _twin(path: Path) -> Made:
    """A digital twin of SENSORIUM, as configs/twin.py builds it."""
    weights = named_arrays.file_of(path)
    told = public_twin_config.described(public_twin_config.config_of(weights))
    with named_arrays.opened(weights) as file:
        found = public_twin.looked_at(file, told)
        entries = public_twin.entries_of(found)
        config = _config("twin.py")
        config["model"] |= told.model
        sizes = {"num_channels": told.image_channels, "num_features": told.behaviours}
        facts = of_table(rows_of(entries), 1, public_twin.PRESENTATION_S, sizes)
        shapes = state_io.named_leaves(state.abstract_trained(settings.model_of(config), facts))
        wanted = {name: leaf.shape for name, leaf in shapes.items()}
        arrays = public_twin.parameters(file, found, wanted)
    return Made(
        config=config,
        facts=facts,
        arrays=arrays,
        digest=sha256_file(weights),
        entries=entries,
        files={},
        next='nj.load("{out}").responses(images)',
    )


OF_KIND = {"mtm": _ndt1_stitch, "twin": _twin}


def _config(declaration: str) -> dict[str, Any]:
    """A declaration of configs/ without data of its own, in the types JSON has."""
    path = declarations.folder("configs") / declaration.partition(":")[0]
    config = declared.load([f"--config={path}:{declaration.partition(':')[2]}"])
    del config["data"]["synthetic"]
    return json.loads(json.dumps(config))


def _record(made: Made, kind: str) -> dict[str, Any]:
    """What a manifest says of a run, here of weights that were trained elsewhere."""
    return {
        "config_hash": workdir.config_hash(made.config),
        "dataset_fingerprint": made.digest,
        "bin_size_s": made.facts.bin_size_s,
        "seed": made.config["seed"],
        "sessions": rows_of(made.entries),
        "num_bins": made.facts.num_bins,
        "facts": made.facts.to_record(),
        "mesh": [1, 1],
        "versions": workdir.package_versions(),
        "random_numbers": random_numbers.settings(),
        "imported_from": kind,
    }
