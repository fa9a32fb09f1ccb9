"""What is exported is what was trained, to the bit; what comes from elsewhere is not trusted; people are protected."""

import contextlib
import dataclasses
import json
import shutil
import struct

import numpy as np
import pytest

import neurojax as nj
from neurojax import main
from neurojax.api import membership, model_card
from neurojax.data.store import roster, trained_trials
from neurojax.data.store.dataset import open_dataset
from neurojax.facts import Facts
from neurojax.files import read_json, sha256_file, write_json
from neurojax.finetune import release
from neurojax.train import settings, state

pytest.importorskip("safetensors")


def export(workdir, out, *more):
    return main.main(["export", f"--workdir={workdir}", f"--out={out}", *more])


@pytest.fixture(scope="module")
def exported(area, tmp_path_factory):
    out = tmp_path_factory.mktemp("release") / "model"
    assert export(area / "run", out, "--licence=CC-BY-4.0") == 0
    return out


@pytest.fixture(scope="module")
def session(area):
    return open_dataset(area / "known").sessions[1]


@pytest.fixture
def forged(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "forged")


def header_and_body(path):
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def with_header(path, header, body):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def refused(folder, words):
    with pytest.raises(nj.InputError, match=words) as caught:
        nj.load(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_the_round_trip_is_equal_to_the_bit(area, exported, session):
    assert sorted(path.name for path in exported.iterdir()) == sorted(release.FILES)
    of_run, of_export = nj.load(area / "run"), nj.load(exported)
    kept = {name for name in of_run.weights.arrays if name.startswith(("params/", "tables/"))}
    assert set(of_export.weights.arrays) == kept
    assert all(of_export.weights.arrays[n].tobytes() == of_run.weights.arrays[n].tobytes() for n in kept)
    assert of_export.weights.trained == of_run.weights.trained and len(of_run.weights.trained.digests) > 20
    states, rates_hz = of_export.embed(session), of_export.rates(session, num_groups=2)
    assert states.tobytes() == of_run.embed(session).tobytes()
    assert rates_hz.tobytes() == of_run.rates(session, num_groups=2).tobytes()
    assert states.shape == (len(session.counts), of_export.num_dims)
    assert rates_hz.shape == session.counts.shape
    assert states.dtype == rates_hz.dtype == np.float32


def test_rates_are_in_hz_and_blind_to_the_units_own_spikes(exported, session):
    model = nj.load(exported)
    rates_hz = model.rates(session, num_groups=2)
    in_trials = np.isfinite(rates_hz[:, 0])
    measured_hz = session.counts[in_trials].mean() / session.bin_size_s
    assert 0.5 * measured_hz < rates_hz[in_trials].mean() < 2 * measured_hz
    counts = np.array(session.counts)
    counts[:, 3] = 9 - counts[:, 3].clip(max=9)
    changed = model.rates(dataclasses.replace(session, counts=counts), num_groups=2)
    assert np.array_equal(changed[:, 3], rates_hz[:, 3], equal_nan=True)
    assert not np.array_equal(changed, rates_hz, equal_nan=True)


def test_sessions_the_model_does_not_know_are_refused(area, exported):
    with pytest.raises(nj.InputError, match="is not among the 2"):
        nj.load(exported).embed(open_dataset(area / "new").sessions[0])


@pytest.mark.parametrize("kind", ["dtype", "shape", "traversal", "huge", "gap", "no header", "length", "cut", "bits"])
def test_forged_weights_are_refused(forged, kind):
    path = forged / release.WEIGHTS_NAME
    header, body = header_and_body(path)
    name = next(name for name in header if name.endswith("read_in"))
    words = "no sound safetensors"
    if kind == "dtype":
        header[name]["dtype"] = "I32"
    elif kind == "shape":
        header[name]["shape"], words = header[name]["shape"][::-1], "its config wants"
    elif kind == "traversal":
        header["params/../../../etc/passwd"], words = header.pop(name), "its config wants"
    elif kind == "huge":
        header[name]["shape"] = [1 << 40, 1 << 40]
    elif kind == "gap":
        header.pop(name)
    with_header(path, header, body)
    raw = path.read_bytes()
    if kind == "no header":
        path.write_bytes(raw[:5])
    elif kind == "length":
        path.write_bytes(struct.pack("<Q", 1 << 62) + raw[8:])
    elif kind == "cut":
        path.write_bytes(raw[:-4])
    elif kind == "bits":
        path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        words = "sha256"
    refused(forged, words)


def test_weights_that_are_not_finite_are_refused(forged):
    path = forged / release.WEIGHTS_NAME
    header, body = header_and_body(path)
    with_header(path, header, np.float32(np.nan).tobytes() + body[4:])
    facts = read_json(forged / release.CONFIG_NAME)
    write_json(forged / release.CONFIG_NAME, facts | {"weights_sha256": sha256_file(path)})
    refused(forged, "not finite")


@pytest.mark.parametrize(
    "block, name, value, words",
    [
        ("model", "width", 1 << 40, "no entry of a model"),
        ("model", "width", 1 << 19, "its config wants"),
        ("model", "width", "8", "model.width='8'"),
        ("model", "num_layers", 1 << 19, "above 1,024"),
        ("model", "num_layers", True, "model.num_layers=True"),
        ("model", "surprise", 1, "model.surprise is not known"),
        ("model", "dropout", float("nan"), "no entry"),
        ("model", "num_heads", 0, "num_heads=0"),
        ("objective", "schemes", [["neuron"]], "objective.schemes"),
        ("objective", "schemes", "surprise", "objective.schemes"),
        ("data", "bucket_units", 1 << 30, "bucket_units"),
        ("data", "bucket_units", 0, "bucket_units"),
    ],
)
def test_forged_configs_are_refused(forged, block, name, value, words):
    facts = read_json(forged / release.CONFIG_NAME)
    facts["config"][block][name] = value
    (forged / release.CONFIG_NAME).write_text(json.dumps(facts))
    refused(forged, words)


@pytest.mark.parametrize(
    "change", [{"schema": 2}, {"num_bins": 1 << 40}, {"num_bins": 0}, {"config": []}, {"bin_size_s": 0}]
)
def test_forged_facts_are_refused(forged, change):
    facts = read_json(forged / release.CONFIG_NAME) | change
    (forged / release.CONFIG_NAME).write_text(json.dumps(facts))
    refused(forged, ".")


@pytest.mark.parametrize("change", [{"session_id": "../../secret"}, {"num_units": 2**31 - 1}, {"num_units": -1}])
def test_forged_sessions_are_refused(forged, change):
    content = read_json(forged / roster.ROSTER_NAME)
    content["sessions"][0] |= change
    write_json(forged / roster.ROSTER_NAME, content)
    refused(forged, ".")


def test_sessions_in_another_order_are_refused_and_so_is_any_other_change(forged):
    content, facts = read_json(forged / roster.ROSTER_NAME), read_json(forged / release.CONFIG_NAME)
    write_json(forged / roster.ROSTER_NAME, content | {"sessions": content["sessions"][::-1]})
    refused(forged, "rows of synthetic-1 start at")
    content["sessions"][0]["licence"] = "MIT"
    write_json(forged / roster.ROSTER_NAME, content)
    refused(forged, "differs from what was exported")
    del facts["sessions_sha256"]  # as an older export
    write_json(forged / release.CONFIG_NAME, facts)
    assert nj.load(forged).weights.entries == content["sessions"]


@pytest.mark.parametrize("name", [n for n in release.FILES if n != release.CARD_NAME])
def test_missing_and_cut_files_are_refused(forged, name):
    raw = (forged / name).read_bytes()
    (forged / name).write_bytes(raw[: len(raw) // 2])
    refused(forged, ".")
    (forged / name).unlink()
    refused(forged, ".")


def test_digests_of_trained_trials_that_were_changed_are_refused(forged):
    path = forged / trained_trials.NAME
    trained = trained_trials.read(forged)
    fewer = frozenset(sorted(trained.digests)[1:])
    trained_trials.write(forged, (), trained._replace(digests=fewer))
    refused(forged, "trained_trials.json is missing or differs")
    path.write_bytes(b"")
    refused(forged, "trained_trials.json is missing or differs")


def test_an_export_without_digests_loads_and_does_not_know(forged):
    facts = read_json(forged / release.CONFIG_NAME)
    del facts["trained_trials_sha256"]
    write_json(forged / release.CONFIG_NAME, facts)
    refused(forged, "differs from what was exported")  # a list that the export did not make
    (forged / trained_trials.NAME).unlink()
    assert nj.load(forged).weights.trained is None and release.read_trained(forged) is None


def test_the_card_tells_data_regions_licences_and_scores(area, exported, session):
    card = (exported / release.CARD_NAME).read_text()
    for words in ("CC-BY-4.0", "CA1", "Not scored", "## Misuse", "## Known failures", "## Intended use"):
        assert words in card
    assert all(session.session_id in card for session in open_dataset(area / "known").sessions)
    membership = read_json(exported / release.CONFIG_NAME)["membership"]
    assert f"AUC {membership['auc']:.3f}" in card and 0.2 < membership["auc"] < 0.8
    assert set(membership["sessions"]) == {session.session_id for session in open_dataset(area / "known").sessions}
    assert str(area) not in "".join((exported / name).read_text() for name in release.FILES[1:])
    block = {"bps_pooled": 0.25, "bps_pooled_ci95": [0.125, 0.375]}
    scored = {"protocol": "mtm", "protocol_hash": "ab", "step": 4, "sessions": {"one": {"tasks": {"forward": block}}}}
    lines = model_card.write(nj.load(exported).weights, scored, None)
    assert "| one | forward | bits/spike, pooled | 0.250 | 0.125 to 0.375 |" in lines
    recorded = {"kind": "arrays", "file": "a[1].npz", "sha256": "ab" * 32}
    entries = roster.entries_of([dataclasses.replace(session, info={**session.info, "source": recorded})])
    lines += model_card.write(nj.load(exported).weights._replace(entries=entries), None, None)
    assert "| kind arrays, file a\\[1\\].npz |" in lines and "ab" * 32 not in lines
    assert "the scores are of others" in lines and "Licence of the weights: not stated" in lines


@pytest.mark.parametrize("species", ["Homo sapiens", "human", "http://purl.obolibrary.org/obo/NCBITaxon_9606"])
@pytest.mark.parametrize("licence", [None, " ", "unknown"])
def test_human_data_without_a_licence_are_refused(exported, species, licence):
    entries = [dict(entry) for entry in roster.read(exported / roster.ROSTER_NAME)]
    entries[1] |= {"species": species, "licence": licence}
    with pytest.raises(nj.InputError, match="of a human and states no licence"):
        model_card.require_licences(entries)
    entries[1]["licence"] = "CC-BY-4.0"
    model_card.require_licences(entries)


def test_the_command_refuses_a_human_without_a_licence_and_writes_nothing(area, tmp_path, capsys):
    run = shutil.copytree(area / "run", tmp_path / "run")
    content = read_json(run / roster.ROSTER_NAME)
    content["sessions"][0] |= {"species": "Homo sapiens", "licence": None}
    write_json(run / roster.ROSTER_NAME, content)
    assert export(run, tmp_path / "out", "--licence=MIT") == 2
    assert "states no licence" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_an_export_replaces_an_export_and_nothing_else(area, exported, tmp_path, capsys, monkeypatch):
    measured = []
    monkeypatch.setattr(membership, "measure", lambda *given: measured.append(given) or {"auc": None, "reason": "no"})
    out = shutil.copytree(exported, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(release, "write_json", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export(area / "run", out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert export(area / "run", out) == 0
    assert "not stated; ask" in (out / release.CARD_NAME).read_text() and "not measured: no" in capsys.readouterr().out
    assert len(measured) == 2
    (out / "notes.txt").write_text("mine")
    assert export(area / "run", out) == 2
    assert "holds other files" in capsys.readouterr().err and (out / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("config", [{"model_type": "bert"}, {"format": "pt"}, None])
def test_a_model_of_another_kind_is_not_replaced(area, tmp_path, config, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / release.WEIGHTS_NAME).write_bytes(b"theirs")
    if config is not None:
        write_json(out / release.CONFIG_NAME, config)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert export(area / "run", out) == 2
    assert "no export of neurojax" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_link_is_followed_and_one_to_nothing_is_refused(area, exported, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(membership, "measure", lambda *given: {"auc": None, "reason": "no"})
    (tmp_path / "there").mkdir()
    target, link = shutil.copytree(exported, tmp_path / "there" / "target"), tmp_path / "link"
    link.symlink_to(target)
    assert export(area / "run", link) == 0
    assert link.is_symlink() and "not stated; ask" in (target / release.CARD_NAME).read_text()
    shutil.rmtree(target)
    assert export(area / "run", link) == 2
    assert "is a link to nothing" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link", "there"]


@pytest.mark.parametrize("num_bins", [40_000, 2**20])
def test_a_config_that_says_of_long_trials_takes_no_memory_for_their_square(forged, num_bins):
    """Attention over 40,000 bins is 1.6 GB for a byte a pair; of 2**20 bins no machine holds it."""
    facts = json.loads((forged / "config.json").read_text())
    facts["num_bins"] = num_bins
    facts["config"]["model"]["positions"] = "rotary"
    shapes = state.abstract_trained(settings.model_of(facts["config"]), Facts(num_bins, 0.02, (3,), np.ones(3)), 1)
    assert shapes["tables"]["read_in"].shape[0] >= 3
    (forged / "config.json").write_text(json.dumps(facts))
    with contextlib.suppress(nj.InputError):  # where its weights have rows for positions
        nj.load(forged)
