"""Public twins: every name consumed, wrong ones told at once, responses as a restatement in NumPy and as torch."""

import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import ndimage, signal

import neurojax as nj
from neurojax.errors import InputError
from neurojax.main import main

pytest.importorskip("safetensors")
import safetensors.numpy  # noqa: E402

TWINS = Path(os.environ.get("NEUROJAX_DATA", Path(__file__).parents[3] / "shared" / "data")) / "sensorium_twin"
MOUSE, D, N = "27-3", 4, 3
TOLD = {
    "input_channels": 3, "input_height": 10, "input_width": 12, "hidden_channels": D, "layers": 2, "input_kernel": 3,
    "input_padding": 0, "hidden_kernel": 3, "hidden_padding": 1, "depth_separable": True, "batch_norm_eps": 1e-3,
    "inner_nonlinearity": "elu", "read_layers": "last", "readout": "gaussian2d_full", "align_corners": True,
    "grid_mean_predictor": {"input": 2, "hidden": [5], "nonlinearity": "elu", "final": "tanh"}, "neurons": N,
    "shifter": {"input": 2, "hidden": [3, 3], "nonlinearity": "tanh", "final": "tanh"},
    "output_nonlinearity": "elu_plus_1", "recording": MOUSE,
}  # fmt: skip


def public() -> dict[str, np.ndarray]:
    """Random weights under the public names."""
    rng = np.random.default_rng(0)
    core, block = "core.features.layer", "core.features.layer1.ds_conv"
    shapes = {
        f"{core}0.conv.weight": (D, 3, 3, 3), f"{block}.in_depth_conv.weight": (D, D, 1, 1),
        f"{block}.spatial_conv.weight": (D, 1, 3, 3), f"{block}.out_depth_conv.weight": (D, D, 1, 1),
        f"readout.{MOUSE}._features": (1, D, 1, N), f"readout.{MOUSE}.bias": (N,),
        f"readout.{MOUSE}.sigma": (1, N, 2, 2), f"readout.{MOUSE}.source_grid": (N, 2),
        f"readout.{MOUSE}.mu_transform.0.weight": (5, 2), f"readout.{MOUSE}.mu_transform.0.bias": (5,),
        f"readout.{MOUSE}.mu_transform.2.weight": (2, 5), f"readout.{MOUSE}.mu_transform.2.bias": (2,),
    }  # fmt: skip
    for layer, (outputs, inputs) in enumerate([(3, 2), (3, 3), (2, 3)]):
        shapes[f"shifter.{MOUSE}.mlp.{2 * layer}.weight"] = (outputs, inputs)
        shapes[f"shifter.{MOUSE}.mlp.{2 * layer}.bias"] = (outputs,)
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    for layer in (0, 1):
        for name in ("weight", "bias", "running_mean"):
            arrays[f"{core}{layer}.norm.{name}"] = rng.standard_normal(D)
        arrays[f"{core}{layer}.norm.running_var"] = rng.uniform(0.5, 2, D)
    arrays["core._input_weights_regularizer.laplace.filter"] = np.zeros((1, 1, 3, 3))
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    return arrays | {f"{core}0.norm.num_batches_tracked": np.int64([7])[0]}


def elu(values):
    return np.where(values > 0, values, np.expm1(np.minimum(values, 0)))


def restated(arrays, image, pupil) -> np.ndarray:
    """The forward pass of one image [C, H, W], from its description, in float64."""
    core = "core.features.layer"

    def norm(values, layer):
        scale, bias, mean, var = (
            arrays[f"{core}{layer}.norm.{name}"].astype(np.float64)[:, None, None]
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        return elu((values - mean) / np.sqrt(var + 1e-3) * scale + bias)

    kernels = arrays[f"{core}0.conv.weight"].astype(np.float64)
    values = norm(np.stack([sum(map(lambda i, k: signal.correlate(i, k, "valid"), image, own)) for own in kernels]), 0)
    mix_in, spatial, mix_out = (
        arrays[f"{core}1.ds_conv.{name}_conv.weight"].astype(np.float64)
        for name in ("in_depth", "spatial", "out_depth")
    )
    values = np.einsum("oi,ihw->ohw", mix_in[..., 0, 0], values)
    values = np.stack([signal.correlate(plane, own[0], "same") for plane, own in zip(values, spatial, strict=True)])
    values = norm(np.einsum("oi,ihw->ohw", mix_out[..., 0, 0], values), 1)

    def layers(prefix, numbers, given, between):
        for number in numbers:
            given = given if number == 0 else between(given)
            given = given @ arrays[f"{prefix}.{number}.weight"].T.astype(np.float64) + arrays[f"{prefix}.{number}.bias"]
        return np.tanh(given)

    read = f"readout.{MOUSE}"
    place = layers(f"{read}.mu_transform", (0, 2), arrays[f"{read}.source_grid"].astype(np.float64), elu)
    place = place + layers(f"shifter.{MOUSE}.mlp", (0, 2, 4), pupil[None], np.tanh)
    at = [(place[:, 1] + 1) / 2 * (values.shape[1] - 1) + 2, (place[:, 0] + 1) / 2 * (values.shape[2] - 1) + 2]
    found = np.stack([ndimage.map_coordinates(np.pad(plane, 2), at, order=1) for plane in values])
    return elu((found * arrays[f"{read}._features"][0, :, 0]).sum(0) + arrays[f"{read}.bias"]) + 1


def put(folder, arrays, told=TOLD):
    folder.mkdir(exist_ok=True)
    safetensors.numpy.save_file({n: np.asarray(a) for n, a in arrays.items()}, folder / "mouse.safetensors")
    (folder / "mouse.config.json").write_text(json.dumps(told))
    return folder / "mouse.safetensors"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    area = tmp_path_factory.mktemp("twin")
    assert main(["import", "twin", str(put(area / "weights", public())), f"--out={area / 'run'}"]) == 0
    return nj.load(area / "run")


def test_responses_are_those_of_the_description(model):
    rng = np.random.default_rng(1)
    images, state, pupil = rng.standard_normal((2, 10, 12)), rng.standard_normal((2, 2)), rng.uniform(-1, 1, (2, 2))
    found = model.responses(images, behaviour=state, pupil_center=pupil)
    whole = [np.concatenate([image[None], np.tile(own[:, None, None], (1, 10, 12))])
             for image, own in zip(images, state, strict=True)]  # fmt: skip
    wanted = [restated(public(), *given) for given in zip(whole, pupil, strict=True)]
    assert found.dtype == np.float32 and found.shape == (2, N)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.responses(np.stack(whole), pupil_center=pupil), found)
    assert np.abs(model.responses(images, behaviour=state) - found).max() > 1e-3  # nothing shifts


@pytest.mark.parametrize(
    "given, told",
    [
        ({"images": np.zeros((2, 10, 11))}, r"images are \[2, 10, 11\], expected \[n, 10, 12\] or \[n, 1, 10, 12\]"),
        ({"images": np.full((1, 10, 12), np.nan)}, "images must be finite numbers"),
        ({"images": np.zeros((2, 10, 12)), "behaviour": [1.0]}, r"behaviour is \[1\], expected \[2, 2\] or \[2\]"),
        ({"images": np.arange(360.0).reshape(1, 3, 10, 12)}, "the last 2 channels change over the image"),
        ({"images": np.zeros((1, 10, 12)), "session_id": "other"}, "no session 'other'; choose from 27-3"),
    ],
)
def test_what_a_twin_cannot_read_is_told_in_one_line(model, given, told):
    with pytest.raises(InputError, match=told):
        model.responses(**given)


def test_all_that_is_wrong_in_a_file_is_told_at_once(tmp_path, capsys):
    arrays = public()
    arrays["readout.27-3.mu_transform.4.weight"] = np.zeros((2, 2), np.float32)
    arrays["core.features.layer0.conv.bias"] = np.zeros(D, np.float32)
    arrays["core.features.layer1.norm.bias"] = np.zeros(D + 1, np.float32)
    del arrays["shifter.27-3.mlp.2.bias"]
    assert main(["import", "twin", str(put(tmp_path / "weights", arrays)), f"--out={tmp_path / 'run'}"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    for one in (
        "'core.features.layer0.conv.bias' is no part of such a twin",
        "'readout.27-3.mu_transform.4.weight' is no part of such a twin",
        "'shifter.27-3.mlp.2.bias' is missing",
        "'core.features.layer1.norm.bias' is F32 [5], expected F32 [4]",
    ):
        assert one in line
    assert not (tmp_path / "run").exists()


def test_another_architecture_is_refused_by_what_its_config_says(tmp_path, capsys):
    other = TOLD | {"read_layers": "all", "hidden_channels": "64", "shifter": {"input": 2, "hidden": [3, 4]}}
    assert main(["import", "twin", str(put(tmp_path, public(), other)), f"--out={tmp_path / 'run'}"]) == 2
    line = capsys.readouterr().err
    for one in ("read_layers='all', expected last", "hidden_channels='64', expected a whole number", "shifter="):
        assert one in line
    (tmp_path / "mouse.config.json").unlink()
    assert main(["import", "twin", str(tmp_path / "mouse.safetensors"), f"--out={tmp_path / 'run'}"]) == 2
    assert "has no mouse.config.json or config.json beside it" in capsys.readouterr().err


def test_a_damaged_file_is_told_in_one_line_and_leaves_no_run(tmp_path, capsys):
    path = put(tmp_path / "weights", public())
    whole, beside = path.read_bytes(), path.with_suffix(".config.json")
    told = beside.read_text()

    def refused(content=whole, config=told):
        path.write_bytes(content)
        beside.write_text(config)
        assert main(["import", "twin", str(path), f"--out={tmp_path / 'run'}"]) == 2
        assert not (tmp_path / "run").exists()
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        return line

    for length in (0, 5, 100, len(whole) - 1):
        assert "mouse.safetensors" in refused(whole[:length])
    assert "mouse.safetensors" in refused((1 << 60).to_bytes(8, "little") + whole[8:])
    assert "mouse.safetensors" in refused(whole + b"more")
    for config in ("", "[1]", told[:-1], json.dumps(TOLD | {"hidden_channels": 1e9}), json.dumps({})):
        assert "config" in refused(config=config)
    arrays = public()
    arrays[f"readout.{MOUSE}.bias"] = np.full(N, np.nan, np.float32)
    assert "not finite" in refused(put(tmp_path / "other", arrays).read_bytes())


@pytest.mark.data
@pytest.mark.skipif(not TWINS.is_dir(), reason="the public twins are not at hand")
@pytest.mark.parametrize(
    "name", ["plus_ln", pytest.param("sota", marks=pytest.mark.slow), pytest.param("ln", marks=pytest.mark.slow)]
)
def test_golden_responses(name, tmp_path):
    assert main(["import", "twin", str(TWINS / f"sensorium_{name}.safetensors"), f"--out={tmp_path / 'run'}"]) == 0
    with np.load(TWINS / f"sensorium_{name}.golden.npz", allow_pickle=False) as kept:
        golden = {array: kept[array] for array in kept.files}
    told = {"pupil_center": golden["pupil_center"]} if "pupil_center" in golden else {}
    found = nj.load(tmp_path / "run").responses(golden["inputs"], **told)
    excess = np.abs(found - golden["responses"]) / np.maximum(1, np.abs(golden["responses"]))
    # The golden responses of plus_ln are themselves 8.5e-6 from those in float64; jax 0.12 sums in another order.
    assert excess.max() <= (1e-5 if name != "plus_ln" or jax.__version__.startswith("0.10.") else 1.3e-5)
