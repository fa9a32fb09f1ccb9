"""Draws figure.png from results.json: who is flagged, and where a decoder cannot leave its clusters.

python experiments/audits/figure.py
"""

from pathlib import Path

import matplotlib.pyplot as plt

from neurojax.files import read_json, write_bytes
from neurojax.report.figures import style

HERE = Path(__file__).resolve().parent
NOISE = "noise 2.4"


def observed(results: dict) -> dict[str, float]:
    """The numbers of expected.json."""
    calibration, pictures = results["calibration"], results["pictures"]
    honest = calibration["honest"]
    found = {"honest runs of the first 20 with an alarm": honest["with_alarm_of_first_20"]}
    found["share of all honest runs with an alarm"] = honest["with_alarm"] / honest["runs"]
    for fault, block in calibration["faults"].items():
        found[f"{fault}: share of runs in which it is found"] = block["found"] / block["runs"]
    for dims in (32, 64, 128):
        curve = results["collapse"][f"{NOISE}, {dims} dims"]
        found[f"{dims} dims: clusters at which half is identified"] = curve["crosses_half_at"]
        found[f"{dims} dims: identified with 2 clusters"] = curve["outside"][0]
        found[f"{dims} dims: identified with 128 clusters"] = curve["outside"][-1]
        found[f"{dims} dims: identified inside"] = curve["inside"]
    for patch in ("planted", "random"):
        block = pictures[f"patch {patch}"]
        found[f"patch {patch}: share of models flagged for it"] = block["patch_flagged"] / block["runs"]
        found[f"patch {patch}: accuracy without it"] = block["accuracy_without_patch"]
    noise = pictures["generator fed noise"]
    found["a generator fed noise: share caught"] = noise["caught"] / noise["runs"]
    found["a generator fed noise: pairwise identification"] = noise["pairwise_identification"]
    return found


def draw(results: dict):
    """The figure."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
    calibration = results["calibration"]
    names = ["nothing planted", *calibration["faults"]]
    honest = calibration["honest"]
    blocks = calibration["faults"].values()
    shares = [honest["with_alarm"] / honest["runs"], *(one["found"] / one["runs"] for one in blocks)]
    left.barh(names[::-1], shares[::-1], color=[*["C0"] * (len(names) - 1), "C7"])
    left.set_xlabel("share of runs flagged (nothing planted: by any item)")
    left.set_xlim(0, 1)
    for number, dims in enumerate((32, 64, 128)):
        for noise in (2.0, 2.4, 2.8):
            curve = results["collapse"].get(f"noise {noise:g}, {dims} dims")
            if curve:
                is_main = noise == 2.4
                label = f"{dims} dims" if is_main else None
                look = {"color": f"C{number}", "alpha": 1 if is_main else 0.35, "label": label}
                right.plot(curve["clusters"], curve["outside"], "o-" if is_main else "-", **look)
    right.set_xscale("log", base=2)
    right.set_xticks([2, 4, 8, 16, 32, 64, 128], ["2", "4", "8", "16", "32", "64", "128"])
    right.set_xlabel("clusters that the decoder was trained on")
    right.set_ylabel("items of a new cluster identified")
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    with style.context():
        write_bytes(HERE / "figure.png", style.png_bytes(draw(read_json(HERE / "results.json"))))
