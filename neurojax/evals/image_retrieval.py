"""The evaluation of pictures from fMRI: which of the test pictures a brain saw, and which brain saw
a picture.

An evaluator; see evals.spikes for what its five functions are for. Responses to repeats of a test
picture are averaged. Beside the model stand floors, the best reader where the truth is known, and
two controls: a perfect translator (the true embeddings in place of predictions), which must always
be right, else the test pictures cannot be told apart; and shuffled brains (responses to other
pictures, the rest of the batch as it is), which must be at chance, else something leaks.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.analysis import in_context
from neurojax.data import pictures
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import betas
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.data.synthetic import nsd
from neurojax.data.synthetic.recipe import Recipe, recipe_of
from neurojax.errors import require
from neurojax.evals import floor_names, leaks, picture_scores, unseen
from neurojax.report import picture_report

FLOORS = ("ridge", "in_context")
PRIORS = ("people of the data", "people of the run", "flat")  # who says how voxels are
SHUFFLES = 3  # of the brains of a person
STRIPS = 4  # test pictures of the first person that a report shows
Log = Callable[[str], Any]
require_unseen = unseen.require_unseen_pictures  # as every evaluator may ask, see `evals.unseen`


class Test(NamedTuple):
    """The test of one person.

    Attributes:
        trial: list of int arrays, trials of each picture.
        name: str [W], pictures.
        raw, response: float32 [W, N], means over repeats; as recorded, and as batches have them.
        embedding: float32 [W, E].
        repeats: presentations of a picture, the mean.
    """

    trial: list[np.ndarray]
    name: np.ndarray
    raw: np.ndarray
    response: np.ndarray
    embedding: np.ndarray
    repeats: float


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the `eval` block; nothing more than the block itself tells evaluations apart."""
    floor_names.chosen(settings, FLOORS)
    ways = settings.get("ways")
    whole = isinstance(ways, int) and not isinstance(ways, bool)
    require(whole and ways >= 2, f"eval.ways={ways!r}; expected a number of candidates, 2 or more")
    return {}


def prepare(
    dataset: Dataset, settings: Mapping[str, Any], *, run: Path | None = None, log: Log = print
) -> Dataset:
    """All sessions; raises InputError where nobody is there to be tested, or where a test picture
    has the embedding of one that anybody here is trained on, as categories do."""
    require(
        any(len(session.trials_of(TEST)) for session in dataset.sessions),
        "no session has a test trial; expected trials of split 2, convert with a split",
    )
    trained = set().union(*(pictures.shown(session, TRAIN) for session in dataset.sessions))
    both = {
        one: s.session_id
        for s in dataset.sessions
        for one in pictures.shown(s, TEST)
        if one in trained
    }
    require(
        not both,
        f"{len(both)} test pictures have the embedding of one to train on (as names of categories "
        f"do), such as in session {next(iter(both.values()), '')}; keep these pictures for the "
        "test alone, with a split of the file",
    )
    return dataset


def evaluate(
    model,
    dataset: Dataset,
    settings: Mapping[str, Any],
    seed: int,
    *,
    folder: Path,
    root: str,
    log: Log = print,
) -> dict[str, Any]:
    """Ranks the test pictures of every person.

    Args:
        model: a predictor of embeddings that knows what its batches are (`source_config`).
        dataset: people the run has rows for.
        settings: the `eval` block.
        seed: of the shuffles.
        folder, root, log: as of `evals.spikes.evaluate`.

    Returns:
        {"retrieval": see `picture_scores.block_of`, and "controls", "noise_ceiling": {person: see
        `picture_scores.noise_ceiling`}, "num_left_out", "in_context_prior": {person: one of
        PRIORS}; "example": strips for the report}.

    Raises:
        InputError: a test trial was trained on, or a test picture by anybody of these data, of the
            run or of one it was fine-tuned from, or the embeddings have another size than the
            run's.
    """
    trained = trained_trials.read(folder)
    leaks.require_unseen(dataset.sessions, trained, dataset.digests)
    require_unseen(dataset.sessions, trained)
    source = betas.open_source(dataset.sessions, model.source_config, seed)
    known = model.facts.get("num_targets")
    require(
        source.facts.num_targets == known,
        f"the data have embeddings of {source.facts.num_targets} numbers, the run was trained on "
        f"{known}; use the same network for the pictures",
    )
    source.layout = model.layout  # rows of the run, which may know more people
    listed = [n for n, s in enumerate(source.sessions) if len(s.trials_of(TEST))]
    require(listed, "no test trial has an embedding; convert with those of the test pictures")
    _require_new_pictures(source)
    tests = {number: test_of(source, number) for number in listed}
    people: dict[str, dict[str, Any]] = {}
    readers = _readers(model, source, settings, dataset.sessions)
    scores = {}
    for name, read in readers.items():
        for number, one in tests.items():
            scores[name, number] = score = read(number, one)
            found = picture_scores.of_person(score, settings["ways"], seed)
            people.setdefault(name, {})[source.sessions[number].session_id] = found
    block = picture_scores.block_of(people, settings["ways"])
    block["controls"] = _controls(model, source, tests, settings["ways"], seed)
    block["noise_ceiling"] = {
        source.sessions[number].session_id: _noise(source, number) for number in listed
    }
    block["num_left_out"] = source.num_left_out
    if "in_context" in readers:
        block["in_context_prior"] = {
            source.sessions[number].session_id: _prior(model, source, number)[1]
            for number in listed
        }
    first = listed[0]
    example = _example(tests[first], scores["model", first], source.sessions[first].session_id)
    return {"retrieval": block, "example": example}


def test_of(source: betas.BetaSource, number: int) -> Test:
    """What one person is tested on."""
    trials = source.sessions[number].trials_of(TEST)
    items, first, place = np.unique(
        source.item[number][trials], return_index=True, return_inverse=True
    )
    each = [trials[place == one] for one in range(len(items))]
    raw = np.stack([source.raw(number, own).mean(0) for own in each])
    response = np.stack([source.responses(number, own).mean(0) for own in each])
    embedding = source.raw(number, trials[first], betas.EMBEDDING)
    names = np.array(list(source.items))[items]
    return Test(each, names, raw, response, embedding, len(trials) / len(items))


def _readers(model, source: betas.BetaSource, settings, sessions) -> dict[str, Callable]:
    """Name -> (person, test) -> float [W, W], brains by pictures."""
    asked = floor_names.chosen(settings, FLOORS)
    found = {"model": lambda number, one: _agreement(*predicted(model, source, number, one), one)}
    if "ridge" in asked:
        found["ridge"] = lambda number, one: _ridge(source, number, one)
    if "in_context" in asked:
        found["in_context"] = lambda number, one: _in_context(model, source, number, one)
    made = [_recipe(source, number) for number in range(len(sessions))]
    if all(made):
        found["bayes"] = lambda number, one: _best(made[number], one)
    return found


def predicted(
    model, source: betas.BetaSource, number: int, one: Test, order: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """(what a model says of mean responses, float32 [W, E]; its map of pictures [E, E], or None).

    Args:
        order: int [W], whose response stands in place of each; the rest of the batch, embeddings
            among it, stays with its picture.
    """
    response = one.response if order is None else one.response[order]
    trials, found = np.array([own[0] for own in one.trial]), []
    for part, batch in source.passes(number, trials):
        kept = slice(sum(map(len, found)), sum(map(len, found)) + len(part))
        batch.trials["values"][0, : len(part), 0, : response.shape[1]] = response[kept]
        outputs = model(batch, ())
        found.append(np.asarray(outputs.natural)[0, : len(part), 0])
    pictures = outputs.extras.get("pictures")
    return np.concatenate(found), None if pictures is None else np.asarray(pictures, np.float64)


def _agreement(said: np.ndarray, pictures: np.ndarray | None, one: Test) -> np.ndarray:
    """Cosines of what was said [W, E] with the pictures of the test, see `objectives.mixco`."""
    if pictures is None:
        return _unit(said) @ _unit(one.embedding).T
    length = np.linalg.norm(one.embedding @ pictures.T, axis=1)
    return np.asarray(said, np.float64) @ one.embedding.T / np.maximum(length, 1e-12)


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _pairs(source: betas.BetaSource, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Responses and embeddings of train trials, as many as floors look at."""
    trials = source.sessions[number].trials_of(TRAIN)
    kept = np.linspace(0, len(trials) - 1, min(len(trials), in_context.MOST_PAIRS)).astype(int)
    own = trials[kept]
    return source.responses(number, own), source.raw(number, own, betas.EMBEDDING)


def _ridge(source, number: int, one: Test) -> np.ndarray:
    response, embedding = _pairs(source, number)
    if len(response) < 2:
        return np.zeros((len(one.name), len(one.name)))
    mean = embedding.mean(0)
    found = in_context.ridge(response, embedding)(one.response)
    # What all pictures share tells none of them from the others.
    return _unit(found - mean) @ _unit(one.embedding - mean).T


def _in_context(model, source, number: int, one: Test) -> np.ndarray:
    response, embedding = _pairs(source, number)
    if len(response) < 2:
        return np.zeros((len(one.name), len(one.name)))
    reader = in_context.reader(_prior(model, source, number)[0], response, embedding)
    return reader.score(one.response, one.embedding, one.repeats)


def _prior(model, source, number: int) -> tuple[in_context.Prior, str]:
    """(what is known of the voxels of others, one of PRIORS)."""
    people = [_pairs(source, n) for n in range(len(source.sessions)) if n != number]
    found = in_context.joined([in_context.own_prior(*pair) for pair in people if len(pair[0])])
    if found is not None:
        return found, PRIORS[0]
    tables = getattr(model, "tables", {})
    if "voxels" in tables:  # a person alone, of a run that met others
        others = np.delete(np.asarray(tables["voxels"]), source.layout.session_row[number], 0)
        found = model.recipe.model.module.prior_of_rows(others)
        if found is not None:
            return found, PRIORS[1]
    return in_context.flat_prior(_pairs(source, number)[1]), PRIORS[2]


def _recipe(source: betas.BetaSource, number: int) -> Recipe | None:
    """How a made-up person was made, where the voxels and the names of the pictures bear it out."""
    session = source.sessions[number]
    made = recipe_of(session, "nsd", nsd.NsdSpec, "person")
    if made is None or len(nsd.brain(*made).weights) != session.num_units:
        return None
    names = np.array(list(source.items))[source.item[number][session.trials_of(TEST)]]
    return made if all(re.fullmatch("[0-9]{1,9}", name) for name in names.tolist()) else None


def _best(made: Recipe, one: Test) -> np.ndarray:
    return nsd.best_read(*made, one.raw, one.repeats, one.name.astype(int))


def _controls(model, source, tests: Mapping[int, Test], ways: int, seed: int) -> dict[str, float]:
    perfect, shuffled = [], []
    for number, one in tests.items():
        score = _agreement(one.embedding, None, one)
        perfect.append(picture_scores.of_person(score, ways, seed)["image_top1"])
        for draw in range(SHUFFLES):
            order = np.random.default_rng([seed, number, draw]).permutation(len(one.name))
            score = _agreement(*predicted(model, source, number, one, order), one)
            shuffled.append(picture_scores.of_person(score, ways, seed)["image_top1"])
    found = {"perfect_translator": float(np.mean(perfect))}
    return found | {"shuffled_brains": float(np.mean(shuffled))}


def _noise(source: betas.BetaSource, number: int) -> dict[str, Any]:
    trials = source.sessions[number].trials_of(TEST)
    return picture_scores.noise_ceiling(
        source.responses(number, trials), source.item[number][trials]
    )


def _require_new_pictures(source: betas.BetaSource) -> None:
    """A test picture that anybody of these data was trained on is no test."""
    trained = [i[s.trials_of(TRAIN)] for i, s in zip(source.item, source.sessions, strict=True)]
    tested = [i[s.trials_of(TEST)] for i, s in zip(source.item, source.sessions, strict=True)]
    both = np.intersect1d(np.concatenate(trained), np.concatenate(tested))
    require(
        not len(both),
        f"{len(both)} test pictures are among those to train on, such as "
        f"{list(source.items)[both[0]] if len(both) else ''!r}; keep them for the test",
    )


def _example(one: Test, score: np.ndarray, person: str) -> dict[str, Any]:
    """Embeddings of a few seen pictures, beside those of the three that came first."""
    chosen = np.linspace(0, len(one.name) - 1, min(STRIPS, len(one.name))).astype(int)
    first = np.argsort(-score[chosen], axis=1)[:, :3]
    return {
        "person": person,
        "seen": one.name[chosen].tolist(),
        "found": one.name[first].tolist(),
        "strips": one.embedding[np.concatenate([chosen[:, None], first], 1)],  # [n, 4, E]
    }


def show(evaluation: Mapping[str, Any], log: Log = print) -> None:
    """Tells the scores of a record."""
    log(picture_report.terminal_table(evaluation))


def draw(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Any,
    metrics: Any,
    *,
    suffix: str = "",
    log: Log = print,
) -> None:
    """Writes figures<suffix>/ and report<suffix>.html of a record into a workdir."""
    picture_report.write(Path(folder), evaluation, example, suffix=suffix, log=log)


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """Runs side by side, for `neurojax compare`: see `picture_report.compared`."""
    return picture_report.compared(records)
