"""Whatever a file or an argument holds, a parser accepts it or names it in one line: no other exception leaves.

The examples are the same in every run. `NEUROJAX_FUZZ_EXAMPLES=5000 pytest -q tests/fuzz_test.py` looks further.
"""

import copy
import hashlib
import json
import os
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.commands import config as config_command
from neurojax.commands import doctor
from neurojax.commands.compare import compare
from neurojax.data.observed import ObservedIntervals
from neurojax.data.real_values import from_values
from neurojax.data.session import TEST, SpikeTimes
from neurojax.data.store import roster
from neurojax.data.store.checksums import combined_sha256
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals import protocol_record, protocols
from neurojax.runs import checkpoint, manifest, restore, workdir
from neurojax.train import run_folder
from neurojax.train import settings as config_settings

EXAMPLES = int(os.environ.get("NEUROJAX_FUZZ_EXAMPLES", 60))
fuzzed = settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
CHECKOUT = Path(__file__).parents[1]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["../x", "/etc/passwd", "float32", "<f4", "nan", "\x00", "", "a" * 300, "text", "mtm", "1e309"]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def places_of(tree, path=()):
    """Every path in a tree of JSON."""
    yield path
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield from places_of(value, (*path, key))


@st.composite
def changed(draw, tree):
    """The tree with one to three entries replaced, removed or added."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from([path for path in places_of(tree) if path] or [("new",)]))
        node = tree
        for key in parents:
            node = node[key]
        action = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if action == "remove":
            del node[last]
        elif action == "add" and isinstance(node, dict):
            node[draw(st.text(max_size=5))] = draw(values)
        else:
            node[last] = draw(values)
    return tree


@st.composite
def damaged(draw, raw: bytes):
    """The bytes flipped, cut, or with something put in between."""
    at = draw(st.integers(0, max(len(raw) - 1, 0)))
    kind = draw(st.sampled_from(["flip", "cut", "insert", "all"]))
    if kind == "flip":
        return raw[:at] + bytes([raw[at] ^ 1 << draw(st.integers(0, 7))]) + raw[at + 1 :]
    extra = draw(st.binary(max_size=40))
    return raw[:at] if kind == "cut" else extra if kind == "all" else raw[:at] + extra + raw[at:]


def accepted_or_named(action) -> None:
    """Runs `action`; an InputError must be one line."""
    try:
        action()
    except InputError as error:
        assert str(error).strip()


def as_json(content) -> bytes:
    return json.dumps(content).encode()  # NaN and Infinity included, as a careless writer would


@pytest.fixture(scope="module")
def dataset_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        counts = rng.integers(0, 4, (6, 5, 3)).astype(np.uint8)
        session = from_counts(
            counts, bin_size_s=0.02, session_id=name, region=["CA1", "CA1", "LP"], conditions={"side": np.arange(6)}
        )
        write_session(session, root)
    write_dataset_index(root)
    return root


@pytest.fixture(scope="module")
def roots(dataset_root, tmp_path_factory) -> dict[str, Path]:
    """Datasets of both kinds of session folder: counts with everything that may be kept, and real values."""
    kept, real = tmp_path_factory.mktemp("kept"), tmp_path_factory.mktemp("real")
    index = np.arange(3, dtype=np.int32)
    for session in open_dataset(dataset_root).sessions:
        spikes = SpikeTimes(np.array([0.1, 0.2, 0.5]), index)
        validity = ObservedIntervals(index, np.zeros(3, np.int64), np.full(3, 30))
        write_session(session.with_fields(spikes=spikes, validity=validity), kept)
        windows = {"trial_start_bin": np.arange(0, 25, 5), "trial_num_bins": 10, "split": 0}
        values = np.asarray(session.counts, float) - 1
        write_session(
            from_values(values[:30], sampling_hz=50, unit="uV", session_id=session.session_id, **windows), real
        )
    for root in (kept, real):
        write_dataset_index(root)
    return {"kept": kept, "real": real}


@pytest.fixture(params=["kept", "real"])
def session_copy(request, roots, tmp_path):
    """restore() -> a fresh copy of the dataset."""

    def restore() -> Path:
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        return shutil.copytree(roots[request.param], tmp_path / "copy")

    return restore


@fuzzed
@given(data=st.data())
def test_meta_json(session_copy, data):
    root = session_copy()
    path = root / "a" / "meta.json"
    meta = data.draw(changed(json.loads(path.read_text())))
    if data.draw(st.booleans()):  # a forger makes the digest fit
        try:
            named = meta["session_id"], meta["bin_size_s"], meta["arrays"], meta.get("unit")
            meta["content_sha256"] = combined_sha256(*named)
        except (KeyError, TypeError, ValueError, OverflowError):
            pass
    path.write_bytes(as_json(meta))
    accepted_or_named(lambda: open_dataset(root, verify=data.draw(st.sampled_from(["none", "full"]))))
    accepted_or_named(lambda: write_dataset_index(root))


@fuzzed
@given(data=st.data())
def test_dataset_json(session_copy, data):
    root = session_copy()
    path = root / "dataset.json"
    path.write_bytes(as_json(data.draw(changed(json.loads(path.read_text())))))
    accepted_or_named(lambda: open_dataset(root))


@fuzzed
@given(data=st.data())
def test_bytes_of_a_session_folder(session_copy, data):
    root = session_copy()
    names = ["dataset.json", *(f"a/{path.name}" for path in sorted((root / "a").iterdir()))]
    path = root / data.draw(st.sampled_from(names))
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    accepted_or_named(lambda: open_dataset(root, verify=data.draw(st.sampled_from(["none", "sampled", "full"]))))


def scores(value):
    block = {"bps_pooled": value, "bps_pooled_se": 0.01, "bps_unit_mean": value, "num_units": 3}
    return {"co_smoothing": block, "forward": dict(block)}


EVALUATION = {
    "schema": 1, "protocol": "mtm", "protocol_hash": "p", "seed": 0, "step": 5, "dataset_fingerprint": "d",
    "config_hash": "c", "mean": scores(0.1),
    "sessions": {
        name: {
            "num_units": 5, "num_test_trials": 3, "tasks": scores(0.1), "baselines": {"psth": scores(0.05)},
            "oracle": scores(0.3),
        }
        for name in ("a", "b")
    },
}  # fmt: skip


@fuzzed
@given(data=st.data())
def test_evaluation_json(tmp_path, data):
    for name, content in (("one.json", EVALUATION), ("two.json", data.draw(changed(EVALUATION)))):
        (tmp_path / name).write_bytes(as_json(content))
    order = data.draw(st.permutations(["one.json", "two.json"]))
    accepted_or_named(lambda: compare([tmp_path / name for name in order]))


@fuzzed
@given(data=st.data())
def test_sessions_json(dataset_root, tmp_path, data):
    path = tmp_path / roster.ROSTER_NAME
    roster.write(path, roster.entries_of(open_dataset(dataset_root).sessions))
    honest = path.read_bytes()
    path.write_bytes(data.draw(st.one_of(damaged(honest), changed(json.loads(honest)).map(as_json))))

    def read():
        for entry in roster.read(path):
            assert len(entry["region"]) == entry["num_units"] and "/" not in entry["session_id"]

    accepted_or_named(read)


@fuzzed
@given(data=st.data(), name=st.sampled_from(protocol_record.BUILT_IN))
def test_protocol_files(dataset_root, tmp_path, data, name):
    honest = protocol_record.as_json(protocol_record.built_in(name))
    path = tmp_path / "own.json"
    path.write_bytes(data.draw(st.one_of(damaged(as_json(honest)), changed(honest).map(as_json))))

    def read_and_ask():
        protocol = protocols.get_protocol(str(path))
        for session in open_dataset(dataset_root).sessions:
            if protocols.reason_against(session, protocol) is None:
                for task in protocol.activity_tasks:
                    protocols.scored_entries(session, task, session.trials_of(TEST), protocol)

    accepted_or_named(read_and_ask)


@fuzzed
@given(data=st.data())
def test_config_of_a_run(dataset_root, tmp_path, data):
    config = config_command.load([f"--config={CHECKOUT}/configs/mtm.py:size=tiny"])
    dataset = open_dataset(dataset_root)
    path = tmp_path / workdir.CONFIG_NAME
    path.unlink(missing_ok=True)
    workdir.write_config(tmp_path, config, dataset.fingerprint, {})
    honest = path.read_bytes()
    path.write_bytes(data.draw(st.one_of(damaged(honest), changed(json.loads(honest)).map(as_json))))
    accepted_or_named(lambda: config_settings.recipe(run_folder.read_run(tmp_path)))
    accepted_or_named(lambda: workdir.require_same_run(tmp_path, config, dataset.fingerprint, {}, False))
    accepted_or_named(lambda: run_folder.read_run(tmp_path, workdir.OF_WEIGHTS))
    accepted_or_named(lambda: doctor.doctor(tmp_path, log=lambda line: None))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("saved")
    with checkpoint.Checkpointer(directory) as saver:
        saver.save(1, {"params": {"kernel": jnp.arange(6.0)}, "step": jnp.asarray(1)}, {"seed": 0})
    return directory


@fuzzed
@given(data=st.data())
def test_manifest(saved, data):
    path = saved / "1" / manifest.MANIFEST_NAME
    honest = path.read_bytes()
    try:
        if data.draw(st.booleans()):
            path.write_bytes(data.draw(damaged(honest)))
        else:
            content = data.draw(changed(json.loads(honest)))
            content["manifest_sha256"] = "0" * 64
            blank = as_json(content)
            path.write_bytes(blank.replace(b"0" * 64, hashlib.sha256(blank).hexdigest().encode()))
        accepted_or_named(lambda: manifest.verify_step(saved / "1"))
        accepted_or_named(lambda: restore.load_arrays(saved, log=lambda line: None))
    finally:
        path.write_bytes(honest)


KEYS = [
    "seed", "data.root", "data.trials_per_batch", "data.sessions_per_batch", "data.synthetic.num_trials", "model.width",
    "model.num_heads", "model.positions", "model.dropout", "model.name", "objective.schemes",
    "objective.neuron_ratio", "objective.reduction", "objective.size_power", "objective.name", "head.name",
    "data.source", "optimizer.learning_rate", "optimizer.b2", "sharding.rules",
    "sharding.data", "train.num_steps", "train.save_every_steps", "eval.protocol", "model", "data.new", "",
]  # fmt: skip
texts = st.one_of(st.text(max_size=12), scalars.map(str), values.map(lambda value: json.dumps(value)))


@fuzzed
@given(
    data=st.data(),
    argument=st.one_of(st.text(max_size=12), st.sampled_from(["size=tiny", "size=small,preset=faithful"])),
)
def test_config_arguments(dataset_root, data, argument):
    words = [f"--config={CHECKOUT}/configs/mtm.py:{argument}"]
    for _ in range(data.draw(st.integers(0, 3))):
        words.append(f"--config.{data.draw(st.sampled_from(KEYS))}={data.draw(texts)}")

    def parse():
        dataset = open_dataset(dataset_root)
        config = config_command.load(words)
        config_settings.recipe(config)
        config_settings.open_source(config, dataset.sessions)
        config_settings.loop_config(config)

    accepted_or_named(parse)


@fuzzed
@given(words=st.lists(st.one_of(st.text(max_size=20), st.text(max_size=10).map("--config={}".format)), max_size=3))
def test_config_declarations(words):
    accepted_or_named(lambda: config_command.load(words))
