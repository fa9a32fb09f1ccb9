"""A model of GPT-2's size: CPU time of scoring beside PyTorch, interleaved, and memory of training beside its estimate.

    pip install torch transformers
    python experiments/language_speed/run.py     # two minutes of one idle CPU core; NEUROJAX_DATA names the pairs

Writes results.json.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import transformers

from neurojax.data import text_tokens
from neurojax.data.readers import text_pairs
from neurojax.data.store import corpus
from neurojax.evals import text_scores
from neurojax.facts import Facts
from neurojax.files import write_json
from neurojax.finetune import public_weights
from neurojax.runs import state_io
from neurojax.runs.workdir import provenance
from neurojax.train import settings, state
from neurojax.train.predictor import Predictor

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
NUM_PAIRS, REPEATS, SEED = 2, 5, 0
TOKENS_PER_PASS = 1024  # of configs/causal_lm.py


def random_gpt2() -> transformers.GPT2LMHeadModel:
    """124 million parameters."""
    torch.manual_seed(SEED)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()


def ours_of(model: transformers.GPT2LMHeadModel, folder: Path) -> Predictor:
    """The same weights, by the road of `neurojax import gpt2`."""
    model.save_pretrained(folder)
    stored = public_weights.open_folder(folder, "gpt2")
    config = {"model": stored.model, "objective": {"name": "lm"}, "head": {"name": "categorical"}, "members": 1}
    asked = settings.predicting(config)
    facts = Facts(stored.model["num_positions"], 1.0, num_classes=stored.num_tokens)
    named = state_io.named_leaves(state.abstract_trained(asked.model, facts)["params"])
    arrays = public_weights.parameters(stored, "gpt2", {name: leaf.shape for name, leaf in named.items()})
    return Predictor(state_io.nested(arrays), {}, asked, None, facts=facts.to_record())


def coded_pairs() -> list[list[int]]:
    """Tokens of the first pairs. Of a random model any tokens will do: pieces of four bytes, as many as GPT-2's own."""
    root = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
    pairs = text_pairs.read(root / "brainbench_gpt4" / "BrainBench_GPT-4_v0.1.csv").pairs[:NUM_PAIRS]
    texts = [text.encode() for pair in pairs for text in pair.texts]
    return [[int.from_bytes(text[n : n + 4], "big") % 50257 for n in range(0, len(text), 4)] for text in texts]


def nats_of_torch(model, texts: list[list[int]]) -> list[np.ndarray]:
    """A text at a time, as the protocol's own code does."""
    found = []
    with torch.inference_mode():
        for tokens in texts:
            row = torch.tensor([tokens])
            logits = model(row).logits[0, :-1]
            found.append(torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="none").numpy())
    return found


def cpu_seconds(call) -> tuple[float, list[np.ndarray]]:
    start = time.process_time()
    found = call()
    return time.process_time() - start, found


GPT2_SIZED = {
    "model.width": 768, "model.num_layers": 12, "model.num_heads": 12, "model.num_kv_heads": 12,
    "model.mlp_width": 3072, "model.num_positions": 1024, "data.context_tokens": 256,
    "data.trials_per_batch": 1, "train.num_steps": 2,
    "train.validate_every_steps": 0, "train.save_every_steps": 0,
}  # fmt: skip
VOCABULARY = 50_000


def memory(folder: Path) -> dict[str, float]:
    """MiB of training such a model: as `--dry_run` says, and the peak of a process that does it."""
    words = text_tokens.of_words([f"w{number}" for number in range(VOCABULARY)])
    texts = [" ".join(f"w{(7 * number + place) % VOCABULARY}" for place in range(300)) for number in range(200)]
    corpus.write_shards(corpus.shards_of(texts, words), words, folder / "corpus")
    entries = GPT2_SIZED | {"data.root": folder / "corpus"}
    changed = [f"--config.{name}={value}" for name, value in entries.items()]
    command = ["train", f"--config={REPOSITORY / 'configs' / 'causal_lm.py'}", *changed, f"--workdir={folder / 'run'}"]
    # Trained and no more: an evaluation has a peak of its own.
    program = (
        "import resource, sys\nfrom pathlib import Path\nfrom neurojax.commands import config\n"
        "from neurojax.train import run\n"
        "asked = config.load([word for word in sys.argv[1:] if word.startswith('--config')])\n"
        "run.train(asked, Path(sys.argv[1]))\n"
        "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    told = subprocess.run(
        [sys.executable, "-m", "neurojax", *command, "--dry_run"], capture_output=True, text=True, check=True
    ).stdout
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder / "run"), *command], capture_output=True, text=True, check=True
    ).stdout
    started = "import resource, neurojax.train.run; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    empty = subprocess.run([sys.executable, "-c", started], capture_output=True, text=True, check=True).stdout
    estimate = float(re.search(r"memory: about ([\d,]+) MiB", told)[1].replace(",", ""))
    peak = float(re.search(r"peak (\d+)", done)[1])
    return {"dry_run_mib": estimate, "peak_mib": peak, "empty_process_mib": float(empty)}


def main() -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    texts = coded_pairs()
    reference = random_gpt2()
    with tempfile.TemporaryDirectory() as folder:
        training = memory(Path(folder))
        model = ours_of(reference, Path(folder) / "public")
    context = model.recipe.model.config.num_positions
    calls = {
        "neurojax": lambda: text_scores.nats_of_tokens(model, texts, context, TOKENS_PER_PASS),
        "torch": lambda: nats_of_torch(reference, texts),
    }
    spent = {name: [] for name in calls}
    first = {name: cpu_seconds(call) for name, call in calls.items()}  # compiles, and warms up
    apart = max(float(np.abs(a - b).max()) for a, b in zip(first["neurojax"][1], first["torch"][1], strict=True))
    for _ in range(REPEATS):
        for name, call in calls.items():
            spent[name].append(cpu_seconds(call)[0])
    ratios = np.array(spent["neurojax"]) / np.array(spent["torch"])
    write_json(
        HERE / "results.json",
        {
            "command": "python experiments/language_speed/run.py",
            **provenance(HERE),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "parameters": sum(parameter.numel() for parameter in reference.parameters()),
            "num_texts": len(texts),
            "tokens": [len(tokens) for tokens in texts],
            "first_call_cpu_s": {name: one[0] for name, one in first.items()},
            "cpu_s": spent,
            "ratio": {"median": float(np.median(ratios)), "each": ratios.tolist()},
            "largest_difference_nats": apart,
            "training": training,
        },
    )
    print((HERE / "results.json").read_text(), file=sys.stderr)


if __name__ == "__main__":
    main()
