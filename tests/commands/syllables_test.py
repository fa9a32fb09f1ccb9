"""`neurojax syllables`: tables beside the recordings, and what it says of tracks that do not fit."""

import csv

import numpy as np
import pytest

from neurojax.data.synthetic import poses
from neurojax.files import read_json
from neurojax.main import main

NAMES = ["nose", "a", "b", "c", "tail"]
SPEC = poses.PoseSpec(num_syllables=3, num_keypoints=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracks")
    animal = poses.make_animal(SPEC, 1)
    for day, frames in enumerate((900, 700)):
        made = poses.make_tracks(SPEC, animal, frames, day)
        arrays = {"keypoints_px": made.keypoints_px, "confidence": made.confidence}
        np.savez(folder / f"day{day}.npz", names=NAMES, **arrays)
    return folder


def run(*files, out, **options) -> int:
    given = {"sampling_hz": 30, "front": "nose", "back": "tail", "num_syllables": 3, "out": out} | options
    return main(["syllables", *map(str, files), *(f"--{name}={value}" for name, value in given.items())])


def rows_of(path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_two_recordings_get_tables_of_their_own_length(folder, tmp_path, capsys):
    assert run(folder / "day0.npz", folder / "day1.npz", out=tmp_path / "out") == 0
    for name, frames in (("day0", 900), ("day1", 700)):
        labels, behaviour = (
            rows_of(tmp_path / f"out/{name}.syllables.csv"),
            rows_of(tmp_path / f"out/{name}.behavior.csv"),
        )
        assert len(labels) == len(behaviour) == frames
        assert float(labels[30]["time_s"]) == float(behaviour[30]["time_s"]) == 1.0
        for one, other in zip(labels, behaviour, strict=True):
            assert [other[f"syllable_{s}"] for s in range(3)].index("1") == int(one["syllable"])
    record = read_json(tmp_path / "out/syllables.json")
    assert sum(one["share_of_frames"] for one in record["syllables"]) == pytest.approx(1)
    assert "day0" in record["recordings"] and (tmp_path / "out/syllables.png").exists()


def damaged(folder, path, **changed):
    with np.load(folder / "day0.npz") as kept:
        arrays = {name: kept[name] for name in kept.files} | changed
    np.savez(path, **arrays)
    return path


def test_tracks_that_do_not_fit_are_refused_in_a_line(folder, tmp_path, capsys):
    day = folder / "day0.npz"
    other = damaged(folder, tmp_path / "other.npz", names=[*NAMES[:4], "ear"])
    certain = damaged(folder, tmp_path / "certain.npz", confidence=np.full((900, 5), 40.0))
    text = tmp_path / "text.npz"
    text.write_text("frame,x,y\n")
    pickled = damaged(folder, tmp_path / "pickled.npz", names=np.array(NAMES, object))
    cut = tmp_path / "cut.npz"
    cut.write_bytes(day.read_bytes()[:2000])
    still = damaged(folder, tmp_path / "still.npz", keypoints_px=np.tile(np.arange(10.0).reshape(5, 2), (900, 1, 1)))
    far = damaged(folder, tmp_path / "far.npz", keypoints_px=np.full((900, 5, 2), 1e200))
    own = damaged(folder, tmp_path / "syllables.npz")
    table = tmp_path / "tracks.h5"
    table.write_bytes(b"")
    cases = [
        (run(day, out=tmp_path / "x", front="snout"), "--front=snout; the keypoints are nose, a, b, c, tail"),
        (run(day, day, out=tmp_path / "x"), "two recordings are called day0"),
        (run(day, other, out=tmp_path / "x"), "share keypoints, in this order"),
        (run(certain, out=tmp_path / "x"), "confidences from 40 to 40; expected 0 to 1"),
        (run(text, out=tmp_path / "x"), "cannot be read as .npz"),
        (run(pickled, out=tmp_path / "x"), "pickled objects are never opened"),
        (run(tmp_path / "no.npz", out=tmp_path / "x"), "is no file"),
        (run(table, out=tmp_path / "x", software="deeplabcut"), "save the tracks of DeepLabCut as .csv"),
        (run(day, out=tmp_path / "x", software="anipose"), "expected deeplabcut, sleap, lightning_pose or arrays"),
        (run(day, out=tmp_path / "x", sampling_hz=0), "expected numbers over 0"),
        (run(day, out=tmp_path / "x", components=0), "expected numbers over 0"),
        (run(cut, out=tmp_path / "x"), "cannot be read as .npz"),
        (run(still, out=tmp_path / "x"), "no keypoint ever moves"),
        (run(far, out=tmp_path / "x"), "a keypoint at 1e+200 px"),
        (run(own, out=tmp_path), "syllables.npz would be overwritten"),
        (run(day, out=tmp_path / "x", num_syllables=91), "900 frames for 91 syllables"),
    ]
    said = capsys.readouterr().err.splitlines()
    assert [code for code, _ in cases] == [2] * len(cases) == [2] * len(said)
    for line, (_, expected) in zip(said, cases, strict=True):
        assert expected in line
    assert not (tmp_path / "x").exists()


def test_confidences_a_little_over_one_are_certain(folder, tmp_path):
    from neurojax.data.readers import tracks

    path = damaged(folder, tmp_path / "day.npz", confidence=np.full((900, 5), 1.02))
    assert (tracks.read(path, "arrays").confidence == 1).all()


TABLE = """scorer,net,net,net,net,net,net,net,net,net
bodyparts,nose,nose,nose,middle,middle,middle,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood,x,y,likelihood
0,1.5,2.5,0.9,3.0,4.0,1.0,5.0,6.0,0.2
1,2.5,2.5,0.8,3.5,4.0,1.0,5.0,6.5,0.3
"""


@pytest.mark.parametrize("software", ["deeplabcut", "lightning_pose"])
def test_tables_of_trackers_are_read_by_movement(tmp_path, software):
    pytest.importorskip("movement", reason="needs neurojax[tracks]")
    from neurojax.data.readers import tracks

    path = tmp_path / "day.csv"
    path.write_text(TABLE)
    found = tracks.read(path, software)
    assert found.names == ("nose", "middle", "tail")
    np.testing.assert_allclose(found.keypoints_px[1], [[2.5, 2.5], [3.5, 4.0], [5.0, 6.5]])
    np.testing.assert_allclose(found.confidence, [[0.9, 1, 0.2], [0.8, 1, 0.3]])
    path.write_text(TABLE[:60])
    with pytest.raises(ValueError, match="not read as tracks of"):
        tracks.read(path, software)
