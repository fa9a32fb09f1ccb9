"""The membership check finds a model that knows its training trials by heart, and says nothing of one that does not."""

import dataclasses
import types
from pathlib import Path

import numpy as np
import pytest

from neurojax.api import membership
from neurojax.commands import export
from neurojax.data.session import TEST, TRAIN
from neurojax.data.store import roster
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals.audits import of_units
from neurojax.evals.audits.parts import Part


@pytest.fixture(scope="module")
def session():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (90, 6, 8))
    split = np.repeat([TRAIN, TEST], [60, 30])
    return from_counts(counts, bin_size_s=0.05, session_id="made", split=split)


def model_of(session, rates_of):
    """A stand-in whose expected counts are `rates_of(counts)`."""

    def rates(asked, num_groups):
        return (rates_of(asked) / asked.bin_size_s).astype(np.float32)

    weights = types.SimpleNamespace(entries=roster.entries_of([session]), of_spikes=lambda: True)
    return types.SimpleNamespace(weights=weights, rates=rates)


def test_a_model_that_knows_its_trials_by_heart_is_found(session):
    trained = {trial.tobytes() for trial in session.gather_trials(session.trials_of(TRAIN))[0]}

    def by_heart(asked):
        trials = asked.gather_trials(np.arange(asked.num_trials))[0]
        known = np.repeat([trial.tobytes() in trained for trial in trials], asked.trial_num_bins)
        return np.where(known[:, None], 0.5 * asked.counts + 0.25, 0.5)

    found = membership.measure(model_of(session, by_heart), [session])
    block = found["sessions"]["made"]
    assert found["auc"] == block["auc"] == 1.0
    assert (block["num_train_trials"], block["num_test_trials"]) == (60, 30)


def test_a_model_that_knows_all_trials_alike_is_not(session):
    for rates_of in (lambda asked: np.full(asked.counts.shape, 0.45), lambda asked: 0.5 * asked.counts + 0.25):
        found = membership.measure(model_of(session, rates_of), [session])
        low, high = found["auc_ci95"]
        assert low < 0.5 < high and high - low < 0.4
    assert f"AUC {found['auc']:.3f}" in " ".join(membership.lines(found))


def test_sessions_are_drawn_apart(session):
    """The mean of two sessions is known better than either, which draws shared by them would hide."""
    twin = dataclasses.replace(session, session_id="twin")
    model = model_of(session, lambda asked: 0.5 * asked.counts + 0.25)
    model.weights.entries = roster.entries_of([session, twin])
    found = membership.measure(model, [session, twin])
    widths = [np.ptp(block["auc_ci95"]) for block in (found, *found["sessions"].values())]
    assert widths[0] < 0.85 * min(widths[1:])


def test_the_area_counts_pairs_and_halves_ties():
    assert membership.auc(np.array([3.0, 1.0]), np.array([2.0, 1.0])) == pytest.approx(2.5 / 4)


@pytest.mark.parametrize("change", ["gone", "changed", "no test trial"])
def test_what_cannot_be_measured_says_why(session, change):
    given = {
        "gone": [],
        "changed": [dataclasses.replace(session, counts=session.counts[::-1].copy())],
        "no test trial": [dataclasses.replace(session, split=np.zeros_like(session.split))],
    }[change]
    known = given[0] if change == "no test trial" else session
    found = membership.measure(model_of(known, lambda asked: asked.counts + 1.0), given)
    assert found["auc"] is None and found["sessions"]["made"]["reason"]
    assert "not measured" in membership.lines(found)[0]


def windows(sure, seed, people=1):
    """Sixty windows of one class out of two, read as that with probability `sure` and some noise of each person."""
    rng = np.random.default_rng(seed)
    person = np.arange(60) % people
    found = np.clip(sure + 0.2 * rng.standard_normal(people)[person] + 0.01 * rng.standard_normal(60), 0.01, 0.99)
    inputs, unit = np.zeros((60, 1, 1)), np.char.add("p", person.astype(str))
    return Part(
        "people", "classes", inputs, np.ones(60, int), np.ones(60, int), None,
        lambda asked: np.stack([1 - found, found], 1), np.ones(2) / 2, inputs, np.ones(60, int), np.zeros(60),
        np.array(["a"]), np.array([""]), {}, unit, unit, unit,
    )  # fmt: skip


def test_items_of_an_audit_tell_whether_they_were_trained_on():
    found = membership.of_parts([windows(0.9, 0)], [windows(0.3, 1)])
    assert found["auc"] == 1 and found["sessions"]["people"]["num_train_trials"] == 60
    blind = membership.of_parts([windows(0.5, 3, people=60)], [windows(0.5, 4, people=60)])
    assert blind["auc_ci95"][0] < 0.5 < blind["auc_ci95"][1] and np.ptp(blind["auc_ci95"]) < 0.3
    # Few people: as little is known as of few windows.
    few = membership.of_parts([windows(0.5, 5, people=5)], [windows(0.5, 6, people=5)])
    assert np.ptp(few["auc_ci95"]) > 0.5 and "95 % interval over people" in membership.lines(few)[0]
    assert membership.of_parts([windows(0.5, 0)], [])["sessions"]["people"]["auc"] is None


@pytest.mark.parametrize("kind", ["counts", "real"])
def test_items_of_two_splits_are_held_against_one_scale(kind):
    """Two of many items of the test have much to predict: that makes the others no worse explained than before."""
    rng = np.random.default_rng(0)
    targets = rng.poisson(2.0, (40, 5, 3)).astype(float)
    loud = np.concatenate([targets[:38], 40 + targets[38:]])
    part = windows(0.5, 0)._replace(kind=kind, mask=None, null=np.full(3, 2.0), predict=lambda asked: targets)
    others = part._replace(targets=loud, predict=lambda asked: loud)
    found = membership.of_parts([part._replace(targets=targets)], [others])
    assert 0.4 < found["auc"] <= 0.5
    entry = membership._likelihood(part._replace(targets=targets, mask=np.zeros(targets.shape, bool)))
    assert entry.shape == (40,) and not entry.any()


def test_an_export_of_another_system_asks_the_items_of_its_audit(monkeypatch):
    found = types.SimpleNamespace(config={"data": {"source": "stimuli"}})
    monkeypatch.setattr(export.run_folder, "read_run", lambda folder: {})
    monkeypatch.setattr(export.audit, "asked_again", lambda folder, config: (None, None))
    asked = {TRAIN: [windows(0.9, 0)], TEST: [windows(0.3, 1)]}
    monkeypatch.setattr(export.audit, "parts_of_splits", lambda *given: [asked[split] for split in given[-1]])
    member, named = export._measured(found, None, Path("run"))
    assert member["auc"] == 1 and named["subjects"]["accuracy"] is None and named["recordings"]["reason"]
    assert "AUC 1.000" in " ".join(membership.lines(member))
    assert "from a run alone" in export._measured(found, None, None)[0]["reason"]
    monkeypatch.setattr(export.audit, "parts_of_splits", lambda *given: None)
    assert "not known of such a system" in export._measured(found, None, Path("run"))[0]["reason"]

    def gone(folder, config):
        raise InputError("the data are gone")

    monkeypatch.setattr(export.audit, "asked_again", gone)
    assert "could not be asked again" in export._measured(found, None, Path("run"))[0]["reason"]


def test_both_splits_of_a_recording_are_asked_about_the_same_units(monkeypatch):
    """Other units would be compared for how hard they are, not for what was trained on."""
    told_apart = np.tile(np.arange(1, 25), (90, 3, 1))  # a unit's count is its number
    session = from_counts(told_apart, bin_size_s=0.05, session_id="made", split=np.repeat([TRAIN, TEST], [60, 30]))
    monkeypatch.setattr(of_units, "size_within_memory", lambda *given: 8)
    parts = [of_units.parts_of(None, [session], lambda one: np.ones(24, bool), 0, "real", k)[0] for k in (TRAIN, TEST)]
    hidden, others = (set(part.targets[:, 0].ravel()) for part in parts)
    assert hidden == others and len(hidden) == 6
    assert parts[0].channel_group.tolist() == parts[1].channel_group.tolist()


def test_documents_that_a_language_model_knows_by_heart_are_found():
    tokens = np.random.default_rng(0).integers(0, 9, (40, 6))
    split = np.repeat([TRAIN, TEST], 20)
    corpus = types.SimpleNamespace(
        documents_of=lambda one: np.flatnonzero(split == one), tokens_of=lambda document: tokens[document]
    )
    known = {row.tobytes() for row in tokens[:20].astype(np.int32)}

    class Model:
        recipe = types.SimpleNamespace(model=types.SimpleNamespace(config=types.SimpleNamespace(num_positions=8)))

        def nats(self, batch, query):
            rows = batch.trials["tokens"][0]
            told = np.array([row[:6].tobytes() in known for row in rows])
            return np.where(told, 0.1, 1.0)[None, :, None] * np.ones(rows.shape)[None, :, 1:]

    found = membership.of_documents(Model(), corpus, 64)
    assert found["auc"] == 1 and found["sessions"]["documents"]["num_train_trials"] == 20
    known.clear()
    assert membership.of_documents(Model(), corpus, 64)["auc"] == 0.5
    split[:] = TRAIN
    assert "too few" in membership.of_documents(Model(), corpus, 64)["reason"]
