"""Public weights of language models, from files that others wrote, as parameters of causal_lm.

    config.json                     sizes, as the model's authors publish them
    model.safetensors               or several files that model.safetensors.index.json lists

Which published name is which parameter stands in two tables. Every name in the files has to be in
a table, and every parameter has to be filled: a checkpoint with an adapter, or of another family,
is refused, not half read. Arrays are read one at a time from mapped files.

Sources: names and layouts of the checkpoints of GPT-2 (openai-community/gpt2: matrices are stored
[inputs, outputs]) and of Llama and Mistral ([outputs, inputs], rotary halves one after the other).
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.errors import InputError, require
from neurojax.files import read_json, sha256_file
from neurojax.finetune import public_configs, safetensors_file

CONFIG_NAME, WEIGHTS_NAME = "config.json", "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
MAX_CONFIG_BYTES = 16 << 20

# Published name, {n} the number of the layer -> (parameter, turned from [outputs, inputs]).
GPT2 = {
    "wte.weight": ("embedding/tokens", False),
    "wpe.weight": ("embedding/positions", False),
    "h.{n}.ln_1.weight": ("layers/norm_attention/scale", False),
    "h.{n}.ln_1.bias": ("layers/norm_attention/bias", False),
    "h.{n}.attn.c_attn.weight": ("layers/query_key_value/kernel", False),
    "h.{n}.attn.c_attn.bias": ("layers/query_key_value/bias", False),
    "h.{n}.attn.c_proj.weight": ("layers/output/kernel", False),
    "h.{n}.attn.c_proj.bias": ("layers/output/bias", False),
    "h.{n}.ln_2.weight": ("layers/norm_mlp/scale", False),
    "h.{n}.ln_2.bias": ("layers/norm_mlp/bias", False),
    "h.{n}.mlp.c_fc.weight": ("layers/expand/kernel", False),
    "h.{n}.mlp.c_fc.bias": ("layers/expand/bias", False),
    "h.{n}.mlp.c_proj.weight": ("layers/contract/kernel", False),
    "h.{n}.mlp.c_proj.bias": ("layers/contract/bias", False),
    "ln_f.weight": ("norm/scale", False),
    "ln_f.bias": ("norm/bias", False),
}
LLAMA = {
    "embed_tokens.weight": ("embedding/tokens", False),
    "layers.{n}.input_layernorm.weight": ("layers/norm_attention/scale", False),
    "layers.{n}.self_attn.q_proj.weight": ("layers/query/kernel", True),
    "layers.{n}.self_attn.k_proj.weight": ("layers/key/kernel", True),
    "layers.{n}.self_attn.v_proj.weight": ("layers/value/kernel", True),
    "layers.{n}.self_attn.o_proj.weight": ("layers/output/kernel", True),
    "layers.{n}.post_attention_layernorm.weight": ("layers/norm_mlp/scale", False),
    "layers.{n}.mlp.gate_proj.weight": ("layers/gate/kernel", True),
    "layers.{n}.mlp.up_proj.weight": ("layers/expand/kernel", True),
    "layers.{n}.mlp.down_proj.weight": ("layers/contract/kernel", True),
    "norm.weight": ("norm/scale", False),
}
READ_OUT = {"lm_head.weight": ("read_out/kernel", True)}
# Masks and wavelengths that older checkpoints keep: they follow from the sizes.
_KEPT_BY_SOME = r"(h\.\d+\.attn\.(masked_)?bias|layers\.\d+\.self_attn\.rotary_emb\.inv_freq)"
_FAMILIES = {"gpt2": (GPT2, "transformer."), "llama": (LLAMA, "model.")}


class Stored(NamedTuple):
    """Attributes:
    model: the `model` block of a config.
    num_tokens: V.
    arrays: name in a file -> its file.
    folder: where the files are.
    digest: hex digest of config and weights.
    """

    model: dict[str, Any]
    num_tokens: int
    arrays: dict[str, Path]
    folder: Path
    digest: str


def open_folder(folder: Path, family: str) -> Stored:
    """Looks at a checkpoint; no array is read.

    Args:
        folder: with the files above.
        family: "gpt2" or "llama" (Mistral, too).

    Raises:
        InputError: files that are missing or damaged, another family, or a variant that is not
            computed here.
    """
    folder = Path(folder)
    path = folder / CONFIG_NAME
    require(
        path.is_file(),
        f"{path} does not exist; expected a folder with config.json and model.safetensors",
    )
    published = read_json(path, MAX_CONFIG_BYTES)
    model, num_tokens = public_configs.sizes(family, published, path)
    arrays = _files(folder)
    hashed = [path, *sorted(set(arrays.values()))]
    digest = hashlib.sha256("".join(map(sha256_file, hashed)).encode()).hexdigest()
    return Stored(model, num_tokens, arrays, folder, digest)


def _files(folder: Path) -> dict[str, Path]:
    """Name of every array -> its file, as the index says, or of the one file."""
    if (folder / INDEX_NAME).is_file():
        path = folder / INDEX_NAME
        listed = read_json(path, MAX_CONFIG_BYTES).get("weight_map")
        require(
            isinstance(listed, dict) and listed, f"{path} lists no weight_map; use another copy"
        )
        for file in set(map(str, listed.values())):
            # A name that is a path could lead out of the folder.
            sound = re.fullmatch(r"[\w.-]+\.safetensors", file) and (folder / file).is_file()
            require(
                sound, f"{path} names {file[:80]!r}, which is no file beside it; use another copy"
            )
        found = {name: folder / str(file) for name, file in listed.items()}
    else:
        path = folder / WEIGHTS_NAME
        require(
            path.is_file(),
            f"{path} does not exist; expected safetensors (pickled weights are never read)",
        )
        found = dict.fromkeys(_names(path), path)
    for path in sorted(set(found.values())):
        there, listed = _names(path), {name for name, file in found.items() if file == path}
        odd = sorted(there ^ listed)
        require(not odd, f"{path}: {odd[:1]} is in the index or in the file, not in both")
    return found


def _names(path: Path) -> set[str]:
    return set(safetensors_file.entries(path, safetensors_file.ALL_KINDS, "arrays of numbers"))


def parameters(stored: Stored, family: str, shapes: Mapping[str, tuple[int, ...]]) -> dict:
    """The parameters of causal_lm, float32, read array by array.

    Args:
        stored: of `open_folder`.
        family: as there.
        shapes: parameter ("layers/output/kernel") -> shape, of the model that the config makes.

    Raises:
        InputError: an array that no table names, one that is missing, or of another shape or type.
    """
    targets = {name: _place(name, family, stored) for name in stored.arrays}
    filled: dict[str, np.ndarray] = {}
    left = {(name, n) for name, shape in shapes.items() for n in _layers_of(name, shape)}
    by_file: dict[Path, list[str]] = {}
    for name, target in targets.items():
        if target is not None:
            by_file.setdefault(stored.arrays[name], []).append(name)
    for path, names in sorted(by_file.items()):
        with safetensors_file.opened(path) as file:
            for name in sorted(names):
                parameter, layer, turned = targets[name]
                require(
                    (parameter, layer) in left,
                    f"{path}: {name!r} has no place in a model of these sizes; use another copy",
                )
                left.discard((parameter, layer))
                shape = shapes[parameter] if layer is None else shapes[parameter][1:]
                array = _read(file, path, name, shape, turned)
                if parameter not in filled:
                    filled[parameter] = np.empty(shapes[parameter], np.float32)
                filled[parameter][... if layer is None else layer] = array
    missing = sorted(f"{name}" + ("" if n is None else f" of layer {n}") for name, n in left)
    require(not missing, f"{stored.folder} has nothing for {missing[:1]}; use another copy")
    return filled


def _layers_of(name: str, shape: tuple[int, ...]) -> Iterator[int | None]:
    return iter(range(shape[0]) if name.startswith("layers/") else (None,))


def _place(name: str, family: str, stored: Stored) -> tuple[str, int | None, bool] | None:
    """(parameter, layer, turned) of a published name; None of what is not needed."""
    table, prefix = _FAMILIES[family]
    table = table if stored.model["tied"] else table | READ_OUT
    short = name.removeprefix(prefix)
    layer = re.match(r"(?:h|layers)\.(\d{1,4})\.", short)
    general = re.sub(r"^(h|layers)\.\d{1,4}\.", r"\1.{n}.", short) if layer else short
    if general in table:
        parameter, turned = table[general]
        return parameter, int(layer[1]) if layer else None, turned
    # A tied model may be stored with its read-out, which is the embedding once more.
    if re.fullmatch(_KEPT_BY_SOME, short) or (name == "lm_head.weight" and stored.model["tied"]):
        return None
    raise InputError(
        f"{stored.arrays[name]}: {name[:100]!r} is no part of a {family} model; import the plain "
        "model, without adapters or heads"
    )


def _read(file, path: Path, name: str, shape: tuple[int, ...], turned: bool) -> np.ndarray:
    """One array, float32; compared with what is expected before it is read."""
    part = file.get_slice(name)
    there, kind = tuple(part.get_shape()), part.get_dtype()
    wanted = shape[::-1] if turned else shape
    require(
        there == wanted and kind in safetensors_file.KINDS,
        f"{path}: {name!r} is {kind} {there}, expected F32, F16 or BF16 {wanted}; use another copy",
    )
    array = file.get_tensor(name).astype(np.float32)
    require(np.isfinite(array).all(), f"{path}: {name!r} has values that are not finite")
    return array.T if turned else array


def tied_read_out_agrees(stored: Stored, embedding: np.ndarray) -> bool:
    """Whether a tied model that is stored with its read-out has the embedding there."""
    path = stored.arrays.get("lm_head.weight")
    if not stored.model["tied"] or path is None:
        return True
    with safetensors_file.opened(path) as file:
        return np.array_equal(file.get_tensor("lm_head.weight").astype(np.float32), embedding)


def tokenizer_json(folder: Path) -> Path:
    """Where the tokenizer of a checkpoint is; raises InputError where it is missing."""
    path = Path(folder) / "tokenizer.json"
    require(
        path.is_file(),
        f"{path} does not exist; put the model's tokenizer.json there, texts are read with it",
    )
    return path
