"""Reading fMRI: means of a window without drift, splits that people agree on, forged headers and arrays refused."""

import gzip
import struct

import numpy as np
import pytest

from neurojax.data.readers import fmri, fmri_files, fmri_runs
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.errors import InputError


def runs_of(rng):
    """Three runs of 20 volumes, 2 s each; two categories, a block of 8 s every 16 s, seen 2 s later in two voxels."""
    run, seconds = np.repeat([1, 2, 3], 20), np.tile(2.0 * np.arange(20), 3)
    onset, of_run = np.tile([0.0, 16.0], 3), np.repeat([1, 2, 3], 2)
    name = np.array(["face", "house"] * 3)
    bold = 500 + 3 * seconds[:, None] + 0.1 * rng.standard_normal((60, 3))
    for start, own, what in zip(onset, of_run, name, strict=True):
        seen = (run == own) & (seconds >= start + 2) & (seconds < start + 10)
        bold[seen, ["face", "house"].index(what)] += 20
    return {"bold": bold, "run": run, "tr_s": np.float64(2.0), "event_run": of_run, "event_onset_s": onset,
            "event_picture": name}  # fmt: skip


def read(folder, arrays, **options):
    np.savez(folder / "p1.npz", **arrays)
    return fmri.read_session(str(folder / "p1.npz"), ReadSpec(options=tuple(options.items())))


def test_runs_become_one_response_a_picture_without_their_drift(tmp_path):
    session = read(tmp_path, runs_of(np.random.default_rng(0)), window_s="2:10")
    values = np.asarray(session.values)
    assert values.shape == (6, 3) and (session.trial_num_bins == 1).all()
    house = session.conditions["picture"] == "house"
    assert (values[~house, 0] > 1).all() and (values[house, 1] > 1).all() and np.abs(values[:, 2]).max() < 1.5
    np.testing.assert_array_equal(session.behaviour["embedding"], np.eye(2)[house.astype(int)])
    np.testing.assert_array_equal(session.split, np.repeat([TRAIN, VALIDATION, TEST], 2))
    late = read(tmp_path, runs_of(np.random.default_rng(0)), window_s="2:25")  # the second block reaches over its run
    assert late.num_trials == 3 and late.info["trials_dropped"] == {"window reaches over its run": 3}
    line = np.arange(10.0)[:, None] * [1, 2] + 4
    assert not fmri_runs.without_drift(line, np.repeat([0, 1], 5)).any()


def test_betas_take_embeddings_of_a_file_and_people_agree_on_splits(tmp_path):
    rng, names = np.random.default_rng(0), np.array([f"img{n}" for n in range(200)])
    table = rng.standard_normal((200, 4)).astype(np.float32)
    np.savez(tmp_path / "clip.npz", picture=names[::-1], embedding=table[::-1])
    (tmp_path / "a").mkdir()
    splits = []
    for order in (np.arange(200), rng.permutation(200)):
        arrays = {"betas": rng.standard_normal((200, 5)), "picture": names[order]}
        session = read(tmp_path / "a", arrays, embeddings=str(tmp_path / "clip.npz"))
        np.testing.assert_array_equal(session.behaviour["embedding"], table[order])
        splits.append(dict(zip(session.conditions["picture"].tolist(), session.split.tolist(), strict=True)))
    assert splits[0] == splits[1] and set(splits[0].values()) == {TRAIN, VALIDATION, TEST}
    arrays["picture"] = np.array(["img0", "other"] * 100)
    with pytest.raises(InputError, match="has no embedding of 100 pictures that .* shows, such as .'other'"):
        read(tmp_path / "a", arrays, embeddings=str(tmp_path / "clip.npz"))
    assert fmri.recognises(str(tmp_path / "a" / "p1.npz")) == "p1.npz with betas and picture"


def test_betas_that_are_not_known_and_embeddings_that_disagree_are_refused(tmp_path):
    """A zero in place of a NaN would be taken as a response, in means and in rows."""
    betas = np.ones((4, 3))
    betas[0, 1] = betas[2, 1] = np.nan
    said = "betas has 2 numbers that are NaN or infinite, in 1 of 3 voxels and 2 of 4 trials; leave out"
    with pytest.raises(InputError, match=said):
        read(tmp_path, {"betas": betas, "picture": np.arange(4)})
    twice = {"picture": np.array(["a", "b", "a"]), "embedding": np.array([[1.0, 0], [0, 1], [0, 0]])}
    arrays = {"betas": np.random.default_rng(0).standard_normal((2, 3)), "picture": np.array(["a", "b"])}
    (tmp_path / "e").mkdir()
    for known in (False, True):
        twice["embedding"][2, 0] = known
        np.savez(tmp_path / "e" / "clip.npz", **twice)
        if known:
            session = read(tmp_path, arrays, embeddings=str(tmp_path / "e" / "clip.npz"))
            np.testing.assert_array_equal(session.behaviour["embedding"], np.eye(2))
            continue
        with pytest.raises(InputError, match="has different embeddings of the picture 'a'; keep one"):
            read(tmp_path, arrays, embeddings=str(tmp_path / "e" / "clip.npz"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bold": np.zeros((59, 3))}, "run is int64 .60., expected numbers .59."),
        ({"bold": np.full((60, 3), np.nan)}, "expected finite numbers"),
        ({"run": np.arange(60)[::-1]}, "run goes back"),
        ({"tr_s": np.float64(0)}, "says 0 s from volume to volume"),
        ({"tr_s": np.float64(np.nan)}, "says nan s from volume to volume"),
        ({"event_run": np.full(6, 9)}, "event_run names run .9."),
        ({"event_onset_s": np.full(6, np.inf)}, "event_onset_s holds what is no time"),
        ({"event_onset_s": np.full(6, 900.0)}, "no picture has all of the window"),
        ({"event_picture": np.array([{}] * 6)}, "p1.npz"),  # objects are never unpickled
    ],
)
def test_runs_that_do_not_fit_are_refused(tmp_path, changed, said):
    with pytest.raises(InputError, match=said):
        read(tmp_path, runs_of(np.random.default_rng(0)) | changed)


def test_windows_that_mean_nothing_and_pictures_without_embeddings_are_refused(tmp_path):
    for text in ("8:3", "1", "a:b", "0:inf", "nan:3"):
        with pytest.raises(InputError, match="expected FROM:TO in seconds"):
            fmri_runs.window_of(text, "here")
    arrays = {"betas": np.zeros((1200, 2)), "picture": np.arange(1200)}
    with pytest.raises(InputError, match="shows 1,200 different pictures and no embedding"):
        read(tmp_path, arrays)
    with pytest.raises(InputError, match="lacks bold, run"):
        read(tmp_path, {"picture": np.arange(3)})


def nifti(shape, kind=16, tr_s=2.0, size=None):
    """A NIfTI-1 file of float32 as its specification lays it out, in bytes."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<2h", head, 70, kind, 32)
    struct.pack_into("<8f", head, 76, 1, 1, 1, 1, tr_s, 1, 1, 1)
    struct.pack_into("<3f", head, 108, 352, 1, 0)
    head[344:348] = b"n+1\0"
    number = int(np.prod([abs(side) for side in shape])) if size is None else size
    return bytes(head) + np.arange(number, dtype="<f4").tobytes()


EVENTS = "onset\tduration\ttrial_type\n0\t2\tface\n8\t2\thouse\n"


def bids(folder, content, events=EVENTS, run="run-1", more=""):
    """One run of sub-01; `more` stands in the name of the scan alone."""
    place = folder / "sub-01" / "func"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"sub-01_task-x_{run}{more}_bold.nii.gz").write_bytes(gzip.compress(content))
    if events:
        (place / f"sub-01_task-x_{run}_events.tsv").write_text(events)
    return str(folder / "sub-01")


def test_bids_is_read_voxel_by_voxel(tmp_path):
    pytest.importorskip("nibabel")
    scans = fmri_files.read_bids((tmp_path / bids(tmp_path, nifti((2, 3, 1, 9)))), None)
    assert scans.bold.shape == (9, 6) and scans.tr_s == 2.0
    np.testing.assert_array_equal(scans.bold[1] - scans.bold[0], 6)  # volumes go slowest
    assert scans.picture.tolist() == ["face", "house"] and fmri.find(str(tmp_path)) == [str(tmp_path / "sub-01")]
    session = fmri.read_session(str(tmp_path / "sub-01"), ReadSpec(options=(("window_s", "2:6"),)))
    assert session.num_trials == 2


def test_events_of_bids_may_be_unknown_numbered_and_elsewhere(tmp_path, monkeypatch):
    volumes = np.arange(54, dtype=np.float32).reshape(2, 3, 1, 9)
    monkeypatch.setattr(fmri_files, "_read_nifti", lambda path, num_dims: (volumes, 2.0))
    scan = b"read above"
    events = "onset\tstim_file\ttrial_type\n0\tn/a\t1\nn/a\tn/a\t2\n8\tn/a\tn/a\n4\tn/a\t3\n"
    bids(tmp_path, scan, events)
    bids(tmp_path, scan, events="", run="run-2")
    path = bids(tmp_path, scan, EVENTS.replace("trial_type", "stim_file"), "run-3", "_space-MNI_res-2_desc-preproc")
    scans = fmri_files.read_bids(tmp_path / "sub-01", None)
    assert scans.picture.tolist() == ["1", "3", "face", "house"] and scans.event_run.tolist() == [0, 0, 1, 1]
    assert (scans.num_unknown, scans.num_silent) == (2, 1)
    session = fmri.read_session(path, ReadSpec(options=(("window_s", "2:6"),)))
    assert session.info["trials_dropped"] == {"no onset or no picture": 2}
    assert session.info["runs_dropped"] == {"no events.tsv": 1} and len(fmri.source_sha256(path)) == 64
    derived = tmp_path / "derivatives" / "prep"
    bids(derived, scan, "", "run-1", "_space-T1w_desc-preproc")  # its events are those of the raw data
    assert fmri_files.read_bids(derived / "sub-01", None).picture.tolist() == ["1", "3"]
    bids(derived, scan, "", "run-1", "_space-MNI_desc-preproc")
    with pytest.raises(InputError, match="are one run; keep one of them"):
        fmri_files.read_bids(derived / "sub-01", None)
    bids(derived / "b", scan, "")
    with pytest.raises(InputError, match="none of the 1 runs of .* has an events.tsv"):
        fmri_files.read_bids(derived / "b" / "sub-01", None)


def test_forged_headers_of_nifti_are_refused_before_memory_is_asked_for(tmp_path):
    pytest.importorskip("nibabel")
    for content, said in (
        (nifti((32767, 32767, 100, 9), size=10), "it is damaged, or larger than what is read"),
        (nifti((2, 3, 1, 9), size=10), "ends early or is damaged"),
        (nifti((2, 3, 9)), "expected real numbers of 4 dimensions"),
        (nifti((2, 3, 1, 9), kind=32), "expected real numbers"),
        (nifti((2, 3, 1, 9), kind=7777), "cannot be read as NIfTI"),
        (nifti((2, 3, 1, 9), tr_s=0.0), "says 0 s from volume to volume"),
        (nifti((2, 3, 1, 9))[:200], "cannot be read as NIfTI"),
        (b"nothing", "cannot be read as NIfTI"),
    ):
        with pytest.raises(InputError, match=said):
            fmri_files.read_bids((tmp_path / bids(tmp_path, content)), None)
    with pytest.raises(InputError, match="expected onset .seconds. and stim_file or trial_type"):
        fmri_files.read_bids(tmp_path / bids(tmp_path, nifti((2, 3, 1, 9)), "onset\tname\n0\ta\n"), None)
