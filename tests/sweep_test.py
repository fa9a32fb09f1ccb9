"""Every entry of the small files a run or a user hands over, replaced by everything odd in turn: accepted or named.

tests/fuzz_test.py draws; here nothing is left to chance. Of the entries of a list the first stands for all.
"""

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from neurojax.commands import config as config_command
from neurojax.commands import doctor
from neurojax.data.store import roster
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals import protocol_record, protocols
from neurojax.runs import workdir
from neurojax.train import run_folder

ODD = [None, True, -1, 10**30, 1.5, float("nan"), "", "odd", "../x\0", [], [1], [None], {}, {"odd": 1}]
CONFIG = Path(__file__).parents[1] / "configs" / "mtm.py"


def places_of(tree, path=()) -> Iterator[tuple]:
    """Paths of a tree of JSON, those inside a list for its first entry alone."""
    if path:
        yield path
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree[:1]) if isinstance(tree, list) else ()
    for key, value in entries:
        yield from places_of(value, (*path, key))


def swept(tree) -> Iterator[tuple[str, dict]]:
    """(what was done, the tree with one entry removed or replaced)."""
    for path in places_of(tree):
        for odd in ["removed", *ODD]:
            changed = copy.deepcopy(tree)
            node = changed
            for key in path[:-1]:
                node = node[key]
            if odd == "removed":
                del node[path[-1]]
            else:
                node[path[-1]] = odd
            yield f"{'.'.join(map(str, path))} = {odd!r}", changed


def sweep(path: Path, tree: dict, read: Callable[[], None], others: dict | None = None) -> tuple[int, int]:
    """Numbers of trees, with `others` beside them, that were refused in one line, and accepted."""
    refused = accepted = 0
    for what, changed in swept(tree):
        path.write_text(json.dumps(changed | (others or {})))
        try:
            read()
            accepted += 1
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 2000, what
            refused += 1
        except Exception as error:
            error.add_note(what)
            raise
    return refused, accepted


@pytest.fixture(scope="module")
def session():
    counts = np.random.default_rng(0).integers(0, 4, (6, 5, 3)).astype(np.uint8)
    return from_counts(
        counts, bin_size_s=0.02, session_id="a", region=["CA1", "CA1", "LP"], conditions={"side": np.arange(6)}
    )


def test_sessions_json(session, tmp_path):
    path = tmp_path / roster.ROSTER_NAME
    roster.write(path, roster.entries_of([session]))

    def read():
        for entry in roster.read(path):
            assert len(entry["region"]) == entry["num_units"] and all(isinstance(name, str) for name in entry["region"])
            assert sum(entry["num_trials"].values()) >= 0 and "/" not in entry["session_id"]
            assert all(isinstance(entry[f"{name}_sha256"], str) for name in ("units", "content", "counts"))

    refused, accepted = sweep(path, json.loads(path.read_text()), read)
    assert refused > 100 and accepted > 10


@pytest.mark.parametrize("name", protocol_record.BUILT_IN)
def test_protocol_files(session, tmp_path, name):
    path = tmp_path / "own.json"

    def read():
        protocol = protocols.get_protocol(str(path))
        assert isinstance(protocols.reason_against(session, protocol), str | None)

    refused, _ = sweep(path, protocol_record.as_json(protocol_record.built_in(name)), read)
    assert refused > 100


@pytest.mark.parametrize("block", ["run", "data", "train", "sharding", "eval"])
def test_config_of_a_run(tmp_path, block):
    config = config_command.load([f"--config={CONFIG}:size=tiny"])
    workdir.write_config(tmp_path, config, "d0", {"a": "0"}, ["a note"])
    path = tmp_path / workdir.CONFIG_NAME
    others = json.loads(path.read_text())
    changing = {block: others.pop(block)}

    def read():
        workdir.read_run(tmp_path)
        found, actions = [], (
            lambda: run_folder.read_run(tmp_path),
            lambda: workdir.require_same_run(tmp_path, config, "d0", {"a": "0"}),
            lambda: doctor.doctor(tmp_path, log=found.append),
        )  # fmt: skip
        for action in actions:
            with contextlib.suppress(InputError):
                action()
        assert found, "the doctor says something of every file"

    refused, accepted = sweep(path, changing, read, others)
    assert refused + accepted > 40
