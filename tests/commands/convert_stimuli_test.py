"""`neurojax convert stimuli`: responses and images to a folder that a twin reads, and files that do not fit."""

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store import stimuli as store
from neurojax.main import main


@pytest.fixture
def files(tmp_path):
    """Thirty images, and two sessions of three neurons that saw each twice; one says how it is split."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (30, 5, 4)))
    shown = np.tile(np.arange(30), 2)
    told = {"counts": rng.poisson(2.0, (60, 3)), "stimulus": shown, "x_um": np.arange(3.0), "y_um": np.arange(3.0)}
    np.savez(tmp_path / "a.npz", **told, state=rng.standard_normal((60, 2)), subject="mouse")
    np.savez(tmp_path / "b.npz", **told)
    return tmp_path


def run(files, *more, images="images.npy", names=("a", "b")):
    paths = [str(files / f"{name}.npz") for name in names]
    return main(["convert", "stimuli", *paths, f"--out={files / 'out'}", f"--options=images={files / images}", *more])


def test_sessions_and_images_are_read_back_and_no_image_is_in_two_splits(files, capsys):
    assert run(files) == 0
    told = capsys.readouterr().out
    assert "--config.model.image_height=5 --config.model.image_width=4" in told
    assert "30 images of 1 x 5 x 4: channels x height x width" in told
    found = store.open_stimuli(files / "out")
    images = np.load(files / "images.npy")
    assert found.stimuli.images.dtype == np.uint8
    np.testing.assert_array_equal(found.stimuli.images[:, 0], images)
    first, second = found.sessions
    with np.load(files / "a.npz") as held:
        np.testing.assert_array_equal(np.asarray(first.counts), held["counts"])
        np.testing.assert_allclose(first.behaviour["state"], held["state"], rtol=1e-6)
    assert first.info["subject_id"] == "mouse" and first.bin_size_s == 0.5
    assert [len(first.trials_of(part)) for part in (TRAIN, VALIDATION, TEST)] == [48, 6, 6]
    np.testing.assert_array_equal(first.split, second.split)
    np.testing.assert_array_equal(first.split[:30], first.split[30:])


def test_what_does_not_fit_is_told_in_a_line(files, capsys):
    def refused(words, *more, **given):
        assert run(files, *more, **given) == 2
        assert words in capsys.readouterr().err
        assert not (files / "out" / "stimuli").exists()

    with np.load(files / "a.npz") as held:
        kept = {name: held[name] for name in held.files}

    def damaged(name, **changed):
        np.savez(files / f"{name}.npz", **(kept | changed))
        return {"names": (name,)}

    refused("whole numbers below 30, the number of images", **damaged("c", stimulus=kept["stimulus"] + 1))
    refused("expected [presentations, neurons]", **damaged("d", counts=kept["counts"][:, 0]))
    refused("x_um is not one number for each of 3 neurons", **damaged("e", x_um=np.arange(4.0)))
    refused("expected [60, numbers]", **damaged("f", state=np.zeros((59, 2))))
    refused("expected 0 or more spikes", **damaged("g", counts=-1 - kept["counts"]))
    refused("stimuli takes --out, --options and --overwrite", "--window_s=2")
    refused("two sessions are called a", names=("a", "a"))
    np.save(files / "nan.npy", np.full((30, 5, 4), np.nan))
    refused("image 0 holds NaN or infinity", images="nan.npy")
    np.save(files / "flat.npy", np.zeros(30))
    refused("expected float32, float16 or uint8 [images, channels, height, width]", images="flat.npy")
    for channels in (1, 3, 4):
        np.save(files / "last.npy", np.zeros((30, 5, 6, channels), np.uint8))
        refused("save np.moveaxis(images, -1, 1)", images="last.npy")
    for seed in ("-1", "0.5"):
        refused(f"options seed={seed}; expected a whole number", f"--options=images={files / 'images.npy'},seed={seed}")
    split = np.where(np.arange(60) < 30, 0, 2)
    refused("of the images of test trials were shown in training", **damaged("h", split=split))
    assert main(["convert", "stimuli", str(files / "a.npz"), f"--out={files / 'out'}"]) == 2
    assert "--options=images=FILE" in capsys.readouterr().err
