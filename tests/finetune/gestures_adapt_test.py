"""A person calibrates a network for gestures: `convert emg --options=calibrate=1`, `adapt`, `evaluate`."""

import dataclasses

import numpy as np
import pytest

from neurojax import main
from neurojax.commands import adapt
from neurojax.commands import config as configs
from neurojax.data.sources import emg
from neurojax.data.synthetic import ring
from neurojax.errors import InputError
from neurojax.files import read_json
from neurojax.finetune.weights import read_run
from neurojax.runs import workdir
from neurojax.train import gesture_stream, run_folder

SPEC = ring.RingSpec(num_people=4, segment_s=0.6, num_repetitions=3, num_electrodes=4)
SMALL = (
    *("model.width=32", "model.dropout=0.1", "data.trials_per_batch=16", "data.min_step=0.1"),
    *("data.order=as_worn", "eval.floors=lda"),
)


@pytest.fixture(scope="module")
def area(tmp_path_factory):
    """A run of three people and a fourth who calibrates with the first of three repetitions."""
    folder = tmp_path_factory.mktemp("gestures")
    ring.write_people(folder / "files", dataclasses.replace(SPEC))
    files = ["convert", "emg", str(folder / "files"), f"--out={folder / 'people'}", "--options=test_fold=3"]
    assert main.main(files) == 0
    own = ["convert", "emg", str(folder / "files/person-3.npz"), f"--out={folder / 'me'}", "--options=calibrate=1"]
    assert main.main(own) == 0
    words = [
        f"--config.{one}" for one in (*SMALL, f"data.root={folder / 'people'}", "data.fold=3", "train.num_steps=20")
    ]
    assert main.main(["train", "--config=emg", f"--workdir={folder / 'run'}", *words]) == 0
    return folder


def test_a_person_is_calibrated_and_tested_on_what_comes_later(area, monkeypatch):
    declared = configs.load(["--config=finetune_emg"])
    small = declared | {
        "data": declared["data"] | {"trials_per_batch": 16},
        "train": declared["train"] | {"num_steps": 60},
        "optimizer": declared["optimizer"] | {"learning_rate": 0.01},
        "eval": declared["eval"] | {"floors": "lda"},
    }
    monkeypatch.setattr(configs, "load", lambda arguments: small)
    words = ["adapt", f"--from={area / 'run'}", f"--data={area / 'me'}", f"--out={area / 'mine'}"]
    assert main.main([*words, "--dry_run"]) == 0 and not (area / "mine").exists()
    assert main.main(words) == 0
    before, after = read_run(area / "run"), read_run(area / "mine")
    assert after.step == 60 and before.arrays.keys() == after.arrays.keys()
    assert all(np.any(after.arrays[name] != before.arrays[name]) for name in after.arrays if name.startswith("params/"))
    for name, kept in before.arrays.items():  # what a typical person is like stays
        if name.startswith("buffers/"):
            np.testing.assert_array_equal(after.arrays[name], kept)
    assert [entry["session_id"] for entry in after.entries] == ["person-3"]
    assert {one.session_id: len(one.trained_s) for one in after.trained.recordings}["person-3"] == 5  # stretches
    blocks = []
    for run in ("run", "mine"):
        out = area / f"{run}.json"
        assert main.main(["evaluate", f"--workdir={area / run}", f"--data={area / 'me'}", f"--out={out}"]) == 0
        blocks.append(read_json(out)["gestures"])
    zero_shot, calibrated = blocks
    assert main.main(["evaluate", f"--workdir={area / 'mine'}"]) == 0
    page = (area / "mine/report.html").read_text()
    assert "Worst read: person-3" in page and "false activations at rest" in page.lower()
    assert "1 people, 1 of whom calibrated" in page and (area / "mine/figures/trust.png").is_file()
    assert zero_shot["num_windows"] == calibrated["num_windows"] == 2 * 5 * 7
    assert calibrated["balanced_accuracy"] > zero_shot["balanced_accuracy"] + 0.05
    assert calibrated["floors"]["lda"]["balanced_accuracy"] > 0.5
    for block in blocks:  # as a stream would read them; every gesture has as many windows
        past, wrong = block["past"]["balanced_accuracy"], block["trust"]["abstention"]["risk"][-1]
        assert block["trust"]["known_by"] == "past" and wrong == pytest.approx(1 - past)
    assert (zero_shot["num_calibrated"], calibrated["num_calibrated"]) == (0, 1)


def test_the_config_of_a_run_without_rows_is_its_own(area):
    asked, read = adapt.asked_of(area / "run", area / "me", 0)
    assert asked["finetune"] == {"strategy": "full"} and asked["train"]["num_steps"] == 200
    assert asked["model"]["width"] is None and asked["data"]["root"] == str(area / "me")
    assert (asked["data"]["min_step"], asked["data"]["order"]) == (0.1, "as_worn")  # of the run
    assert adapt.asked_of(area / "run", area / "me", 7)[0]["train"]["num_steps"] == 7
    people = adapt._people_of(area / "run", asked["data"] | {"order": "ring"}, 0)
    assert people.dataset.sessions[0].session_id == "person-3" and adapt._order_of(people) == "person-3=0"
    assert read.fingerprint == people.dataset.fingerprint


def test_who_calibrates_is_read_once_and_streamed_in_the_order_that_was_found(area, tmp_path, monkeypatch, capsys):
    opened, real = [], emg.open_dataset
    monkeypatch.setattr(emg, "open_dataset", lambda root, **more: opened.append(root) or real(root, **more))
    adapt.adapt(area / "run", root=area / "me", out=tmp_path / "new", dry_run=True)
    assert opened.count(area / "me") == 1 and not (tmp_path / "new").exists()
    stored = read_json(area / "run/config.json")
    monkeypatch.setattr(
        run_folder, "read_run", lambda *more: stored | {"data": stored["data"] | {"order": "person-3=3"}}
    )
    monkeypatch.setattr(workdir, "require_own_config", lambda *more: None)
    stream = gesture_stream.open_stream(area / "run")
    assert stream.order == "turned by 3"
    stream.read(np.zeros(stream.window_shape))
    assert stream.order == "turned by 3"  # the past is not asked
    stream.begin()
    assert stream.order == "as worn"  # of another person, until the past tells
    assert gesture_stream.open_stream(area / "run", person="").order == "as worn"
    with pytest.raises(InputError, match="nobody of the name 'me' calibrated .* expected one of person-3"):
        gesture_stream.open_stream(area / "run", person="me")


@pytest.mark.parametrize(
    "layer", ["time_depth", *(pytest.param(name, marks=pytest.mark.slow) for name in ("lstm", "conformer"))]
)
def test_layers_that_go_from_frame_to_frame_read_people_never_seen(area, layer):
    folder = area / layer
    own = {"model.width": 16, "model.num_layers": 1, "model.front": "spectrogram", "model.dropout": 0.0}
    own |= {"data.trials_per_batch": 16, "data.root": area / "people", "eval.floors": "", "eval.min_step": 0.1}
    own |= {"train.num_steps": 100, "train.validate_every_steps": 0, "optimizer.learning_rate": 0.01}
    words = [f"--config.{name}={value}" for name, value in own.items()]
    assert main.main(["train", f"--config=emg:{layer}", f"--workdir={folder}", *words]) == 0
    block = read_json(folder / "evaluation.json")["gestures"]
    assert block["num_people"] == 1 and block["balanced_accuracy"] > 2 * block["chance"]


def test_people_whom_the_network_cannot_read_are_refused_before_it_is_asked(area, tmp_path):
    def written(name, change):
        held = dict(np.load(area / "files/person-3.npz"))
        change(held)
        np.savez(tmp_path / f"{name}.npz", **held)
        return ["convert", "emg", str(tmp_path / f"{name}.npz"), f"--out={tmp_path / name}"]

    def renamed(held):
        held["gesture_names"] = np.array([f"{one}s" for one in held["gesture_names"]])

    changes = {
        "channels": (lambda held: held.update(emg=held["emg"][:, :3]), "has 3 channels, the weights were trained on 4"),
        "rate": (lambda held: held.update(sampling_rate_hz=400.0), "the weights were trained on 5 ms; resample it"),
        "names": (renamed, "convert them with the same gestures in the same order"),
    }
    for name, (change, said) in changes.items():
        assert main.main([*written(name, change), "--options=calibrate=1"]) == 0
        with pytest.raises(InputError, match=said):
            adapt.asked_of(area / "run", tmp_path / name, 0)
    assert main.main(written("alone", dict)) == 0  # by the hash of the name this person tests
    with pytest.raises(InputError, match="nobody calibrates; convert emg with --options=calibrate=1"):
        adapt.asked_of(area / "run", tmp_path / "alone", 0)
