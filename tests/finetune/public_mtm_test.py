"""Weights of NDT1-stitch under their public names: every stage of torch, errors told at once, and the way back.

The weights are random and tiny; public_checkpoints/torch_ndt1_stitch.py wrote them and the outputs.
"""

import importlib.util
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.data.store.sessions import from_counts
from neurojax.finetune import named_arrays, public_mtm, public_mtm_config, weights
from neurojax.main import main
from neurojax.models.attention import Span, places
from neurojax.models.interface import SpikeInputs, Weights
from neurojax.models.ndt import Tokenizer
from neurojax.models.transformer import Block
from neurojax.runs import state_io
from neurojax.schemes import PROMPTS, scheme_id
from neurojax.train import settings

pytest.importorskip("safetensors")
import safetensors.numpy  # noqa: E402

CHECKPOINTS = Path(__file__).with_name("public_checkpoints")
PUBLIC = dict(np.load(CHECKPOINTS / "mtm" / "weights.npz", allow_pickle=False))
OUTPUTS = dict(np.load(CHECKPOINTS / "mtm" / "outputs.npz", allow_pickle=False))
COUNTS = OUTPUTS["counts"]  # [2, T, 5]
MOUSE = {
    "session_id": "mouse",
    "num_units": 5,
    "embed_session_row": 2,
    "unit_ids": list("abcde"),
    "regions": ["CA1"] * 5,
}
CONFIG = {"num_heads": 2, "sessions": [MOUSE]}
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def put(folder, arrays, config=CONFIG):
    folder.mkdir(exist_ok=True)
    safetensors.numpy.save_file(arrays, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The public weights as a run; the read-in of five units is that of a mouse, that of seven nobody's."""
    area = tmp_path_factory.mktemp("public")
    assert main(["import", "mtm", str(put(area / "weights", PUBLIC)), f"--out={area / 'run'}"]) == 0
    return area / "run"


@pytest.fixture(scope="module")
def found(run):
    return weights.read_run(run)


@pytest.fixture(scope="module")
def model(found):
    return settings.model_of(found.config)


def refused(capsys, words, *told):
    """Whether a command ended in one line with all that was to be told."""
    capsys.readouterr()
    assert main(words) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    for one in told:
        assert one in line
    return line


def test_read_in_and_tokens_and_every_layer_are_those_of_torch(found, model):
    """Stage by stage, each from what torch gave the one before."""
    tree = state_io.nested(found.arrays)
    stage = {name.removeprefix("inter_region."): array for name, array in OUTPUTS.items()}
    tables, params = tree["tables"], tree["params"]
    read = COUNTS.astype(np.float32) @ tables["read_in"][:5] + tables["read_in_bias"][0]
    np.testing.assert_allclose(read, stage["read_in"], **CLOSE)
    projected = Tokenizer(model.config).apply({"params": params["tokenizer"]}, stage["read_in"])
    np.testing.assert_allclose(projected, stage["projected"], **CLOSE)
    trials, length = stage["tokens"].shape[:2]
    span = Span.of(np.ones((trials, length - 2), bool), np.zeros(trials, bool), np.ones(trials, bool))
    before = stage["tokens"]
    for number in range(model.config.num_layers):
        own = jax.tree.map(lambda leaf, number=number: leaf[number], params["transformer"]["layers"])
        after, _ = Block(model.config, False).apply({"params": own}, before, span, places(length).astype(np.float32))
        np.testing.assert_allclose(after, stage[f"layer_{number}"], **CLOSE)
        assert np.abs(stage[f"layer_{number}"] - before).max() > 0.1
        before = stage[f"layer_{number}"]


def of_first_read_in(tree, units):
    """Weights laid out for the session of the first `units` rows."""
    by_unit = {name: tree["tables"][name][None, :units] for name in ("read_in", "read_out", "read_out_bias")}
    by_session = {name: tree["tables"][name][:1] for name in ("read_in_bias", "session_token")}
    return jax.tree.map(jnp.asarray, Weights(tree["params"], by_unit | by_session))


def all_visible(counts, prompt):
    counts = np.asarray(counts, np.float32)[None]
    flags = np.zeros(counts.shape[:3], bool)
    scheme = np.full(counts.shape[:2], scheme_id(prompt), np.int32)
    return SpikeInputs(counts, ~flags, np.zeros((*counts.shape[:2], counts.shape[3]), bool), flags, scheme)


def test_log_rates_are_those_of_torch_under_every_prompt(found, model):
    """Prompts are stored in another order than ours; the causal pattern is the corrected one, see docs/importing.md."""
    laid_out = of_first_read_in(state_io.nested(found.arrays), 5)
    apply = jax.jit(lambda inputs: model.module.apply(laid_out, inputs, model.config, train=False))
    for prompt in PROMPTS:
        made = apply(all_visible(COUNTS, prompt))
        np.testing.assert_allclose(made.states[0], OUTPUTS[f"{prompt}.states"], **CLOSE)
        np.testing.assert_allclose(made.natural[0], OUTPUTS[f"{prompt}.log_rates"], **CLOSE)
    others = [OUTPUTS[f"{prompt}.log_rates"] for prompt in PROMPTS]
    assert min(np.abs(one - two).max() for n, one in enumerate(others) for two in others[:n]) > 1e-2
    leak = OUTPUTS["causal.log_rates_as_released"] - OUTPUTS["causal.log_rates"]
    assert np.abs(leak[:, :-1]).max() > 1e-2


def test_a_loaded_model_embeds_the_mouse_and_learns_a_new_one(run, found):
    fields = {"bin_size_s": 0.02, "split": [0, 0], "region": ["CA1"] * 5}
    mouse = from_counts(COUNTS, session_id="mouse", unit_id=list("abcde"), **fields)
    loaded = nj.load(run)
    assert loaded.session_ids == ("mouse", "units_7")
    np.testing.assert_allclose(loaded.embed(mouse), OUTPUTS["neuron.states"].reshape(12, -1), **CLOSE)
    counts = np.random.default_rng(0).poisson(0.7, (8, 6, 4))
    new = from_counts(counts, session_id="new", bin_size_s=0.02, split=np.repeat([0, 1, 2], [6, 1, 1]))
    adapted = loaded.adapt(new, steps=0)
    for name, array in found.arrays.items():
        if name.startswith("params/"):
            np.testing.assert_array_equal(adapted.weights.arrays[name], array, err_msg=name)
    rates_hz = adapted.rates(new, num_groups=2)
    assert rates_hz.shape == (48, 4) and np.isfinite(rates_hz).all() and (rates_hz > 0).all()
    # about the mean rate of its units, 35 Hz, with a read-out that was fitted, not drawn
    assert 10 < rates_hz.mean() < 100
    assert adapted.session_ids == ("mouse", "units_7", "new")


def test_every_parameter_has_a_public_name_and_its_own_values(found, run):
    rules = {rule.parameter for rule in public_mtm.TABLE.values()} - {""}
    assert rules == set(found.arrays)
    tokens = found.arrays["tables/session_token"]
    stored = PUBLIC["encoder.embedder.embed_session.weight"]
    np.testing.assert_array_equal(tokens, [stored[2], stored.mean(0), *stored])
    assert [entry["region"] for entry in found.entries] == [["CA1"] * 5, ["unknown"] * 7]


def test_the_way_back_is_equal_to_the_bit(run, found, tmp_path):
    assert main(["export", f"--workdir={run}", f"--out={tmp_path / 'out'}", "--format=mtm"]) == 0
    back = safetensors.numpy.load_file(tmp_path / "out" / "model.safetensors")
    assert back.keys() == PUBLIC.keys()
    for name, array in PUBLIC.items():
        unused = name.startswith("decoder.0.")  # built by the released code, used by nothing
        np.testing.assert_array_equal(back[name], np.zeros_like(array) if unused else array, err_msg=name)
    # names of units are not kept, all else is
    assert main(["import", "mtm", str(tmp_path / "out"), f"--out={tmp_path / 'again'}"]) == 0
    again = weights.read_run(tmp_path / "again")
    assert again.config["model"] == found.config["model"]
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array, err_msg=name)
    strip = lambda entries: [entry | {"units_sha256": ""} for entry in entries]  # noqa: E731
    assert strip(again.entries) == strip(found.entries)


def test_a_run_that_is_no_ndt1_stitch_or_has_equal_sessions_is_not_written_so(run, found, tmp_path, capsys):
    changed = shutil.copytree(run, tmp_path / "run")
    config = json.loads((changed / "config.json").read_text())
    config["model"] |= {"positions": "rotary"}
    (changed / "config.json").write_text(json.dumps(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neurojax.runs.workdir.require_own_config", lambda *given: None)
        words = ["export", f"--workdir={changed}", f"--out={tmp_path / 'out'}", "--format=mtm"]
        refused(capsys, words, "NDT1-stitch, but the run has model.positions=rotary")
    twins = [found.entries[0], found.entries[0] | {"session_id": "twin"}]
    with pytest.raises(nj.InputError, match="sessions mouse, twin have 5 units each"):
        public_mtm.published(found.arrays, twins)
    # without the rows of an import, those of embed_session are the sessions' own, in order
    plain = [{name: e[name] for name in ("session_id", "num_units")} for e in found.entries]
    made, rows = public_mtm.published(found.arrays, plain)
    np.testing.assert_array_equal(made["encoder.embedder.embed_session.weight"], found.arrays["tables/session_token"])
    assert rows == [0, 1]


LAYER = "encoder.layers.1"
GONE = (f"{LAYER}.ln1", "encoder.embedder.embed_p")
EDITS = {
    "nothing but the prefix of parallel training": (
        lambda arrays: {f"module.{name}": array for name, array in arrays.items()},
        (),
    ),
    "a name with and without that prefix": (
        lambda arrays: arrays | {"module.encoder.out_norm.bias": arrays["encoder.out_norm.bias"]},
        ("'module.encoder.out_norm.bias' stands there twice",),
    ),
    "lacking": (
        lambda arrays: {name: array for name, array in arrays.items() if not name.startswith(GONE)},
        (
            *(f"'{LAYER}.ln1.weight' is missing", f"'{LAYER}.ln1.bias' is missing"),
            *("embed_pos.weight' is missing (rotary", "embed_prompt.weight' is missing (trained without prompts)"),
        ),
    ),
    "no stitcher": (
        lambda arrays: {name: array for name, array in arrays.items() if "stitch" not in name},
        ("stitcher_dict.N.weight' is missing (trained on one session",),
    ),
    "a read-in without a read-out": (
        lambda arrays: {name: array for name, array in arrays.items() if "decoder_dict.7" not in name},
        ("'stitch_decoder.stitch_decoder_dict.7.weight' is missing", "_dict.7.bias' is missing"),
    ),
    "whole numbers": (
        lambda arrays: arrays | {"encoder.out_norm.bias": np.zeros(8, np.int32)},
        ("'encoder.out_norm.bias' is I32 [8], expected F32, F16 or BF16 [8]",),
    ),
    "many shapes at once": (
        lambda arrays: arrays | {
            "encoder.layers.0.attn.rotary": np.zeros(3, np.float32),
            "encoder.layers.01.ln1.bias": np.zeros(8, np.float32),
            "encoder.layers.0.attn.key.weight": np.zeros((8, 9), np.float32),
            "encoder.embedder.embed_spikes.weight": arrays["encoder.embedder.embed_spikes.weight"].T.copy(),
            "encoder.stitcher.stitcher_dict.7.weight": np.zeros((6, 8), np.float32),
        },
        (
            *("'encoder.layers.0.attn.rotary' is no part of NDT1-stitch", "'encoder.layers.01.ln1.bias' is no part"),
            "'encoder.layers.0.attn.key.weight' is F32 [8, 9], expected F32, F16 or BF16 [8, 8]",
            "'encoder.embedder.embed_spikes.weight' is F32 [6, 10], expected F32, F16 or BF16 [10, 6]",
            "stitcher_dict.7.weight' is F32 [6, 8], expected F32, F16 or BF16 [6, 7]",
        ),
    ),
    "one shape, of the first name": (
        lambda arrays: arrays | {"encoder.embedder.embed_spikes.bias": np.zeros(11, np.float32)},
        ("safetensors: 'encoder.embedder.embed_spikes.bias' is F32 [11], expected F32, F16 or BF16 [10]; see",),
    ),
    **{
        f"an axis of length 0, {name}": (
            lambda arrays, name=name: arrays | {name: np.zeros((0, arrays[name].shape[1]), np.float32)},
            (f"'{name}' is [0, ", "expected no axis of length 0"),
        )
        for name in ("encoder.embedder.embed_session.weight", "encoder.embedder.embed_pos.weight")
    },
    "values that are none": (
        lambda arrays: arrays | {
            "encoder.out_norm.bias": np.full(8, np.nan, np.float32),
            "encoder.layers.0.ln1.bias": np.full(8, np.inf, np.float32),
        },
        ("'encoder.out_norm.bias' has values that are not finite", "'encoder.layers.0.ln1.bias' has values"),
    ),
    "of another model": (
        lambda arrays: {f"h.{n}.attn.c_attn.weight": np.zeros((3, 3), np.float32) for n in range(20)},
        ("'h.0.attn.c_attn.weight' is no part of NDT1-stitch", " more; see docs/importing.md"),
    ),
    "too many layers": (
        lambda arrays: arrays | {"encoder.layers.5000.ln1.bias": np.zeros(8, np.float32)},
        ("5,001 layers",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITS)
def test_all_that_is_not_as_expected_is_told_at_once(case, tmp_path, capsys):
    change, told = EDITS[case]
    folder = put(tmp_path / "weights", change(dict(PUBLIC)))
    if not told:
        with named_arrays.opened(folder / "model.safetensors") as file:
            assert len(public_mtm.looked_at(file).places) == len(PUBLIC) - 2
        return
    refused(capsys, ["import", "mtm", str(folder), f"--out={tmp_path / 'run'}"], *told)
    assert not (tmp_path / "run").exists()


CONFIGS = {
    "num_heads=3 ": (CONFIG | {"num_heads": 0}, "num_heads=0"),
    "heads": (CONFIG | {"num_heads": 3}, "num_heads=3 does not divide the width 8"),
    "bins": (CONFIG | {"bin_size_s": 20}, "bin"),
    "an export of ours": (CONFIG | {"format": "neurojax"}, "has ['format'], expected no other entries"),
    "units": ({"sessions": [{"session_id": "mouse", "num_units": 6}]}, "one read-in each for 5, 7 units"),
    "twice": ({"sessions": [MOUSE, MOUSE]}, "session 1 has 5 units"),
    "names": ({"sessions": [MOUSE, {"session_id": "mouse", "num_units": 7}]}, "names a session twice"),
    "a path": ({"sessions": [MOUSE | {"session_id": "../mouse"}]}, "session id '../mouse'"),
    "a row": ({"sessions": [MOUSE | {"embed_session_row": 3}]}, "embed_session has 3 rows"),
    "names of units": ({"sessions": [MOUSE | {"unit_ids": ["a"]}]}, "no list of 5 texts"),
    "no list": ({"sessions": {"mouse": 5}}, "no list of objects"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_config_that_does_not_fit_is_named(case, tmp_path, capsys):
    config, told = CONFIGS[case]
    folder = put(tmp_path / "weights", PUBLIC, config)
    refused(capsys, ["import", "mtm", str(folder), f"--out={tmp_path / 'run'}"], told)
    assert not (tmp_path / "run").exists()


def test_what_nothing_says_is_told_to_be_assumed(tmp_path, capsys):
    folder = put(tmp_path / "weights", PUBLIC)
    assert main(["import", "mtm", str(folder), f"--out={tmp_path / 'run'}"]) == 0
    assert "bins of 20 ms (config.json does not say)" in capsys.readouterr().out.splitlines()
    assert public_mtm_config.described(None, [5], 3).assumed == ("num_heads", "bin_size_s")


def test_a_pickled_checkpoint_is_refused_unopened_with_the_page_that_helps(tmp_path, capsys):
    path = tmp_path / "model_best.pt"
    path.write_bytes(b"\x80\x04.")
    for given in (path, tmp_path):
        line = refused(capsys, ["import", "mtm", str(given), f"--out={tmp_path / 'run'}"], "is never read")
        assert "docs/importing.md" in line and "model_best.pt" in line
    shutil.copy(CHECKPOINTS / "mtm" / "weights.npz", tmp_path / "a.npz")
    shutil.copy(CHECKPOINTS / "mtm" / "weights.npz", tmp_path / "b.npz")
    refused(capsys, ["import", "mtm", str(tmp_path), f"--out={tmp_path / 'run'}"], "2 files of weights (a.npz, b.npz)")


def restated():
    pytest.importorskip("torch", reason="needs torch: python -m pip install torch")
    path = CHECKPOINTS / "torch_ndt1_stitch.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_frozen_is_what_torch_says_now():
    module = restated()
    made = module.asked_for(module.drawn(module.SIZES, module.UNITS, seed=0), COUNTS)
    for name, array in made.items():
        np.testing.assert_allclose(array, OUTPUTS[name], err_msg=name, **CLOSE)


def test_other_sizes_agree_with_torch(tmp_path):
    """A model of odd sizes, and of float16 weights in .npz."""
    module = restated()
    sizes, units = {"K": 11, "E": 22, "D": 24, "M": 40, "T": 20, "S": 4, "L": 4}, (9, 30)
    public = {name: array.astype(np.float16) for name, array in module.drawn(sizes, units, seed=3).items()}
    np.savez(tmp_path / "weights.npz", **public)
    assert main(["import", "mtm", str(tmp_path / "weights.npz"), f"--out={tmp_path / 'run'}"]) == 0
    found = weights.read_run(tmp_path / "run")
    model = settings.model_of(found.config)
    counts = np.random.default_rng(2).poisson(1.0, (2, 17, 9))
    # whose token is not known: the mean of all stands in
    name = "encoder.embedder.embed_session.weight"
    public[name] = public[name].astype(np.float32).mean(0, keepdims=True)
    for prompt in PROMPTS:
        told = module.outputs(public, counts, prompt, 0, 8)
        laid_out = of_first_read_in(state_io.nested(found.arrays), 9)
        made = model.module.apply(laid_out, all_visible(counts, prompt), model.config, train=False)
        np.testing.assert_allclose(made.natural[0], told["log_rates"], **CLOSE)
