"""Sorting folders of phy and SpikeInterface: the same spikes give the same session; damage gives a sentence."""

import json
import os

import numpy as np
import pytest

from neurojax.data.readers import phy
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError

RATE_HZ, UNITS, LENGTH_S = 30000.0, np.array([0, 3, 4, 7, 9]), 60.0
RNG = np.random.default_rng(0)
SAMPLES = np.sort(RNG.integers(0, int(LENGTH_S * RATE_HZ), 4000))
ROWS = RNG.integers(0, len(UNITS), 4000)
GROUPS = ("good", "mua", "noise", "good", "")
PARAMS = "dat_path = r'temp_wh.dat'\nn_channels_dat = 385\noffset = 0\nsample_rate = 30000.\nhp_filtered = False\n"
RECORD = [("sample_index", "<i8"), ("unit_index", "<i8"), ("segment_index", "<i8")]


def write_table(path, columns, separator="\t"):
    lines = [separator.join(columns)] + [separator.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")


def make_phy(folder):
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "spike_times.npy", SAMPLES[:, None].astype(np.uint64))  # a column, as Kilosort 2 writes it
    np.save(folder / "spike_clusters.npy", UNITS[ROWS].astype(np.int32))
    (folder / "params.py").write_text(PARAMS)
    write_table(folder / "cluster_KSLabel.tsv", {"cluster_id": UNITS, "KSLabel": ["good", "mua", "mua", "good", "mua"]})
    info = {"cluster_id": UNITS, "group": GROUPS, "depth": UNITS * 20.0, "ch": UNITS, "fr": UNITS, "note": ["a"] * 5}
    write_table(folder / "cluster_info.tsv", info)
    return folder


def make_numpy_folder(folder):
    folder.mkdir(parents=True, exist_ok=True)
    spikes = np.zeros(len(SAMPLES), RECORD)
    spikes["sample_index"], spikes["unit_index"] = SAMPLES, ROWS
    np.save(folder / "spikes.npy", spikes)
    info = {"sampling_frequency": RATE_HZ, "unit_ids": UNITS.tolist(), "num_segments": 1}
    (folder / "numpysorting_info.json").write_text(json.dumps(info))
    (folder / "properties").mkdir(exist_ok=True)
    np.save(folder / "properties" / "quality.npy", np.array(["good", "mua", "noise", "good", "mua"]))
    np.save(folder / "properties" / "odd.npy", np.array([{}] * 5, object), allow_pickle=True)
    return folder


def make_npz_folder(folder):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "sorting_cached.npz",
        unit_ids=np.array([f"#{unit}" for unit in UNITS]),
        num_segment=np.array([1]),
        sampling_frequency=np.array([RATE_HZ]),
        spike_indexes_seg0=SAMPLES,
        spike_labels_seg0=np.array([f"#{unit}" for unit in UNITS])[ROWS],
    )
    return folder


KINDS = {"phy": make_phy, "numpy": make_numpy_folder, "npz": make_npz_folder}


def read(folder, **options):
    fields = {name: options.pop(name) for name in ("bin_ms", "align", "window", "window_s", "split") if name in options}
    fields = fields or {"window_s": 2.0}
    return phy.read_session(str(folder), ReadSpec(**fields, options=tuple(sorted(options.items()))))


def histogram(unit_row, start_s, num_bins, bin_size_s=0.02):
    edges = start_s + np.arange(num_bins + 1) * bin_size_s
    return np.histogram(SAMPLES[unit_row == ROWS] / RATE_HZ, edges)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_a_histogram_of_the_samples(tmp_path, kind):
    made = read(KINDS[kind](tmp_path / "mouse1"))
    kept = [0, 1, 2, 3, 4] if kind == "npz" else [0, 1, 3, 4]  # the third is noise; the old format has no labels here
    assert made.session_id == "mouse1" and made.num_units == len(kept)
    assert made.unit_id.tolist() == [f"{'#' * (kind == 'npz')}{UNITS[row]}" for row in kept]
    counts, _ = made.gather_trials(np.array([0, 7]))
    for trial, ours in zip((0, 7), counts, strict=True):
        expected = np.stack([histogram(row, made.trial_start_s[trial], 100) for row in kept], 1)
        np.testing.assert_array_equal(ours, expected)


def test_the_curators_label_wins_over_the_sorters(tmp_path):
    folder = make_phy(tmp_path / "m")
    write_table(folder / "cluster_group.tsv", {"cluster_id": UNITS[:1], "group": ["noise"]})
    os.utime(folder / "cluster_group.tsv", (0, 0))  # phy wrote the info last
    made = read(folder)
    assert made.info["units_dropped"] == {"labelled noise": 1}
    np.testing.assert_array_equal(made.unit_metadata["quality"], [2, 1, 2, 1])  # the last one is the sorter's mua
    np.testing.assert_array_equal(made.unit_metadata["depth_um"], UNITS[[0, 1, 3, 4]] * 20.0)
    good = read(tmp_path / "m", groups="good")
    assert good.unit_id.tolist() == ["0", "7"]
    assert good.info["units_dropped"] == {"labelled mua": 2, "labelled noise": 1}
    with pytest.raises(InputError, match="'best'"):
        read(tmp_path / "m", groups="good+best")


def test_params_are_read_and_never_run(tmp_path):
    folder, trap = make_phy(tmp_path / "m"), tmp_path / "trap"
    (folder / "params.py").write_text(f"open({str(trap)!r}, 'w').close()\nsample_rate = 15000\n")
    slow = read(folder)
    assert not trap.exists() and slow.num_trials == 59  # twice as long
    (folder / "params.py").write_text("sample_rate = open('x')\n")
    with pytest.raises(InputError, match="sample_rate_hz=30000"):
        read(folder)
    (folder / "params.py").unlink()
    with pytest.raises(InputError, match="does not say its sample rate"):
        read(folder)
    assert read(folder, window_s=2.0, sample_rate_hz="30000").num_trials == 29


def test_trials_beside_the_spikes(tmp_path):
    folder = make_phy(tmp_path / "m")
    starts = np.arange(20) * 2.5 + 1
    columns = {
        "start_s": starts,
        "stop_s": starts + 1,
        "go_s": starts + 0.5,
        "side": ["L", "R"] * 10,
        "split": [0] * 20,
    }
    columns["go_s"][4] = np.nan
    write_table(folder / "trials.csv", columns, ",")
    made = phy.read_session(str(folder), ReadSpec())
    assert made.num_trials == 20 and set(made.trial_num_bins) == {50}
    np.testing.assert_array_equal(made.conditions["side"], ["L", "R"] * 10)
    counts, _ = made.gather_trials(np.array([3]))
    np.testing.assert_array_equal(counts[0, :, 1], histogram(1, starts[3], 50))
    cut = read(folder, align="go_s", window=(-0.2, 0.4))
    assert cut.num_trials == 19 and cut.info["trials_dropped"] == {"no event": 1}
    np.testing.assert_allclose(cut.trial_start_s[3], starts[3] + 0.3)
    with pytest.raises(InputError, match="stop_s"):
        write_table(folder / "trials.csv", {"start_s": starts}, ",")
        phy.read_session(str(folder), ReadSpec())
    with pytest.raises(InputError, match="expected the name of a"):
        read(folder, window_s=2.0, trials="../secret.csv")


def test_regions_come_from_the_table_or_an_option(tmp_path):
    folder = make_phy(tmp_path / "m")
    assert set(read(folder, window_s=2.0, region="M1").region) == {"M1"}
    info = {"cluster_id": UNITS, "region": ["CA1", "CA1", "DG", "", "DG"]}
    write_table(folder / "cluster_info.tsv", info)
    assert read(folder, window_s=2.0, region="M1").region.tolist() == ["CA1", "CA1", "DG", "M1", "DG"]


def test_folders_are_found_and_named(tmp_path):
    make_phy(tmp_path / "day1" / "kilosort4" / "sorter_output")
    make_numpy_folder(tmp_path / "day2 imec0" / "sorting")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [phy.session_name(source) for source in phy.find(str(tmp_path))] == ["day1", "day2_imec0"]
    with pytest.raises(InputError, match="no sorting folder"):
        (tmp_path / "empty").mkdir()
        phy.find(str(tmp_path / "empty"))


def test_the_digest_covers_what_is_read(tmp_path):
    folder = make_phy(tmp_path / "m")
    before = phy.source_sha256(str(folder))
    (folder / "temp_wh.dat").write_bytes(b"raw")
    assert phy.source_sha256(str(folder)) == before
    for name in ("spike_clusters.npy", "params.py", "cluster_info.tsv", "trials.csv"):
        with (folder / name).open("ab") as file:
            file.write(b" ")
        assert phy.source_sha256(str(folder)) != before
        before = phy.source_sha256(str(folder))


def test_units_without_spikes_and_odd_spikes(tmp_path):
    folder = make_numpy_folder(tmp_path / "m")
    info = json.loads((folder / "numpysorting_info.json").read_text())
    info["unit_ids"] += [11]
    (folder / "numpysorting_info.json").write_text(json.dumps(info))
    made = read(folder)
    assert made.unit_id.tolist()[-1] == "11" and made.counts[:, -1].sum() == 0
    folder = make_phy(tmp_path / "n")
    np.save(folder / "spike_clusters.npy", np.where(np.arange(4000) < 10, -1, UNITS[ROWS]))
    assert read(folder).info["spikes_dropped"] == {"cluster id below 0": 10}


def overwrite(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def array(name, make, **kwargs):
    return lambda folder: np.save(folder / name, make(), **kwargs)


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-50])


def claim(name, shape, descr="<i8"):
    def write(folder):
        with (folder / name).open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
            file.write(b"\0" * 32)

    return write


PHY_DAMAGE = [
    cut("spike_times.npy"),
    cut("spike_clusters.npy"),
    claim("spike_times.npy", (2**61,)),
    claim("spike_clusters.npy", (2**40, 2**40)),
    overwrite("spike_times.npy", b""),
    overwrite("spike_clusters.npy", b"PK\3\4 no array"),
    array("spike_times.npy", lambda: np.array([{}], object), allow_pickle=True),
    array("spike_times.npy", lambda: SAMPLES[:-1]),
    array("spike_times.npy", lambda: SAMPLES + 0.25),
    array("spike_times.npy", lambda: SAMPLES * np.nan),
    array("spike_times.npy", lambda: SAMPLES.astype(str)),
    array("spike_times.npy", lambda: SAMPLES[:0]),
    array("spike_times.npy", lambda: SAMPLES.astype(np.int64) * 10**13),
    array("spike_clusters.npy", lambda: ROWS + 0.5),
    array("spike_clusters.npy", lambda: ROWS.astype(bool)),
    array("spike_clusters.npy", lambda: ROWS.reshape(2, -1)),
    array("spike_clusters.npy", lambda: np.full(4000, -1)),
    lambda folder: (folder / "spike_clusters.npy").unlink(),
    overwrite("params.py", b"sample_rate = "),
    overwrite("params.py", b"sample_rate = -1"),
    overwrite("params.py", b"sample_rate = 'fast'"),
    overwrite("params.py", b"sample_rate = 1e400"),
    overwrite("params.py", b"sample_rate = 1" + b"0" * 400),
    overwrite("params.py", b"\xff\xfe\x00"),
    overwrite("params.py", b"(" * 500 + b"\nsample_rate = 30000."),
    overwrite("cluster_info.tsv", b"cluster_id\tgroup\n0\tgood\textra\n"),
    overwrite("cluster_info.tsv", b"id_of\tgroup\n0\tgood\n"),
    overwrite("cluster_info.tsv", b"cluster_id\tgroup\nzero\tgood\n"),
    overwrite("cluster_info.tsv", b"cluster_id\tgroup\ninf\tgood\n"),
    overwrite("cluster_info.tsv", b"cluster_id\tcluster_id\n0\t0\n"),
    overwrite("cluster_info.tsv", b""),
    overwrite("cluster_info.tsv", bytes(range(256))),
    overwrite("cluster_info.tsv", b"cluster_id\tgroup\n0\tnoise\n3\tnoise\n4\tnoise\n7\tnoise\n9\tNoise\n"),
]
NUMPY_DAMAGE = [
    cut("spikes.npy"),
    claim("spikes.npy", (2**60,), RECORD),
    array("spikes.npy", lambda: SAMPLES),
    array("spikes.npy", lambda: np.zeros(5, [("sample_index", "<f8"), *RECORD[1:]])),
    array("spikes.npy", lambda: np.zeros(5, [*RECORD, ("what", "O")]), allow_pickle=True),
    array("spikes.npy", lambda: np.zeros((2, 2), RECORD)),
    array("spikes.npy", lambda: np.zeros(0, RECORD)),
    array("spikes.npy", lambda: np.array([(5, 99, 0)], RECORD)),
    lambda folder: (folder / "spikes.npy").unlink(),
    overwrite("numpysorting_info.json", b"{"),
    overwrite("numpysorting_info.json", b"[]"),
    overwrite("numpysorting_info.json", b"{}"),
    overwrite("numpysorting_info.json", b'{"unit_ids": [1], "num_segments": 2, "sampling_frequency": "x"}'),
    overwrite("numpysorting_info.json", b'{"unit_ids": 5, "num_segments": 1, "sampling_frequency": 30000}'),
    overwrite("numpysorting_info.json", b'{"unit_ids": [1], "num_segments": "many"}'),
    overwrite("numpysorting_info.json", b"[" * 100000),
]


@pytest.mark.parametrize("number", range(len(PHY_DAMAGE)))
def test_damaged_phy_folders_are_refused(tmp_path, number):
    folder = make_phy(tmp_path / "m")
    PHY_DAMAGE[number](folder)
    with pytest.raises(InputError) as caught:
        read(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("number", range(len(NUMPY_DAMAGE)))
def test_damaged_spikeinterface_folders_are_refused(tmp_path, number):
    folder = make_numpy_folder(tmp_path / "m")
    NUMPY_DAMAGE[number](folder)
    with pytest.raises(InputError) as caught:
        read(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "change",
    [
        {"spike_labels_seg0": np.array(["#99"] * 4000)},
        {"spike_indexes_seg0": SAMPLES[:-1]},
        {"spike_indexes_seg0": SAMPLES.astype(str)},
        {"sampling_frequency": np.array([])},
        {"sampling_frequency": np.array([np.nan])},
        {"num_segment": np.array([])},
        {"num_segment": np.array([2.5])},
        {"unit_ids": np.array([["a"]])},
        {"unit_ids": np.array([], str)},
        {"unit_ids": np.array([{}], object)},
    ],
)
def test_damaged_older_folders_are_refused(tmp_path, change):
    folder = make_npz_folder(tmp_path / "m")
    with np.load(folder / "sorting_cached.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "sorting_cached.npz", **arrays | change)
    with pytest.raises(InputError):
        read(folder)


def test_segments(tmp_path):
    folder = make_numpy_folder(tmp_path / "m")
    for segment in ("1", "-1", "x", "9" * 30):
        with pytest.raises(InputError, match="segment"):
            read(folder, window_s=2.0, segment=segment)


def test_clusters_far_apart_are_units_like_others():
    from neurojax.data.readers.sorted_spikes import sorted_spikes

    names = np.array([3, 7, 2**50])
    near, far = (sorted_spikes(SAMPLES / RATE_HZ, ids[ROWS % 3], "here") for ids in (np.array([3, 7, 9]), names))
    assert near.cluster_id.tolist() == [3, 7, 9] and far.cluster_id.tolist() == names.tolist()
    np.testing.assert_array_equal(near.rows, ROWS % 3)
    np.testing.assert_array_equal(far.rows, ROWS % 3)
