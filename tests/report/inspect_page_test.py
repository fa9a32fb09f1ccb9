"""The page of `neurojax inspect`: dots lead to cards, names are escaped, and what was not measured is said."""

import re

import pytest

from neurojax.report import inspect_page, svg

pytest.importorskip("matplotlib")


def card(feature, recordings, **more):
    """A card as `evals.inside.cards` makes it."""
    top = [{"recording": "day <1>", "trial": t, "peak": 2.0 - t, "trace": [0.0, 2.0 - t, 0.5]} for t in range(2)]
    found = {
        "feature": feature,
        "share_of_bins": 0.02 * (feature + 1),
        "energy": 0.5 / (feature + 1),
        "recordings": recordings,
        "fires_in": [name for name, share in recordings.items() if share > 0.01],
        "tuning": [{"column": "choice", "train": 0.6, "test": -0.5}],
        "top_trials": top,
        "words": f"less with choice {feature}",
        "drives": {name: {"change": 1.5, "change_share": share, "absolute": 1.6} for name, share in REGIONS.items()},
    }
    return found | more


REGIONS = {"CA1": 0.2, "<VISp>": -0.4}
SPLICED = {"model": 1.0, "spliced": 0.95, "mean_state": -0.2, "zero_state": -9.0, "kept_above_mean": 0.958}


def record(num_cards=12):
    """A record of two recordings, of which one has a feature of its own."""
    shares = {"day <1>": 0.02, "day_2_with_quite_a_long_name_of_its_own": 0.03}
    cards = [card(number, shares) for number in range(num_cards - 1)]
    cards.append(card(90, {name: 0.02 * (k == 0) for k, name in enumerate(shares)}))
    told = {"accuracy": 0.5, "chance": 0.25, "chance_p95": 0.3, "p": 0.005, "num_units": 40, "num_regions": 2}
    picture = {"x": [0.0, 1.0], "y": [1.0, 0.0], "region": list(REGIONS), "recording": list(shares)}
    columns = {"choice": {"feature": 0.5, "unit": 0.3, "num_recordings": 2, "feature_above_unit": 2}}
    return {
        "model": "ndt_linear",
        "step": 700,
        "kind": "counts",
        "recordings": list(shares),
        "autoencoder": {
            "num_features": 256,
            "num_dims": 64,
            "num_active_found": 15.9,
            "unexplained": 0.04,
            "dead_share": 0.01,
        },
        "splice_in": SPLICED | {"score": "bits/spike", "num_active": 16.0, "sessions": dict.fromkeys(shares, SPLICED)},
        "splice_in_reason": "",
        "stitching": {"num_recordings": 2, "num_alive": 250, "num_dead": 6, "of_one_recording": [90, 200]},
        "columns": columns,
        "cards": cards,
        "gradients": {"regions": list(REGIONS), "share": [[None, 1.0], [1.0, None]]},
        "embeddings": {
            "regions": list(REGIONS),
            "picture": picture,
            "tables": {"read_out": {"units": told, "recordings": None}},
        },
    }


def test_every_dot_leads_to_a_card_and_names_are_escaped():
    page = inspect_page.html_of(record(), "run <b>")
    links, ids = set(re.findall(r'href="#(f\d+)"', page)), set(re.findall(r'id="(f\d+)"', page))
    assert len(ids) == 12 and links == ids  # feature 200 is named and has no card
    assert "feature 200" in page and "run &lt;b&gt;" in page and "&lt;VISp&gt;" in page
    assert "<b>" not in page and "<VISp>" not in page and "day <1>" not in page
    assert page.count("class=alone>") == 1


def test_sentences_say_what_was_kept_and_what_failed():
    found = "\n".join(inspect_page.sentences(record()))
    assert "keep 95.8 % of what states add to their mean (0.950 of 1.000 bits/spike, -0.200 from" in found
    assert "2 of 250 features fire in one recording alone: stitching failures." in found
    rows = "read-out rows: balanced accuracy"
    assert f"Regions are read from {rows} 0.50 where units are left out (chance 0.25, p 0.005)." in found
    assert "4.0 % of the variance of the states of training trials that they were fitted to" in found
    blind = record()
    blind["embeddings"]["tables"]["read_out"]["recordings"] = {"accuracy": 0.3, "chance": 0.25, "p": 0.3}
    found = inspect_page.sentences(blind)
    assert found[-1] == f"Regions are not read from {rows} 0.30 where recordings are left out (chance 0.25, p 0.3)."
    assert found[-2].startswith(f"Regions are read from {rows} 0.50 where units") and "recordings" not in found[-2]
    blind["gradients"]["num_entries"] = [[0, 40], [24, 0]]
    assert "at least 24 spikes added for each square" in inspect_page._map_caption(blind["gradients"])


def test_what_was_not_measured_is_said_and_the_page_stands():
    bare = record() | {"splice_in": None, "splice_in_reason": "a reason", "gradients": None, "embeddings": None}
    bare["stitching"] = bare["stitching"] | {"num_recordings": 1, "of_one_recording": []}
    bare["cards"] = [card(3, {"day <1>": 0.1}, drives={}, tuning=[])]
    page = inspect_page.html_of(bare, "run")
    assert "No splice-in: a reason." in page and "stitching failures" not in page and 'id="f3"' in page
    assert "No feature ever fires." in inspect_page.html_of(bare | {"cards": []}, "run")
    unsaid = bare | {"splice_in": SPLICED | {"kept_above_mean": None, "score": "R2", "num_active": 1.0, "sessions": {}}}
    assert "predict no better than their mean" in " ".join(inspect_page.sentences(unsaid))


def test_larger_shares_lie_to_the_right_and_larger_effects_higher():
    dots = [svg.Dot(0.001, 1.0, 0.1, "red", "#a", "a"), svg.Dot(0.5, 30.0, 1.0, "red", "#b", "b")]
    drawn = svg.dot_map(dots, 400, 300, "x", "y", "a map")
    found = re.findall(r'href="(#\w)"><circle cx="(.*?)" cy="(.*?)"', drawn)
    place = {link: (float(x), float(y)) for link, x, y in found}
    assert 40 < place["#a"][0] < place["#b"][0] < 400 and 0 < place["#b"][1] < place["#a"][1] < 300
    assert "<a" in drawn and drawn.index("#b") < drawn.index("#a")  # the large one lies below
    assert svg.dot_map([], 400, 300, "x", "y", "a map").startswith("<svg")
