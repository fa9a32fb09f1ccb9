import io
import json
import os
import zipfile

import numpy as np
import pytest

from neurojax.data.store import array_files, session_format
from neurojax.data.store.dataset import dataset_of, open_dataset, write_dataset_index
from neurojax.data.store.session_format import content_sha256, open_session, write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError

RNG = np.random.default_rng(0)


def make(session_id="rat_1", bin_size_s=0.02, counts=None, **fields):
    counts = RNG.poisson(0.4, (12, 7, 6)) if counts is None else counts
    pupil = RNG.normal(size=(12, 7, 2))
    pupil[0, 0] = np.nan
    given = {
        "region": ["CA1", "CA3", "root", "CA1", "VISp", "DG"],
        "conditions": {"side": RNG.integers(0, 2, 12), "name": ["é", "left"] * 6, "file": np.arange(12.0)},
        "behaviour": {"pupil": pupil},
        "unit_metadata": {"depth_um": RNG.normal(size=6)},
        "true_rates": RNG.uniform(0, 1, (12, 7, 6)),
        "info": {"subject_id": "r", "notes": {"weights": [1, 2]}},
    }
    return from_counts(counts, bin_size_s=bin_size_s, session_id=session_id, **(given | fields))


def assert_equal(left, right):
    for name in ("counts", "unit_id", "region", "region_group", "region_source", "split", "true_rates"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
        assert getattr(left, name).dtype.kind == getattr(right, name).dtype.kind
    for name in ("trial_start_bin", "trial_num_bins", "trial_start_s"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    for name in ("conditions", "behaviour", "behaviour_valid", "unit_metadata"):
        mine, other = getattr(left, name), getattr(right, name)
        assert mine.keys() == other.keys()
        for key in mine:
            np.testing.assert_array_equal(mine[key], other[key])
    assert (left.session_id, left.bin_size_s, left.info) == (right.session_id, right.bin_size_s, right.info)


@pytest.mark.parametrize("verify", ["full", "sampled", "none"])
def test_round_trip(tmp_path, verify):
    session = make()
    folder = write_session(session, tmp_path)
    reopened = open_session(folder, verify)
    assert_equal(session, reopened)
    assert isinstance(reopened.counts, np.memmap) and isinstance(reopened.true_rates, np.memmap)
    assert not reopened.counts.flags.writeable
    assert content_sha256(reopened) == content_sha256(session)
    assert os.listdir(tmp_path) == ["rat_1"]


def test_files_are_as_documented(tmp_path):
    session = make(counts=RNG.integers(0, 400, (12, 7, 6)))
    folder = write_session(session, tmp_path)
    assert np.load(folder / "counts.npy", allow_pickle=False).dtype == np.uint16
    with np.load(folder / "trials.npz", allow_pickle=False) as trials:
        assert {"start_bin", "num_bins", "split", "start_s", "side"} <= set(trials.files)
        np.testing.assert_array_equal(trials["num_bins"], np.full(12, 7))
    with np.load(folder / "units.npz", allow_pickle=False) as units:
        assert set(units.files) == {"unit_id", "region", "region_group", "region_source", "depth_um"}
    with np.load(folder / "behaviour.npz", allow_pickle=False) as behaviour:
        assert behaviour["pupil"].dtype == np.float32 and behaviour["pupil_valid"].dtype == bool
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["schema"] == 2 and meta["observation"] == "counts"
    assert meta["session_id"] == "rat_1" and meta["subject_id"] == "r"


def test_writing_again_replaces_and_equal_sessions_give_equal_bytes(tmp_path):
    session = make()
    folder = write_session(session, tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_session(session, tmp_path)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    changed = make()
    write_session(changed, tmp_path)
    assert_equal(changed, open_session(folder, "full"))


def test_a_failed_write_leaves_the_old_session(tmp_path, monkeypatch):
    session = make()
    folder = write_session(session, tmp_path)

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(session_format, "write_npz", full_disk)
    with pytest.raises(InputError, match="No space left"):
        write_session(make(), tmp_path)
    assert os.listdir(tmp_path) == ["rat_1"]
    assert_equal(session, open_session(folder, "full"))


def test_content_is_hashed_not_its_container():
    session = make()
    wide = session.region.astype("U40")
    same = type(session)(**(vars(session) | {"region": wide, "info": {}, "split": session.split.astype(">i1")}))
    assert content_sha256(same) == content_sha256(session)
    moved = type(session)(**(vars(session) | {"split": np.roll(session.split, 1)}))
    assert content_sha256(moved) != content_sha256(session)
    coarser = type(session)(**(vars(session) | {"bin_size_s": 0.04}))
    assert content_sha256(coarser) != content_sha256(session)


def _edit_meta(folder, **changes):
    meta = json.loads((folder / "meta.json").read_text()) | changes
    (folder / "meta.json").write_text(json.dumps(meta))


def _flip(path, offset=-1):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def _append(path, content):
    path.write_bytes(path.read_bytes() + content)


def _zip(path, name):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "a")


def _npy(header: bytes, data: bytes = b"") -> bytes:
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


HUGE = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776, 6), }"
NEGATIVE = b"{'descr': '|u1', 'fortran_order': False, 'shape': (-84, -6), }"
OBJECT = b"{'descr': '|O', 'fortran_order': False, 'shape': (84, 6), }"
FORTRAN = b"{'descr': '|u1', 'fortran_order': True, 'shape': (84, 6), }"
FLOAT = b"{'descr': '<f4', 'fortran_order': False, 'shape': (21, 6), }"
CODE = b"{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (84, 6), }"


def _pickled(path):
    np.savez(path, **{"region": np.array([{"a": 1}], dtype=object)})


def _bomb(path, size=2**20):
    """A kB that unpacks to a thousand times as much."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("unit_id.npy", "w") as member,
    ):
        member.write(_npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d,), }" % size, bytes(size)))


DAMAGE = {
    "no_meta": (lambda f: (f / "meta.json").unlink(), "meta.json does not exist"),
    "meta_cut": (lambda f: (f / "meta.json").write_text('{"schema": 1'), "cannot be read as JSON"),
    "meta_list": (lambda f: (f / "meta.json").write_text("[]"), "expected an object"),
    "schema": (lambda f: _edit_meta(f, schema=3), "schema '3', expected 1 or 2"),
    "schema_true": (lambda f: _edit_meta(f, schema=True), "schema 'True', expected 1 or 2"),
    "no_observation": (lambda f: _edit_meta(f, observation=["real"]), "expected counts or real"),
    "said_to_be_real": (
        lambda f: _edit_meta(f, observation="real", unit="uV", sampling_hz=50.0),
        "do not add up",
    ),
    "other_name": (lambda f: _edit_meta(f, session_id="b"), "names session 'b'"),
    "path_name": (lambda f: _edit_meta(f, session_id="../rat_1"), r"'\.\./rat_1'"),
    "bin_size": (lambda f: _edit_meta(f, bin_size_s=0.04), "do not add up"),
    "bin_list": (lambda f: _edit_meta(f, bin_size_s=[0.02]), "bin_size_s is"),
    "units_nan": (lambda f: _edit_meta(f, num_units=float("nan")), "num_units is nan"),
    "trials_text": (lambda f: _edit_meta(f, num_trials="12"), "num_trials is 12"),
    "arrays": (lambda f: _edit_meta(f, arrays=[]), "damaged checksums"),
    "deep": (lambda f: _edit_meta(f, arrays={"counts": [[[]]]}), "damaged checksums"),
    "no_counts": (lambda f: (f / "counts.npy").unlink(), "counts.npy does not exist"),
    "counts_folder": (lambda f: ((f / "counts.npy").unlink(), (f / "counts.npy").mkdir()), "not a file"),
    "counts_empty": (lambda f: (f / "counts.npy").write_bytes(b""), "not a .npy array"),
    "counts_cut": (lambda f: os.truncate(f / "counts.npy", 400), "truncated or damaged"),
    "counts_long": (lambda f: _append(f / "counts.npy", b"x"), "truncated or damaged"),
    "counts_flipped": (lambda f: _flip(f / "counts.npy"), "counts does not match its checksum"),
    "rates_flipped": (lambda f: _flip(f / "true_rates.npy"), "true_rates does not match its checksum"),
    "header_huge": (
        lambda f: (f / "counts.npy").write_bytes(_npy(HUGE, bytes(504))),
        "6597069766656 bytes, but 504",
    ),
    "header_negative": (lambda f: (f / "counts.npy").write_bytes(_npy(NEGATIVE, bytes(504))), r"\[-84, -6\]"),
    "header_object": (lambda f: (f / "counts.npy").write_bytes(_npy(OBJECT, bytes(504))), "pickled objects"),
    "header_code": (lambda f: (f / "counts.npy").write_bytes(_npy(CODE, bytes(504))), "not a .npy array"),
    "fortran": (lambda f: (f / "counts.npy").write_bytes(_npy(FORTRAN, bytes(504))), "Fortran order"),
    "float_counts": (lambda f: (f / "counts.npy").write_bytes(_npy(FLOAT, bytes(504))), "holds float32"),
    "units_cut": (lambda f: os.truncate(f / "units.npz", 300), "cannot be read as .npz"),
    "units_flipped": (lambda f: _flip(f / "units.npz", 200), "units.npz"),
    "units_pickled": (lambda f: _pickled(f / "units.npz"), "pickled objects are never opened"),
    "units_missing": (lambda f: (f / "units.npz").unlink(), "units.npz does not exist"),
    "units_bomb": (lambda f: _bomb(f / "units.npz"), "expected at most"),
    "trials_other": (lambda f: np.savez(f / "trials.npz", split=np.zeros(12)), "only in meta.json"),
    "trials_no_npy": (lambda f: _zip(f / "trials.npz", "../x.txt"), "expected .npy"),
    "trials_up": (lambda f: _zip(f / "trials.npz", "../x.npy"), "'../x'"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named_never_trusted(tmp_path, case):
    damage, message = DAMAGE[case]
    folder = write_session(make(), tmp_path)
    damage(folder)
    with pytest.raises(InputError, match=message) as raised:
        open_session(folder)
    assert "\n" not in str(raised.value) and str(folder) in str(raised.value)


def test_an_archive_that_unpacks_beyond_its_limit_is_not_unpacked(tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, zeros=np.zeros(10**7, np.uint8))
    path = tmp_path / "small.npz"
    path.write_bytes(buffer.getvalue())
    assert path.stat().st_size < 20_000
    with pytest.raises(InputError, match="10000128 bytes, expected at most"):
        array_files.read_npz(path, max_bytes=10**6)
    assert array_files.read_npz(path)["zeros"].shape == (10**7,)


def test_large_counts_are_sampled_and_verified_in_full(tmp_path):
    counts = np.zeros((3, 1000, 400), np.uint8)  # 1.2 MB, beyond what "sampled" reads whole
    counts[:, :, 0] = 1
    session = from_counts(counts, bin_size_s=0.02, session_id="big")
    folder = write_session(session, tmp_path)
    _flip(folder / "counts.npy", 128 + 10_000)  # between two sampled blocks
    open_session(folder, "sampled")
    with pytest.raises(InputError, match="checksum"):
        open_session(folder, "full")
    _flip(folder / "counts.npy", 200)  # inside the first block
    with pytest.raises(InputError, match="checksum"):
        open_session(folder, "sampled")


def test_fingerprint_depends_on_content_alone(tmp_path):
    sessions = [make("b"), make("a")]
    for session in sessions:
        write_session(session, tmp_path / "root")
    fingerprint = write_dataset_index(tmp_path / "root")
    opened = open_dataset(tmp_path / "root", verify="full")
    assert fingerprint == opened.fingerprint == dataset_of(sessions).fingerprint
    assert fingerprint == dataset_of(opened.sessions[::-1]).fingerprint
    for dataset in (opened, dataset_of(sessions)):
        assert [session.session_id for session in dataset.sessions] == ["a", "b"]
    assert dataset_of(sessions[:1]).fingerprint != fingerprint
    (tmp_path / "root").rename(tmp_path / "moved")
    assert open_dataset(tmp_path / "moved").fingerprint == fingerprint


def _edit_index(root, **changes):
    index = json.loads((root / "dataset.json").read_text()) | changes
    (root / "dataset.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "dataset.json").unlink(), "has no dataset.json"),
        (lambda root: _edit_index(root, sessions=[{"session_id": "../a"}]), r"'\.\./a'"),
        (lambda root: _edit_index(root, sessions=[{"session_id": "/etc"}]), "'/etc'"),
        (lambda root: _edit_index(root, sessions="a"), "no list of sessions"),
        (lambda root: _edit_index(root, fingerprint="0"), "fingerprint does not match"),
        (lambda root: (root / "a").rename(root / "c"), "does not list c"),
        (
            lambda root: (root / "a").rename(root.parent / "c"),
            "dataset.json lists a, but .* no such folder; put it back, or run neurojax convert again",
        ),
        (lambda root: write_session(make("c"), root), "does not list c"),
        (lambda root: write_session(make("a"), root), "has changed since"),
    ],
)
def test_an_index_that_disagrees_with_the_folder_is_refused(tmp_path, damage, message):
    for name in "ab":
        write_session(make(name), tmp_path / "root")
    write_dataset_index(tmp_path / "root")
    damage(tmp_path / "root")
    with pytest.raises(InputError, match=message):
        open_dataset(tmp_path / "root")


def test_one_dataset_has_one_bin_size_and_distinct_names(tmp_path):
    with pytest.raises(InputError, match=r"0\.02 s \(a\), 0\.04 s \(b\)"):
        dataset_of([make("a"), make("b", bin_size_s=0.04)])
    with pytest.raises(InputError, match="'a' twice"):
        dataset_of([make("a"), make("a")])
    with pytest.raises(InputError, match="no session"):
        dataset_of([])
    for session in (make("a"), make("b", bin_size_s=0.04)):
        write_session(session, tmp_path)
    with pytest.raises(InputError, match="mixes bin sizes"):
        write_dataset_index(tmp_path)


def test_temporary_folders_are_not_sessions(tmp_path):
    write_session(make("a"), tmp_path)
    (tmp_path / "a").rename(tmp_path / ".b.xyz.tmp")
    write_session(make("a"), tmp_path)
    write_dataset_index(tmp_path)
    assert [session.session_id for session in open_dataset(tmp_path).sessions] == ["a"]
