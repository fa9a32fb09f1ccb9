"""Leaks stop an evaluation: each kind is built here and found, and a sound evaluation passes."""

import dataclasses

import numpy as np
import pytest

from neurojax.data import batching
from neurojax.data.checks import check
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store import trained_trials
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals import activity, leaks, protocols, unseen

REGIONS = ["CA1", "LP", "CA1", "root", "CA1", "VISp", "VISp", "CA1", "LP"]


def make_session(name="rat", seed=0, num_trials=16, rate=0.6):
    """Ragged trials of 8 to 20 bins; low rates, so that units are silent in some trials."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(8, 21, num_trials)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    split = np.resize([TRAIN, TRAIN, TEST, VALIDATION], num_trials)
    counts = rng.poisson(rate, (offsets[-1], len(REGIONS)))
    return from_counts(
        counts, bin_size_s=0.02, session_id=name, trial_offsets=offsets, split=split, region=np.asarray(REGIONS)
    )


class SumModel:
    """Rates that grow with what is visible of the population, bin by bin; `sees` lets it see more."""

    bucket_units, hides_by_zeroing, on_accelerator = 4, True, False

    def __init__(self, sessions, sees=lambda hidden: hidden):
        self.layout, self._sees, self.passes = batching.Layout.of(sessions), sees, 0

    def asked_as(self, scheme):
        return scheme

    def log_rates(self, batch, query):
        self.passes += 1
        hidden = query.hidden_units[:, :, None, :] | query.hidden_bins[..., None]
        seen = np.where(self._sees(hidden), 0, batch.trials["counts"]).astype(np.float64)
        total = seen.sum(-1, keepdims=True) + 0.1 * seen.sum((2, 3), keepdims=True)
        return np.broadcast_to(0.01 * total - 1, seen.shape).astype(np.float32)

    def latents(self, batch, query):
        return np.log1p(np.exp(self.log_rates(batch, query)[..., :2]))

    def log_rates_of_unit(self, batch, query, unit):
        rates = self.log_rates(batch, query)[0]
        return rates[np.arange(len(unit)), :, unit]


def without(axis, index):
    """What is hidden, less the entries at one index of an axis."""

    def sees(hidden):
        hidden = hidden.copy()
        hidden[(slice(None),) * axis + (index,)] = False
        return hidden

    return sees


def test_a_sound_evaluation_passes_in_few_passes_and_says_what_was_tried():
    sessions = [make_session("rat"), make_session("cat", seed=1), make_session("owl", seed=2)]
    model = SumModel(sessions)
    found = leaks.check_evaluation(model, sessions, seed=0, trials_per_pass=8)
    assert model.passes == len(sessions) * len(protocols.TASKS) * 2  # the cases of a task share a pass
    assert list(found) == ["rat", "cat", "owl"]
    for name, block in found.items():
        assert block["copies"] == block["overlap"] == "passed"
        assert block["copies_cases"] == 4 and block["overlap_cases"] == 16
        assert block["influence"] == "passed"
        assert block["influence_cases"] == dict.fromkeys(protocols.TASKS, leaks.CASES), name


@pytest.mark.parametrize("kind", ["all", "last bin", "some units"])
def test_a_model_that_sees_what_it_is_scored_on_is_found(kind):
    session = make_session(rate=2.0)
    trial = int(session.trials_of(TEST)[0])
    session = dataclasses.replace(session, split=np.where(np.arange(16) == trial, TEST, TRAIN))
    last = int(session.trial_num_bins[trial]) - 1
    sees = {"all": np.zeros_like, "last bin": without(2, last), "some units": without(3, slice(0, 9, 2))}[kind]
    with pytest.raises(leaks.LeakError, match=r"of session rat, trial 2: the rates of .* report this as a defect"):
        for seed in range(5):  # a partial leak may be missed by few draws
            leaks.require_no_influence(SumModel([session], sees), session, seed=seed, trials_per_pass=8)


@pytest.mark.parametrize("task", protocols.TASKS)
def test_an_evaluation_that_hides_too_little_is_found_in_each_task(task, monkeypatch):
    session = make_session(rate=2.0)
    model = SumModel([session])
    leaks.require_no_influence(model, session, seed=0, trials_per_pass=8)
    honest = activity.predict_session

    def dishonest(model, content, tasks, **options):
        rates = honest(model, content, tasks, **options)
        if tasks == (task,):
            counts = content.gather_trials(options["trial_ids"])[0]
            rates[task] = rates[task] + np.float32(1e-7) * counts
        return rates

    monkeypatch.setattr(activity, "predict_session", dishonest)
    with pytest.raises(leaks.LeakError, match=f"^{task} of session rat"):
        leaks.require_no_influence(model, session, seed=0, trials_per_pass=8)


def test_cases_hide_what_the_protocol_says():
    session = make_session(rate=2.0)
    trial_ids = session.trials_of(TEST)
    cases = leaks.draw_cases(session, trial_ids, np.random.default_rng(0))
    bins = protocols.forward_bins(session, trial_ids)
    for task, drawn in cases.items():
        assert [case.place for case in drawn] == list(range(len(trial_ids)))
        for case in drawn:
            units = case.scored.any(0)
            assert case.hidden[case.scored].all()
            if task == "co_smoothing":
                assert units.sum() == 1 and np.array_equal(case.hidden.any(0), units)
            elif task == "forward":
                np.testing.assert_array_equal(case.hidden.all(1), bins[case.place])
                assert units.all() and not case.hidden[~bins[case.place]].any()
            else:
                own = session.region == session.region[units][0]
                assert units.sum() == (own.sum() if task == "inter_region" else 1)
                rest = case.hidden.all(0)
                np.testing.assert_array_equal(rest, own if task == "inter_region" else ~own | units)


def test_copies_of_train_trials_are_found_within_and_across_sessions():
    session, other = make_session(), make_session("cat", seed=1)
    assert leaks.require_no_copies([session, other]) == {"rat": 4, "cat": 4}

    def with_trial(target, place, rows):
        counts, start = np.array(target.counts), target.trial_start_bin[place]
        lengths = np.array(target.trial_num_bins)
        lengths[place] = min(len(rows), lengths[place])
        counts[start : start + lengths[place]] = rows[: lengths[place]]
        return dataclasses.replace(target, counts=counts, trial_num_bins=lengths)

    test, train = session.trials_of(TEST)[1], session.trials_of(TRAIN)[3]
    rows = np.array(session.counts[session.trial_start_bin[train] :][: session.trial_num_bins[train]])
    for sessions, told in (
        ([with_trial(session, test, rows[:8])], "session rat repeats train trial .* of session rat"),
        ([session, with_trial(other, other.trials_of(TEST)[0], rows[:8])], "session cat repeats .* of session rat"),
    ):
        shortened = with_trial(sessions[0], train, rows[:8])
        with pytest.raises(InputError, match=told):
            leaks.require_no_copies([shortened, *sessions[1:]])
    quiet = np.zeros_like(rows[:8])
    quiet[0, : check.TELLING_SPIKES - 1] = 1  # too few to tell a copy from chance
    by_chance = with_trial(with_trial(session, test, quiet), train, quiet)
    assert leaks.require_no_copies([by_chance]) == {"rat": 3}


def test_bins_shared_by_two_splits_are_found_and_those_within_a_split_are_not():
    session = make_session()
    assert leaks.require_no_overlap(session) == 16
    start = session.trial_start_bin.copy()
    start[1] -= 1  # both train
    assert leaks.require_no_overlap(dataclasses.replace(session, trial_start_bin=start)) == 16
    start[2] -= 2
    with pytest.raises(InputError, match="trials 1 and 2 of session rat share 1 bins .* train and test"):
        leaks.require_no_overlap(dataclasses.replace(session, trial_start_bin=start))


def test_trials_that_were_trained_on_are_refused_whatever_their_split_says_now(tmp_path):
    sessions = [make_session("rat"), make_session("mouse", seed=1)]
    trained_trials.write(tmp_path, sessions, trained_trials.Trained(frozenset([b"\x01" * 16])))
    trained = trained_trials.read(tmp_path)
    assert b"\x01" * 16 in trained.digests
    assert len(trained.digests) == 1 + sum(len(s.trials_of(TRAIN)) for s in sessions)
    leaks.require_unseen(sessions, trained)
    swapped = dataclasses.replace(sessions[1], split=np.where(np.arange(16) == 5, TEST, sessions[1].split))
    with pytest.raises(InputError, match=r"trained on 1 test trial of session mouse \(5\)"):
        leaks.require_unseen([sessions[0], swapped], trained)
    assert trained_trials.read(tmp_path / "older") is None


def test_pictures_that_come_again_are_no_leak_where_no_picture_is_asked_for(tmp_path):
    """One animal that sees five pictures again and again, in train and test: what is scored are its spikes."""
    session = make_session()
    picture = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    of_trial = np.repeat(np.arange(session.num_trials) % 5, session.trial_num_bins)
    session = session.with_fields(
        behaviour={"embedding": picture[of_trial]}, behaviour_valid={"embedding": np.ones(len(of_trial), bool)}
    )
    trained_trials.write(tmp_path, [session])
    trained = trained_trials.read(tmp_path)
    assert len(trained.shown) == 5
    leaks.require_unseen([session], trained)
    unseen.require_unseen({"evaluator": "spikes"}, [session], trained)
    unseen.require_unseen({}, [session], trained)
    with pytest.raises(InputError, match=r"trained on 4 of the test pictures of session rat; keep one set of test"):
        unseen.require_unseen({"evaluator": "image_retrieval"}, [session], trained)


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "{}", '{"schema": 1, "digests": ["zz"]}', '{"schema": 1, "digests": [3]}'),
        *('{"schema": true, "digests": []}', '{"schema": 3, "digests": []}', '{"schema": 2, "digests": []}'),
        '{"schema": 2, "digests": [], "all_times_known": true, "recordings": [3]}',
        '{"schema": 2, "digests": [], "all_times_known": true, "recordings": [{"session_id": "a", "counts_sha256": "",'
        ' "stretch_s": [0, 1], "above": ["00ff"], "rates_hz": [1.0], "trained_s": [0, 1]}]}',
        '{"schema": 2, "digests": [], "all_times_known": true, "recordings": [{"session_id": "a", "counts_sha256": "",'
        ' "stretch_s": [1, 0], "above": ["80"], "rates_hz": [1.0], "trained_s": []}]}',
    ],
)
def test_damaged_digests_are_named(tmp_path, text):
    (tmp_path / trained_trials.NAME).write_text(text)
    with pytest.raises(InputError, match=trained_trials.NAME):
        trained_trials.read(tmp_path)


def test_means_that_see_test_counts_are_a_defect(monkeypatch):
    session = make_session()
    leaks.require_train_normalisation(session)
    monkeypatch.setattr(type(session), "mean_counts", lambda self: np.asarray(self.counts).mean(0))
    with pytest.raises(leaks.LeakError, match="train means"):
        leaks.require_train_normalisation(session)


@pytest.mark.parametrize("name", ["nlb", "brainwide", "few_shot"])
def test_every_task_of_every_protocol_is_probed(name):
    protocol, session = protocols.get_protocol(name), make_session(rate=2.0)
    cases = leaks.require_no_influence(SumModel([session]), session, seed=0, trials_per_pass=8, protocol=protocol)
    assert cases == dict.fromkeys(protocol.tasks, leaks.CASES)
    for task, drawn in leaks.draw_cases(session, session.trials_of(TEST), np.random.default_rng(0), protocol).items():
        for case in drawn:
            assert case.hidden[case.scored].all() and case.scored.any(), task
    blind = SumModel([session], np.zeros_like)  # sees everything
    with pytest.raises(leaks.LeakError, match=f"^{next(iter(protocol.tasks))} of session rat"):
        leaks.require_no_influence(blind, session, seed=0, trials_per_pass=8, protocol=protocol)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["everywhere", "one bin"])
def test_rates_that_are_no_numbers_do_not_pass_as_unmoved(value, where):
    """Equal they may be, but nothing is known of what they depend on."""
    session = make_session(rate=2.0)
    model = SumModel([session])
    honest = model.log_rates

    def log_rates(batch, query):
        rates = honest(batch, query).copy()
        rates[:, :, slice(None) if where == "everywhere" else 3] = value
        return rates

    leaks.require_no_influence(model, session, seed=0, trials_per_pass=8)
    model.log_rates = log_rates
    # A run that diverged, not a defect of the program: what the user can do is in the line.
    with pytest.raises(InputError, match="co_smoothing of session rat: .* not finite.*learning_rate"):
        leaks.require_no_influence(model, session, seed=0, trials_per_pass=8)
