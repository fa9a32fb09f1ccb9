"""BrainBench from stored scores: accuracies of 22 models and 171 people, their certainty, teams of both.

    python experiments/brainbench/run.py     # seconds; no model is run, no text is read

Reads brainbench_scores below NEUROJAX_DATA and writes results.json.
"""

import csv
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.analysis import choices, confidence, memorisation, teaming
from neurojax.errors import require
from neurojax.files import write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
NUM_BOOT, SEED, NUM_BINS, NUM_FOLDS = 2000, 0, 20, 10
PEOPLE_LEAST = 1  # answers to an item before its share of right ones counts as its difficulty
TEAMED = ("tiiuae--falcon-180B", "meta-llama--Llama-2-70b-hf", "mistralai--Mistral-7B-v0.1", "gpt2")
SETS = ("human_items", "gpt4_items", "human_items_no_context", "gpt4_items_no_context", "catch_trials")
SWAPPED = ("human_items_swapped_seed42", "human_items_swapped_seed1234")
# corpora of texts from before and from after the end of the training data
BEFORE_AFTER = {
    "arxiv": ("arxiv_abstracts_20210601_20211231", "arxiv_abstracts_20230601_20231231"),
    "biorxiv": ("biorxiv_abstracts_2021-06-01_2021-12-01", "biorxiv_abstracts_2023-06-01_2023-12-01"),
}


def table(path: Path) -> dict[str, np.ndarray]:
    """Columns of a CSV file, numbers where all are."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for name, column in columns.items():
        try:
            columns[name] = column.astype(np.float64 if "." in "".join(column) else np.int64)
        except ValueError:
            continue
    return columns


def as_record(found: choices.Estimate, **more: Any) -> dict[str, Any]:
    return {"value": found.value, "se": found.se, "ci95": list(found.ci95), **more}


def accuracies(scores: dict[str, np.ndarray], known: dict[str, np.ndarray]) -> dict[str, Any]:
    """Mean accuracy of the paper's models on a set of items, with intervals, and of each model."""
    right = choices.is_right(scores["perplexity"], scores["label"])  # [M, I]
    names = scores["model"].tolist()
    row = {name: number for number, name in enumerate(known["model"].tolist())}
    of_paper = np.array([known["paper_15"][row[name]] == 1 for name in names])
    family = np.array([known["family"][row[name]] for name in names])
    kind = np.array([known["kind"][row[name]] for name in names])
    mine = right[of_paper]
    num_models, num_items = mine.shape
    item = np.tile(scores.get("item", np.arange(num_items)), num_models)
    of_family = np.repeat(family[of_paper], num_items)
    boot = {"num_boot": NUM_BOOT, "seed": SEED}
    result = {
        "num_items": num_items,
        "num_models": num_models,
        "mean": as_record(choices.estimate(mine, [item], **boot)),
        "mean_over_families": as_record(choices.estimate(mine, [of_family], **boot)),
        "mean_over_items_and_families": as_record(choices.estimate(mine, [item, of_family], **boot)),
        "models": {name: float(share) for name, share in zip(names, right.mean(1), strict=True)},
    }
    for group in ("base", "chat"):
        result[group] = float(mine[kind[of_paper] == group].mean())
    own = np.arange(num_items)
    result["models_ci95"] = {
        name: list(choices.estimate(one, [scores.get("item", own)], **boot).ci95)
        for name, one in zip(names, right, strict=True)
    }
    return result


def of_people(trials: dict[str, np.ndarray]) -> dict[str, Any]:
    """What people answered: shares, intervals over people, over items and over both, certainty."""
    result = {}
    for name in ("human", "gpt4"):
        own = trials["item_set"] == name
        right, item, person = (trials[key][own] for key in ("correct", "item", "participant"))
        boot = {"num_boot": NUM_BOOT, "seed": SEED}
        rated = trials["confidence"][own]
        result[name] = {
            "num_right": int(right.sum()),
            "num_answers": len(right),
            "num_people": len(np.unique(person)),
            "accuracy": as_record(choices.estimate(right, [person], **boot)),
            "accuracy_over_items": as_record(choices.estimate(right, [item], **boot)),
            "accuracy_over_people_and_items": as_record(choices.estimate(right, [person, item], **boot)),
            "subfields": {
                field: {"accuracy": share, "num_answers": number}
                for field, (share, number) in choices.share_by_group(right, trials["journal_section"][own]).items()
            },
            "by_confidence_quintile": confidence.by_rank(rated, right, 5).tolist(),
        }
    return result


def calibration(scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """Accuracy in twenty bins of certainty, its slope and its quarters, of every model."""
    right = choices.is_right(scores["perplexity"], scores["label"])
    found = {}
    for name, one, sure in zip(scores["model"].tolist(), right, choices.certainty(scores["perplexity"]), strict=True):
        bins, quarters = confidence.by_rank(sure, one, NUM_BINS), confidence.by_rank(sure, one, 4)
        found[name] = {
            "bins": bins.round(12).tolist(),
            "slope_per_bin": confidence.slope(bins),
            "bottom_quarter": float(quarters[0]),
            "top_quarter": float(quarters[-1]),
        }
    return found


def difficulty(scores, known, trials) -> dict[str, Any]:
    """Rank correlations of what models and people find hard on the human-made items."""
    own = trials["item_set"] == "human"
    of_paper = np.isin(scores["model"], known["model"][known["paper_15"] == 1])
    margins = choices.margin(scores["perplexity"], scores["label"])[of_paper]
    num_items = margins.shape[1]
    people = choices.mean_by_item(trials["correct"][own], trials["item"][own], num_items)
    answers = np.bincount(trials["item"][own], minlength=num_items)
    enough = np.where(answers >= PEOPLE_LEAST, people, np.nan)
    with_people, among = choices.rank_correlations(margins, enough), choices.rank_correlations(margins)
    return {
        "num_items": int(np.isfinite(enough).sum()),
        "least_answers": PEOPLE_LEAST,
        "with_people": {"mean": float(with_people.mean()), "sd": float(with_people.std())},
        "among_models": {"mean": float(among.mean()), "sd": float(among.std())},
        "models": dict(zip(scores["model"][of_paper].tolist(), with_people.tolist(), strict=True)),
    }


def teams(scores, trials) -> dict[str, Any]:
    """People, a model, and both together by a logistic combination, cross-validated over items."""
    own = trials["item_set"] == "human"
    right, item, person = (trials[key][own] for key in ("correct", "item", "participant"))
    label = scores["label"].astype(np.int64)[item]
    chosen = np.where(right == 1, label, 1 - label)
    # a slider at zero still chose: half a point keeps its side
    human = np.where(chosen == 1, 1.0, -1.0) * (trials["confidence"][own] + 0.5)
    fold = teaming.folds_of_items(item, NUM_FOLDS, SEED)
    boot = {"num_boot": NUM_BOOT, "seed": SEED}
    found = {"num_answers": len(right), "num_folds": NUM_FOLDS, "models": {}}
    for name in TEAMED:
        perplexity = scores["perplexity"][scores["model"].tolist().index(name)]
        # lower perplexity is preferred: above zero for version B
        model = np.log(perplexity[:, 0] / perplexity[:, 1])[item]
        shares = {
            "people": right.astype(np.float64),
            "model": teaming.agrees(teaming.expected(model[:, None], np.ones(1)), label),
            "team": teaming.agrees(teaming.cross_validated(np.stack([human, model], 1), label, fold), label),
        }
        better = shares["team"] - np.maximum(shares["people"].mean(), shares["model"].mean())
        found["models"][name] = {
            **{who: as_record(choices.estimate(one, [person, item], **boot)) for who, one in shares.items()},
            "team_less_better_alone": float(better.mean()),
            "team_less_model": as_record(choices.estimate(shares["team"] - shares["model"], [person, item], **boot)),
        }
    return found


def contamination(data: Path, scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """Ratios of compressed bytes to perplexity: of the items, of text before and after the cut-off."""
    stored = np.load(data / "memorisation.npz", allow_pickle=False)
    found = {}
    for number, name in enumerate(scores["model"].tolist()):
        if f"{name}__human_items__zlib_bytes" not in stored.files:
            continue
        true = (np.arange(scores["perplexity"].shape[1]), scores["label"].astype(np.int64))
        num_bytes = stored[f"{name}__human_items__zlib_bytes"][true]
        of_items = memorisation.ratio(num_bytes, scores["perplexity"][number][true])
        record = {"median": {"human_items": float(np.median(of_items))}, "items_above": {}, "before_above_after": {}}
        ratios = {}
        for key in stored.files:
            corpus, what = key.split("__")[-2:]
            if key.startswith(f"{name}__") and what == "perplexity":
                prefix = key.removesuffix("perplexity")
                ratios[corpus] = memorisation.ratio(stored[f"{prefix}zlib_bytes"], stored[key])
        for corpus, values in ratios.items():
            record["median"][corpus] = float(np.median(values))
            record["items_above"][corpus] = memorisation.share_above(of_items, values)
        for archive, (before, after) in BEFORE_AFTER.items():
            if before in ratios and after in ratios:
                record["before_above_after"][archive] = memorisation.share_above(ratios[before], ratios[after])
        found[name] = record
    return found


def main() -> None:
    start = time.monotonic()
    root = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
    data = root / "brainbench_scores"
    require(data.is_dir(), f"{data} is no folder; expected brainbench_scores below NEUROJAX_DATA")
    known, trials = table(data / "models.csv"), table(data / "human_trials.csv")
    scores = {name: dict(np.load(data / f"{name}.npz", allow_pickle=False)) for name in (*SETS, *SWAPPED)}
    own, items = scores["human_items"], table(data / "human_items.csv")
    of_paper = np.isin(own["model"], known["model"][known["paper_15"] == 1])
    right = choices.is_right(own["perplexity"], own["label"])[of_paper]
    fields = np.tile(items["journal_section"], len(right))
    results = {
        "accuracy": {name: accuracies(scores[name], known) for name in scores},
        "subfields": {
            field: {"accuracy": share, "num_items": number // len(right)}
            for field, (share, number) in choices.share_by_group(right.ravel(), fields).items()
        },
        "people": of_people(trials),
        "calibration": calibration(own),
        "difficulty": difficulty(own, known, trials),
        "teams": teams(own, trials),
        "memorisation": contamination(data, own),
        "labels": dict(zip(known["model"].tolist(), known["label"].tolist(), strict=True)),
        "kinds": dict(zip(known["model"].tolist(), known["kind"].tolist(), strict=True)),
        "num_boot": NUM_BOOT,
        "seconds": round(time.monotonic() - start, 1),
        **provenance(REPOSITORY),
    }
    write_json(HERE / "results.json", results)
    print(f"{HERE / 'results.json'} written in {results['seconds']} s")


if __name__ == "__main__":
    main()
