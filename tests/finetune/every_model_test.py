"""An export of any model comes back as it was, and says what it can be used for."""

from pathlib import Path

import jax
import numpy as np
import pytest

from neurojax import by_name
from neurojax.api import membership, model_card
from neurojax.api.pretrained import Pretrained
from neurojax.commands import config as declarations
from neurojax.data.real_values import from_values
from neurojax.data.store import roster, stimuli
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.data.synthetic import loops, nsd, speech_eeg, v1
from neurojax.errors import InputError
from neurojax.files import read_json, write_json
from neurojax.finetune import begin, inherit, release
from neurojax.finetune.weights import Weights
from neurojax.models import interface
from neurojax.runs import state_io
from neurojax.train import loop, settings, sharding, state

CONFIGS = Path(__file__).parents[2] / "configs"
DECLARED = {
    "ndt": "mtm.py:size=tiny,preset=faithful",
    "ndt_linear": "mtm.py:size=tiny",
    "ndt2": "ndt2.py",
    "stndt": "stndt.py",
    "poyo": "poyo.py",
    "possm": "possm.py",
    "ssm": "ssm.py",
    "lfads": "lfads.py",
    "signals": "emg.py:filters",
    "perceptron": "emg.py",
    "sequence": "emg.py:lstm",
    "ring": "emg.py:ring",
    "eeg": "eeg.py",
    "eegnet": "eeg.py:eegnet",
    "twin": "twin.py",
    "mindeye": "mindeye.py",
    "joint": "joint.py",
}

FEW = nsd.NsdSpec(num_sessions=1, trials_per_session=4, num_validation=1, num_test=2, num_repeats=1, most_voxels=3)


def sessions_of(source):
    """Two small recordings of the kind that a source reads."""
    rng = np.random.default_rng(0)
    if source == "spikes":
        return [
            from_counts(rng.poisson(0.5, (8, 6, 5)), bin_size_s=0.02, session_id=name, split=np.zeros(8, int))
            for name in ("one", "two")
        ]
    if source == "speech":
        return speech_eeg.sessions(speech_eeg.SpeechSpec(2, 4, 4, 2, num_sensors=3), 0)
    if source == "betas":
        return nsd.sessions(FEW, 0)[:2]
    if source == "joint":
        return loops.sessions(loops.LoopSpec(num_units=3, num_bins=4, num_train=4, num_validation=1, num_test=2), 0)
    if source == "stimuli":
        spec = v1.V1Spec(2, 0, 3, 4, 2, 2, 2, "medium", 24)
        images, kind = v1.stimuli(spec, 0)
        made = [v1.make_session(spec, animal, 0, images) for animal in (0, 1)]
        return stimuli.with_stimuli(made, stimuli.of_images(images, kind, v1.KINDS))
    windows = {"trial_start_bin": np.arange(0, 128, 32), "trial_num_bins": 32, "split": 0}
    labels = {"gesture": np.arange(4) % 2, "marker": np.arange(4) % 2}
    return [
        from_values(
            rng.normal(size=(128, 3)), sampling_hz=200, unit="uV", session_id=name, conditions=labels, **windows
        )
        for name in ("one", "two")
    ]


def weights_of(model):
    """Random weights of a model, as a run would leave them; nothing is trained."""
    config = declarations.load([f"--config={CONFIGS / DECLARED[model]}"])
    sessions = sessions_of(config["data"]["source"])
    source = settings.open_source(config, sessions)
    leaves = state_io.named_leaves(state.abstract_trained(settings.model_of(config), source.facts))
    rng = np.random.default_rng(1)
    return Weights(
        arrays={name: rng.normal(size=leaf.shape).astype(np.float32) for name, leaf in leaves.items()},
        config=config,
        table=source.table,
        entries=roster.entries_of(getattr(sessions, "sessions", sessions)),
        bin_size_s=source.facts.bin_size_s,
        num_bins=source.facts.num_bins,
        step=3,
        digest="0" * 64,
        origin=None,
        dataset_fingerprint="1" * 64,
        facts=source.facts.to_record(),
    )


def exported(weights, folder):
    release.write(folder, weights, model_card.write(weights, None, "MIT"), "MIT")
    return release.read(folder)


def test_every_model_is_tried():
    # texts are exported in systems_test: a corpus is no list of sessions
    assert sorted([*DECLARED, "causal_lm"]) == by_name.names("models", interface.NEEDS)


@pytest.mark.parametrize("model", DECLARED)
def test_an_export_comes_back_to_the_bit(model, tmp_path):
    weights = weights_of(model)
    found = exported(weights, tmp_path)
    assert found.arrays.keys() == weights.arrays.keys() and len(weights.arrays) > 3
    assert all(found.arrays[name].tobytes() == array.tobytes() for name, array in weights.arrays.items())
    assert found.facts == weights.facts and found.table == weights.table and found.num_bins == weights.num_bins
    assert f"the model {model} of" in (tmp_path / release.CARD_NAME).read_text()


def test_rows_of_new_people_are_in_closed_form_whatever_they_are_called():
    weights, (_, _, new) = weights_of("mindeye"), nsd.sessions(FEW, 0)[:3]
    told = declarations.load([f"--config={CONFIGS / 'finetune_mindeye.py'}"])
    told |= {block: weights.config[block] for block in ("model", "objective", "head", "optimizer")}
    found = []
    for name in ("random", "closed_form"):
        asked = told | {"finetune": told["finetune"] | {"new_rows": name}}
        tuning = begin.begin_from(weights, asked, dataset_of([new]), log=lambda line: None)
        source = settings.open_source(asked, [new], table=tuning.start.table)
        shapes = loop.abstract_state(tuning.recipe, source.facts, sharding.make_mesh(0, 1))
        found.append(tuning.start.state(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)))
    rows = [np.asarray(one.tables["read_in"])[6:] for one in found]
    np.testing.assert_array_equal(*rows)
    assert rows[0].shape == (3, 64) and rows[0].any()
    wrong = told | {"finetune": told["finetune"] | {"new_rows": "pca"}}
    with pytest.raises(InputError, match="new_rows=random or closed_form; take --config=configs/finetune_mindeye.py"):
        inherit.require_startable(weights.config, wrong)


def test_a_model_that_reads_no_spikes_says_what_it_cannot_do(tmp_path):
    model = Pretrained(exported(weights_of("signals"), tmp_path))
    session = sessions_of("spikes")[0]
    for asked in (model.embed, model.rates, model.adapt):
        with pytest.raises(InputError, match="the model reads signals, not spike counts"):
            asked(session)
    assert membership.measure(model, [session])["reason"] == "it is measured for models of spikes alone"
    card = (tmp_path / release.CARD_NAME).read_text()
    assert "6 channels" in card and "nj.load" not in card and "## Misuse" in card


@pytest.mark.parametrize(
    "facts",
    [
        *([1], {"num_channels": -1}, {"num_classes": 2**40}, {"mean_counts": 1}),
        *({"num_classes": 2, "class_names": names} for names in (["a"], "ab", ["a", 1], ["a", "b" * 1000])),
    ],
)
def test_forged_sizes_are_refused(facts, tmp_path):
    exported(weights_of("signals"), tmp_path)
    content = read_json(tmp_path / release.CONFIG_NAME)
    write_json(tmp_path / release.CONFIG_NAME, content | {"facts": facts})
    with pytest.raises(InputError, match="are no sizes of data"):
        release.read(tmp_path)


def test_the_card_of_a_language_model_tells_of_texts():
    """Its evaluation names a protocol and has no sessions."""
    weights = weights_of("signals")
    texts = weights._replace(entries=[], config=weights.config | {"data": {"source": "text"}})
    scores = {"nats_per_token": 2.5, "perplexity": 12.0, "num_tokens": 9}
    card = model_card.write(texts, {"step": 3, "protocol": "brainbench", "text": scores}, None)
    assert card.startswith("# Language model") and "| text | nats per token | 2.500 | not known |" in card
    assert "## Regions" not in card and "No recording." in card and "likely is no evidence" in card


def test_scores_without_a_protocol_stand_in_the_card():
    block = {"accuracy": 0.75, "accuracy_ci95": [0.625, 0.875], "chance": 0.5, "people": {"a": {"accuracy": 1.0}}}
    card = model_card.write(weights_of("signals"), {"step": 3, "gestures": block}, None)
    assert "| gestures | accuracy | 0.750 | 0.625 to 0.875 |" in card and "chance" not in card
    alone = {"step": 3, "gestures": block | {"accuracy_ci95": None}}  # one person has no interval
    assert "| gestures | accuracy | 0.750 | not known |" in model_card.write(weights_of("signals"), alone, None)
    assert "the scores are of others" in model_card.write(weights_of("signals"), {"step": 2, "gestures": block}, None)
    with pytest.raises(InputError, match="evaluation.json of the run is damaged"):
        model_card.write(weights_of("signals"), {"step": 3, "gestures": block | {"accuracy_ci95": 1}}, None)
