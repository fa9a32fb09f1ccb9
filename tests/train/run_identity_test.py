"""Which entries of a config decide what is learned: every leaf of every config is set in turn."""

import json
from pathlib import Path

import pytest

from neurojax.commands import config as declarations
from neurojax.runs import workdir

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.py"))
MAY_CHANGE = {
    *("sharding.data", "sharding.model", "sharding.rules"),
    *("data.root", "data.placement", "data.num_threads"),
    *("train.num_steps", "train.log_every_steps", "train.save_every_steps"),
    *("train.validate_every_steps", "train.keep_checkpoints"),
}


def leaves(config, prefix=""):
    """Dotted name -> value of every entry that holds no others."""
    found = {}
    for name, value in config.items():
        found |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def with_entry(config, name, value):
    """The config with one entry set, which need not be there before."""
    changed = json.loads(json.dumps(config))
    *blocks, last = name.split(".")
    node = changed
    for block in blocks:
        node = node.setdefault(block, {})
    node[last] = value
    return changed


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_everything_is_hashed_but_what_is_named(path):
    config = declarations.load([f"--config={path}"])
    names = leaves(config)
    assert len(names) > 40
    hashed = workdir.config_hash(config)
    unhashed = {name for name in names if workdir.config_hash(with_entry(config, name, ["other"])) == hashed}
    scored = {name for name in names if name.startswith("eval.")}
    started = {"init_from"} if "finetune" in config else set()  # known by a digest of the weights instead
    length = {"train.most_passes"} & names.keys()
    assert unhashed == MAY_CHANGE | scored | started | length


@pytest.mark.parametrize("name", ["residual.scale", "model.younger_than_this_test", "train.new_knob", "note"])
def test_an_entry_that_nobody_has_thought_of_is_hashed(name):
    config = declarations.load([f"--config={CONFIGS[0].with_name('mtm.py')}"])
    assert workdir.config_hash(with_entry(config, name, 1)) != workdir.config_hash(config)
    assert workdir.config_hash(with_entry(config, name, 1)) != workdir.config_hash(with_entry(config, name, 2))


def test_stored_answers_are_known_by_their_content_once_it_is_known():
    """A run of before it was has the folder in its hash still, so that its checkpoints stay its own."""
    old = declarations.load([f"--config={CONFIGS[0].with_name('student.py')}", "--config.data.answers=here"])
    assert workdir.config_hash(with_entry(old, "data.answers", "there")) != workdir.config_hash(old)
    new = with_entry(old, "data.answers_sha256", "a")
    assert workdir.config_hash(with_entry(new, "data.answers", "there")) == workdir.config_hash(new)
    assert workdir.config_hash(with_entry(new, "data.answers_sha256", "b")) != workdir.config_hash(new)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_has_the_blocks_of_the_list(path):
    """A block with a new name is added to `workdir.BLOCKS`, or nothing asks for it."""
    config = declarations.load([f"--config={path}"])
    assert set(config) - {"finetune"} == set(workdir.BLOCKS)
    assert {name for name, value in config.items() if not isinstance(value, dict)} == set(workdir.PLAIN)
