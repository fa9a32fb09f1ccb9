"""Public weights: logits of the torch implementation, every key consumed, hostile files refused.

The checkpoints are random and tiny; public_checkpoints/make.py wrote them and the logits.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from neurojax.data import text_tokens
from neurojax.finetune import public_weights
from neurojax.main import main
from neurojax.models.interface import TextInputs, Weights
from neurojax.runs import restore, state_io
from neurojax.train import run_folder, settings

pytest.importorskip("safetensors")
import safetensors.numpy  # noqa: E402

CHECKPOINTS = Path(__file__).with_name("public_checkpoints")
FAMILIES = pytest.mark.parametrize("family", ["gpt2", "llama"])


@pytest.fixture
def checkpoint(tmp_path, family):
    """A copy of a checkpoint that a test may damage, with a tokenizer that needs no package."""
    folder = tmp_path / "public"
    shutil.copytree(CHECKPOINTS / family, folder)
    return folder


@pytest.fixture
def tokens_of_96(monkeypatch):
    """A tokenizer of bytes is larger than the tiny vocabularies: one of as many tokens stands in."""
    made = text_tokens.of_words(["up"])._replace(num_tokens=96)
    monkeypatch.setattr(text_tokens, "open_file", lambda path: made)
    monkeypatch.setattr(public_weights, "tokenizer_json", lambda folder: folder)


@FAMILIES
def test_logits_are_those_of_the_torch_implementation(checkpoint, family, tmp_path, tokens_of_96, capsys):
    assert main(["import", family, str(checkpoint), f"--out={tmp_path / 'run'}"]) == 0
    config = run_folder.read_run(tmp_path / "run")
    arrays, manifest = restore.load_arrays(tmp_path / "run" / "checkpoints", log=print)
    assert manifest["facts"]["num_classes"] == 96 and manifest["step"] == 0
    model = settings.model_of(config)
    expected = np.load(CHECKPOINTS / family / "outputs.npz", allow_pickle=False)
    tokens = expected["tokens"].astype(np.int32)[None]
    place = np.broadcast_to(np.arange(tokens.shape[-1]), tokens.shape)
    weights = Weights(state_io.nested(arrays)["params"], {})
    inputs = TextInputs(tokens, np.zeros_like(tokens), place)
    found = model.module.apply(weights, inputs, model.config, train=False).natural[0]
    assert np.abs(expected["logits"]).max() > 1
    np.testing.assert_allclose(found, expected["logits"], atol=1e-5, rtol=1e-5)


def changed(folder: Path, change) -> None:
    """Writes one file of weights again after `change` of its arrays."""
    path = sorted(folder.glob("*.safetensors"))[0]
    arrays = change(safetensors.numpy.load_file(path))
    safetensors.numpy.save_file(arrays, path)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        listed = json.loads(index.read_text())
        kept = {name: file for name, file in listed["weight_map"].items() if file != path.name}
        index.write_text(json.dumps({"weight_map": kept | dict.fromkeys(arrays, path.name)}))


def without_first(arrays):
    return dict(list(sorted(arrays.items()))[1:])


def with_adapter(arrays):
    return arrays | {"h.0.attn.c_attn.lora_A.weight": np.zeros((2, 2), np.float32)}


def of_another_shape(arrays):
    name = min(arrays)
    return arrays | {name: arrays[name][:1].copy()}


def with_nan(arrays):
    name = min(arrays)
    return arrays | {name: np.full_like(arrays[name], np.nan)}


def as_integers(arrays):
    name = min(arrays)
    return arrays | {name: np.zeros(arrays[name].shape, np.int32)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_first, "has nothing for"),
        (with_adapter, "is no part of a"),
        (of_another_shape, "expected F32, F16 or BF16"),
        (as_integers, "is I32"),
        (with_nan, "not finite"),
    ],
)
@FAMILIES
def test_arrays_that_are_not_those_of_the_model_are_refused(
    checkpoint, family, change, words, tmp_path, tokens_of_96, capsys
):
    changed(checkpoint, change)
    assert main(["import", family, str(checkpoint), f"--out={tmp_path / 'run'}"]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
    assert not (tmp_path / "run").exists()


def edited(folder: Path, **entries) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@pytest.mark.parametrize(
    ("family", "entries", "words"),
    [
        ("gpt2", {"model_type": "opt"}, "model_type"),
        ("gpt2", {"activation_function": "relu"}, "activation_function=relu is not computed here"),
        ("gpt2", {"n_layer": 10**9}, "n_layer"),
        ("gpt2", {"n_embd": True}, "n_embd"),
        ("gpt2", {"n_head": 5}, "expected a multiple"),
        ("gpt2", {"vocab_size": 97}, "expected F32"),
        ("llama", {"rope_scaling": {"factor": 2}}, "rope_scaling"),
        ("llama", {"head_dim": 16}, "head_dim=16"),
        ("llama", {"num_key_value_heads": 4}, "expected F32"),
        ("llama", {"num_hidden_layers": 3}, "has nothing for"),
        ("llama", {"num_hidden_layers": 1}, "has no place"),
        ("llama", {"rms_norm_eps": "nan"}, "rms_norm_eps"),
    ],
)
def test_configs_that_are_not_computed_here_are_refused(
    checkpoint, family, entries, words, tmp_path, tokens_of_96, capsys
):
    edited(checkpoint, **entries)
    assert main(["import", family, str(checkpoint), f"--out={tmp_path / 'run'}"]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1


@pytest.mark.parametrize("family", ["gpt2"])
@pytest.mark.parametrize(
    "header",
    [b"", b"\xff" * 8, (2**62).to_bytes(8, "little"), (2).to_bytes(8, "little") + b"[]", b"\x80\x04pickle" * 40],
)
def test_hostile_headers_are_refused_in_one_line(checkpoint, family, header, tmp_path, tokens_of_96, capsys):
    (checkpoint / "model.safetensors").write_bytes(header)
    assert main(["import", family, str(checkpoint), f"--out={tmp_path / 'run'}"]) == 2
    told = capsys.readouterr().err
    assert "no sound safetensors" in told and told.count("\n") == 1


@pytest.mark.parametrize("family", ["gpt2"])
def test_a_name_that_stands_twice_is_refused(checkpoint, family, tmp_path, tokens_of_96, capsys):
    """Readers differ in which of the two they take."""
    path = checkpoint / "model.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].rstrip()
    name = next(name for name in json.loads(header) if name != "__metadata__")
    again = header[:-1] + f', "{name}": {json.dumps(json.loads(header)[name])}}}'.encode()
    path.write_bytes(len(again).to_bytes(8, "little") + again + content[8 + length :])
    assert main(["import", family, str(checkpoint), f"--out={tmp_path / 'run'}"]) == 2
    told = capsys.readouterr().err
    assert f"holds '{name}' twice" in told and told.count("\n") == 1


@pytest.mark.parametrize("family", ["llama"])
@pytest.mark.parametrize("file", ["../model.safetensors", "/etc/passwd", "gone.safetensors", 3])
def test_an_index_leads_to_no_other_folder(checkpoint, family, file, tmp_path, tokens_of_96, capsys):
    index = checkpoint / "model.safetensors.index.json"
    listed = json.loads(index.read_text())
    listed["weight_map"][min(listed["weight_map"])] = file
    index.write_text(json.dumps(listed))
    (tmp_path / "model.safetensors").write_bytes(b"not to be read")
    assert main(["import", family, str(checkpoint), f"--out={tmp_path / 'run'}"]) == 2
    assert "no file beside it" in capsys.readouterr().err


@pytest.mark.parametrize("family", ["gpt2"])
def test_names_with_and_without_their_prefix_and_what_some_keep(checkpoint, family, tmp_path, tokens_of_96, capsys):
    """Older files have no prefix, masks, and the read-out once more, which has to be the embedding."""

    def older(arrays):
        short = {name.removeprefix("transformer."): array for name, array in arrays.items()}
        mask = np.tril(np.ones((1, 1, 32, 32), np.float32))
        return short | {"h.0.attn.bias": mask, "lm_head.weight": short["wte.weight"].copy()}

    changed(checkpoint, older)
    assert main(["import", family, str(checkpoint), f"--out={tmp_path / 'run'}"]) == 0
    changed(checkpoint, lambda arrays: arrays | {"lm_head.weight": arrays["lm_head.weight"] + 1})
    assert main(["import", family, str(checkpoint), f"--out={tmp_path / 'other'}"]) == 2
    assert "is not the embedding" in capsys.readouterr().err


@pytest.mark.parametrize("family", ["gpt2"])
def test_a_missing_tokenizer_and_a_full_folder_are_named(checkpoint, family, tmp_path, capsys):
    assert main(["import", family, str(checkpoint), f"--out={tmp_path / 'run'}"]) == 2
    assert "put the model's tokenizer.json there" in capsys.readouterr().err
    assert main(["import", family, str(checkpoint), f"--out={checkpoint}"]) == 2
    assert "holds something already" in capsys.readouterr().err
    assert main(["import", "opt", str(checkpoint), f"--out={tmp_path / 'run'}"]) == 2
    assert "choose from gpt2, llama" in capsys.readouterr().err
