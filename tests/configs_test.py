"""What makes every config small, and the data it trains on; the released recipe takes two steps."""

import tempfile
from pathlib import Path

import jax
import numpy as np

from neurojax.commands import config
from neurojax.data.questions import TASKS
from neurojax.data.real_values import from_values
from neurojax.data.session import TRAIN
from neurojax.data.store.answers import Answers, write_answers
from neurojax.data.store.dataset import dataset_of
from neurojax.runs import state_io
from neurojax.train import run_folder, settings
from neurojax.train.step import train_step
from tests.configs_for_tests import first_state

CONFIGS = [
    path
    for path in sorted((Path(__file__).parent.parent / "configs").glob("*.py"))
    if not path.stem.startswith("finetune")  # needs a run to start from: tests/finetune
]
ANIMALS = ("data.synthetic.num_sessions=2", "data.synthetic.num_trials=20", "data.trials_per_batch=4")
TRANSFORMER = (
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.mlp_width=8"),
    *("model.read_in_width=8", "model.embed_width=8"),  # the embedder is on
)
# What makes a config small, and parameters that two steps need not move; a config like mtm.py needs no line.
SMALL = {
    "ndt2": (*TRANSFORMER, *ANIMALS, "model.patch_units=64"),
    "poyo": (*(entry for entry in TRANSFORMER if "embed_width" not in entry), *ANIMALS, "model.event_share=0.02"),
    "stndt": (*TRANSFORMER, *ANIMALS),
    "possm": (
        *(entry for entry in TRANSFORMER if "embed_width" not in entry),
        *("model.state_width=4", "model.event_share=0.02"),
        *ANIMALS,
    ),
    "ssm": (
        *("model.width=8", "model.state_width=4", "model.num_layers=1", "model.mlp_width=8"),
        *("model.read_in_width=8", "model.embed_width=8"),
        *ANIMALS,
    ),
    "lfads": (
        *("model.read_in_width=4", "model.encoder_width=4", "model.initial_state_width=4"),
        *("model.controller_width=4", "model.generator_width=4", "model.num_inputs=2", "model.num_factors=3"),
        *ANIMALS,
    ),
    "emg": ("model.width=8", "data.trials_per_batch=8"),
    "traces": (*TRANSFORMER, "data.trials_per_batch=4"),
    "twin": (
        *("data.synthetic.num_cells=6", "data.synthetic.num_train=16", "data.synthetic.num_validation=4"),
        *("data.synthetic.num_test=2", "data.synthetic.num_repeats=2", "data.synthetic.image_px=12"),
        *("data.trials_per_batch=8", "model.image_height=12", "model.image_width=12", "model.width=4"),
        *("model.num_layers=2", "model.input_kernel=5", "model.hidden_kernel=3", "model.hidden_padding=1"),
    ),
    "eeg": (
        *("data.synthetic.num_people=2", "data.synthetic.num_trials=8", "data.synthetic.num_sentences=8"),
        *("data.synthetic.num_trained_sentences=8", "data.sessions_per_batch=2", "data.trials_per_batch=8"),
        *("model.num_virtual=4", "model.num_harmonics=2", "model.width=4", "model.num_blocks=2"),
    ),
    "mindeye": (
        *("data.synthetic.num_people=2", "data.synthetic.num_sessions=1", "data.synthetic.trials_per_session=8"),
        *("data.synthetic.num_validation=4", "data.synthetic.num_test=4", "data.synthetic.num_repeats=2"),
        *("data.synthetic.most_voxels=6", "data.sessions_per_batch=2", "data.trials_per_batch=8"),
        *("data.bucket_units=6", "model.read_in_width=3", "model.width=4", "model.projector_width=4"),
    ),
    "joint": (
        *("data.synthetic.num_units=5", "data.synthetic.num_bins=6", "data.synthetic.num_train=16"),
        *("data.synthetic.num_validation=4", "data.synthetic.num_test=4", "data.trials_per_batch=8"),
        *("model.width=8", "model.structure_width=8", "model.num_layers=1", "model.num_heads=2"),
    ),
    "causal_lm": (
        *("data.synthetic.num_documents=200", "data.synthetic.num_pairs=4", "data.trials_per_batch=4"),
        *("data.context_tokens=32", "model.num_positions=32", "model.width=8", "model.num_layers=1"),
        *("model.num_heads=2", "model.num_kv_heads=2", "model.mlp_width=8"),
    ),
}
UNMOVED = {
    # Attention is blind to a shift of all keys; the temporal baseline has no prompt and no causal trial, a causal
    # objective no other.
    "temporal": {"['transformer']['layers']['key']['bias']", "['prompts']", "['log_memories']['past']"},
    "next_bin": {"['transformer']['layers']['key']['bias']", "['prompts']", "['log_memories']['both_ways']"},
    "lfads": set(),
    "emg": set(),
    "causal_lm": set(),
    "eeg": set(),
    "mindeye": set(),
    "joint": {"['layer_0']['told']['bias']"},
    "twin": set(),
}
ANSWERS = tempfile.TemporaryDirectory()  # of what a student learns from
MADE = {"emg": lambda: people(), "traces": lambda: imaged()}  # sessions of configs that make none


def people():
    """Two people with two gestures each, windows of 20 samples of 3 channels."""
    rng, names = np.random.default_rng(0), {"condition_names": {"gesture": ["rest", "fist"]}}
    return [
        from_values(
            rng.standard_normal((200, 3)), sampling_hz=100, unit="uV", session_id=f"p{person}", split=person,
            trial_start_bin=np.arange(0, 180, 20), trial_num_bins=20, conditions={"gesture": np.arange(9) % 2},
            info=names,
        )
        for person in range(2)
    ]  # fmt: skip


def imaged():
    """Two sessions of calcium traces: 12 trials of 20 frames, 9 cells in two regions, some not observed for a while."""
    rng, sessions, split = np.random.default_rng(0), [], np.tile([0, 0, 0, 0, 1, 2], 2)
    trials = {"trial_start_bin": np.arange(0, 240, 20), "trial_num_bins": 20, "split": split}
    for number in range(2):
        shared = rng.standard_normal((240, 2)) @ rng.standard_normal((2, 9))
        values = 100 + 20 * shared + rng.standard_normal((240, 9))
        values[30:50, :4] = np.nan
        where = {"session_id": f"mouse{number}", "region": np.repeat(["V1", "LM"], [5, 4])}
        sessions.append(from_values(values, sampling_hz=10, unit="dF/F", **trials, **where))
    return sessions


def dataset_for(path, declared):
    """The data of a config: its own, or made here where it makes none; a student's answers too."""
    if path.stem in MADE:
        return dataset_of(MADE[path.stem]())
    dataset = run_folder.load_data(declared)
    if "answers" in declared["data"]:
        declared["data"]["answers"] = ANSWERS.name
        for session in dataset.sessions:
            write_answers(Path(ANSWERS.name), session, answered(session))
    return dataset


def answered(session):
    """Answers to all questions about the train trials: one spike in ten bins."""
    trial_ids = session.trials_of(TRAIN)
    shape = session.gather_trials(trial_ids)[0].shape
    last_bins = np.arange(shape[1]) == session.trial_num_bins[trial_ids][:, None] - 1
    return Answers(trial_ids, last_bins, {task: np.full(shape, -2.3, np.float32) for task in TASKS}, {})


def load(path, preset):
    small = SMALL.get(path.stem, (*TRANSFORMER, *ANIMALS))
    argument = "" if path.stem in SMALL else f":size=paper,preset={preset}"
    shrunk = [*small, "train.num_steps=2"]
    return config.load([f"--config={path}{argument}", *(f"--config.{override}" for override in shrunk)])


def unmoved(path, before, after) -> set[str]:
    """Parameters that training left as they were and should not have; `after` by name, `before` as a tree."""
    names = state_io.named_leaves({"params": before})
    still = {name for name, leaf in names.items() if not np.any(leaf != after[name])}
    places = {name: jax.tree_util.keystr(place) for name, (place, _) in zip(names, leaves_of(before), strict=True)}
    return {places[name] for name in still} - UNMOVED.get(path.stem, UNMOVED["temporal"])


def leaves_of(tree):
    return jax.tree.leaves_with_path(tree)


def test_two_steps_of_the_released_recipe():
    """Those of every other config are taken, and looked at, in systems_test."""
    path = CONFIGS[0].with_name("mtm.py")
    declared = load(path, "faithful")
    recipe = settings.recipe(declared)
    source = settings.open_source(declared, dataset_for(path, declared).to_read)
    settings.loop_config(declared)
    before = state = first_state(recipe, source)
    step = jax.jit(train_step, static_argnames="recipe")
    for index in range(2):
        state, sums = step(state, source.batch(index), recipe)
        assert np.isfinite(sums["loss"]) and sums["gradient_norm"] > 0 and sums["skipped"] == 0
    assert not unmoved(path, before.params, state_io.named_leaves({"params": state.params}))
