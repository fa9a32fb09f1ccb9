"""Made-up findings whose best reader is known: how near a small language model comes, by size, text and noise.

    python experiments/findings/run.py [--runs=runs/findings] [--arms=base,noise_low,...]

Each arm trains configs/causal_lm.py with a few entries changed, or fine-tunes the base run on a world turned round
(configs/finetune_text.py); a repeated command goes on where it was. Writes results.json of all arms that are trained.
"""

import argparse
import json
import math
import os
import resource
from pathlib import Path

import numpy as np
import safetensors.numpy

from neurojax.analysis import scaling
from neurojax.commands import config
from neurojax.data import text_tokens
from neurojax.data.readers import text_pairs
from neurojax.data.synthetic import findings
from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.runs.restore import newest_manifest
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
DOCUMENTS = 300_000
BASE = {
    "model.width": 64, "model.mlp_width": 256, "model.num_heads": 8, "model.num_kv_heads": 8,
    "optimizer.learning_rate": 3e-3, "train.num_steps": 8000,
}  # fmt: skip


def sized(width: int, num_heads: int = 8) -> dict:
    """Another width of the base run; heads have an even number of dims."""
    heads = {"model.num_heads": num_heads, "model.num_kv_heads": num_heads}
    return {"model.width": width, "model.mlp_width": 4 * width} | heads


def told(num_documents: int) -> dict:
    """A world told in fewer abstracts, each read twice, as in the other arms."""
    steps = {"train.num_steps": BASE["train.num_steps"] * num_documents // DOCUMENTS}
    return {"data.synthetic.num_documents": num_documents} | steps


NARROW = sized(32)
ARMS = {
    "base": {},
    "width_32": NARROW,
    "width_24": sized(24, num_heads=4),
    "width_16": sized(16),
    "width_8": sized(8, num_heads=4),
    "told_150000": NARROW | told(150_000),
    "told_37500": NARROW | told(37_500),
    "told_18750": NARROW | told(18_750),
    "told_9375": NARROW | told(9375),
    "documents_10000": NARROW | {"data.synthetic.num_documents": 10_000},  # read 63 times
    "noise_low": NARROW | {"data.synthetic.noise": "low"},
    "noise_high": NARROW | {"data.synthetic.noise": "high"},
}
LEAST_SIZES = 4  # of a curve
# Axes of the learning curves: arms from the smallest to the largest, and what their size is.
CURVES = {
    "parameters": ("width_8", "width_16", "width_24", "width_32", "base"),
    "documents": ("told_9375", "told_18750", "told_37500", "told_150000", "width_32"),
}
# Half of all pairs of agent and measure have their direction turned round; both start from the base run. Adapters want
# a higher rate: 2e-2 was the best of 3e-3, 1e-2 and 2e-2 by the likelihood of validation documents.
TURNED = {"data.synthetic.num_documents": 100_000}
TUNED = {
    "full": {"train.num_steps": 1500},
    "lora": {
        "train.num_steps": 2500, "optimizer.learning_rate": 2e-2, "finetune.lora.rank": 1,
        "finetune.lora.layers": "query,value,output,gate,expand,contract",
    },
}  # fmt: skip


# Published names of a layer of GPT-2 and the shapes of their weights.
WIDTH, VOCABULARY = 768, 50_257
OF_A_LAYER = {
    "attn.c_attn": (WIDTH, 3 * WIDTH), "attn.c_proj": (WIDTH, WIDTH), "ln_1": (WIDTH,), "ln_2": (WIDTH,),
    "mlp.c_fc": (WIDTH, 4 * WIDTH), "mlp.c_proj": (4 * WIDTH, WIDTH),
}  # fmt: skip


def train(name: str, runs: Path) -> dict:
    """The evaluation of an arm, trained unless it is."""
    entries = {"data.synthetic.num_documents": DOCUMENTS} | BASE | ARMS[name]
    return trained("causal_lm.py:family=llama", runs / name, entries)


def tune(strategy: str, runs: Path) -> dict:
    """The base run fine-tuned on the other world."""
    entries = {"init_from": runs / "base", "finetune.strategy": strategy} | TURNED | TUNED[strategy]
    return trained("finetune_text.py", runs / f"tuned_{strategy}", entries)


def trained(declaration: str, folder: Path, entries: dict) -> dict:
    """Trains and evaluates a run; the CPU seconds of the call that finished it stay in its folder."""
    before, kept = cpu_seconds(), folder / "cpu_seconds.json"
    if not (kept.is_file() and is_of(folder, entries)):
        changed = [f"--config.{entry}={value}" for entry, value in entries.items()]
        done(main(["train", f"--config={REPOSITORY / 'configs' / declaration}", f"--workdir={folder}", *changed]))
    if not kept.is_file():
        write_json(kept, {"cpu_seconds": round(cpu_seconds() - before, 1)})
    asked = read_json(folder / "config.json")["data"]["synthetic"]["num_documents"]
    counts = {"parameters": number_of_parameters(folder), "documents": asked, **read_json(kept)}
    return summary(read_json(folder / "evaluation.json")) | counts


def is_of(folder: Path, entries: dict) -> bool:
    """Whether a run has these entries; where they stand elsewhere, training itself compares them."""
    for name, value in entries.items():
        found = read_json(folder / "config.json")
        for part in name.replace("finetune.lora", "model.lora").split("."):
            found = found.get(part, {})
        if str(found) != str(value):
            return False
    return True


def number_of_parameters(folder: Path) -> int:
    """Parameters that train."""
    arrays = newest_manifest(folder / "checkpoints")["arrays"]
    return sum(math.prod(entry["shape"]) for name, entry in arrays.items() if name.startswith("params/"))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def summary(record: dict) -> dict:
    """What a page or a figure needs of an evaluation."""
    pairs = record["pairs"]
    kept = ("accuracy", "accuracy_ci95", "num_items", "best_reader", "share_of_best", "calibration", "no_context")
    true = [np.log(one["perplexity"][one["label"]]) for one in pairs["items"]]
    found = {"nats_per_token_of_true_texts": float(np.mean(true)), "text": record.get("text")}
    return {name: pairs[name] for name in kept if name in pairs} | found


def curve(arms: dict, axis: str) -> dict:
    """What more of an axis does to the nats a token of the same true texts, and how well its form foretells the
    largest size from the others; raises InputError for too few sizes."""
    here = [arms[name] for name in CURVES[axis] if name in arms]
    sizes, nats = [one[axis] for one in here], [one["nats_per_token_of_true_texts"] for one in here]
    drawn = scaling.points(sizes, nats)
    return {
        "sizes": sizes,
        "nats_per_token": nats,
        "accuracy": [one["accuracy"] for one in here],
        "held_out": [one._asdict() for one in scaling.compare(drawn, limits=(0, np.inf))],
        "forecast": scaling.forecast(drawn, 2 * max(sizes), limits=(0, np.inf))._asdict(),
    }


def on_pairs(run: Path, pairs: Path) -> dict:
    """A run on a file of pairs that it was not trained on; what is scored is not scored again."""
    out = run / f"{pairs.stem}.json"
    if not out.is_file():
        done(main(["evaluate", f"--workdir={run}", "--protocol=brainbench", f"--data={pairs}", f"--out={out}"]))
    return summary(read_json(out))


def done(code: int) -> None:
    """Ends where a command has failed."""
    if code:
        raise SystemExit(code)


def random_of_gpt2_size(runs: Path, pairs: Path) -> Path:
    """Random weights of GPT-2's size, by the road of public ones; the words of the pairs are its tokens."""
    folder, public = runs / "random_gpt2", runs / "random_gpt2_public"
    if (folder / "config.json").is_file():
        return folder
    public.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "gpt2", "n_embd": WIDTH, "n_layer": 12, "n_head": 12, "n_positions": 1024}
    write_json(public / "config.json", config | {"vocab_size": VOCABULARY})
    texts = [text for pair in text_pairs.read(pairs).pairs for text in pair.texts]
    words = sorted({word for text in texts for word in text_tokens.words_of(text)})
    (public / text_tokens.FILE_NAME).write_bytes(text_tokens.of_words(words).content)
    shapes = {"wte.weight": (VOCABULARY, WIDTH), "wpe.weight": (1024, WIDTH), "ln_f.weight": (WIDTH,)}
    shapes |= {f"h.{n}.{name}.weight": shape for n in range(12) for name, shape in OF_A_LAYER.items()}
    biased = {name: shape for name, shape in shapes.items() if name not in ("wte.weight", "wpe.weight")}
    shapes |= {name.replace("weight", "bias"): shape[-1:] for name, shape in biased.items()}
    rng = np.random.default_rng(0)
    arrays = {name: 0.02 * rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    arrays |= {name: np.ones(shape, np.float32) for name, shape in biased.items() if "ln_" in name}
    safetensors.numpy.save_file(arrays, public / "model.safetensors")
    done(main(["import", "gpt2", str(public), f"--out={folder}"]))
    return folder


def shares(results: dict) -> dict:
    """Of the gain of full fine-tuning, and of the parameters, what adapters have."""
    right = {name: one["accuracy"] for name, one in results["tuned"].items()}
    gain = (right["lora"] - right["before"]) / (right["full"] - right["before"])
    parameters = {name: results["tuned"][name]["parameters"] for name in TUNED}
    return {"share_of_gain": gain, "share_of_parameters": parameters["lora"] / parameters["full"]}


def turned_pairs(runs: Path) -> Path:
    """Pairs of the world that the fine-tuned runs are trained on, those that they are scored on."""
    declared = config.load([f"--config={REPOSITORY / 'configs' / 'finetune_text.py'}"])
    spec = findings.FindingsSpec(**declared["data"]["synthetic"])
    lines = [{"texts": pair.texts, "label": pair.label} for pair in findings.pairs(spec, declared["seed"])]
    path = runs / "turned_pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/findings"))
    parser.add_argument("--arms", default=",".join([*ARMS, *(f"tuned_{name}" for name in TUNED), "random"]))
    options = parser.parse_args()
    data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
    asked = {one.parent.name for one in options.runs.glob("*/cpu_seconds.json")} | set(options.arms.split(","))
    results = {"command": "python experiments/findings/run.py", **provenance(HERE)}
    results["arms"] = {name: train(name, options.runs) for name in ARMS if name in asked}
    told_of = [axis for axis, arms in CURVES.items() if len(asked.intersection(arms)) >= LEAST_SIZES]
    results["curves"] = {axis: curve(results["arms"], axis) for axis in told_of}
    results["tuned"] = {name: tune(name, options.runs) for name in TUNED if f"tuned_{name}" in asked}
    if set(results["tuned"]) == set(TUNED):
        results["tuned"]["before"] = on_pairs(options.runs / "base", turned_pairs(options.runs))
        results["adapters"] = shares(results)
    real = data / "brainbench_gpt4" / "BrainBench_GPT-4_v0.1.csv"  # nothing is trained on them: chance is expected
    if "base" in asked and real.is_file():
        results["brainbench_gpt4"] = on_pairs(options.runs / "base", real)
    if ("random" in asked or (options.runs / "random_gpt2").is_dir()) and real.is_file():
        results["brainbench_gpt4_random"] = on_pairs(random_of_gpt2_size(options.runs, real), real)
    write_json(HERE / "results.json", results)
