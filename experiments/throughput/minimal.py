"""Which part of a step costs XLA more CPU time than PyTorch: programs of a few lines, in turns on one core.

    pip install torch==2.13.0                    # beside neurojax, in one environment
    python experiments/throughput/minimal.py     # minimal.json beside this file; 4 minutes
    python experiments/throughput/minimal.py --memory=fresh    # the same with buffers that go back to the kernel

Each program is the forward and the backward pass of something that a transformer layer of width 512 has, on 16 trials
of 100 bins in float32, written plainly on both sides. Both run in one process on one pinned core with one thread; a
round lets each run once, in an order drawn anew; the ratio of CPU seconds is taken within a round. Results and
gradients agree to 1e-3 of their scale, or nothing is timed. `--memory=kept` is what the neurojax command asks of glibc.
"""

import argparse
import functools
import os
import resource
import sys
from pathlib import Path

from neurojax.start import MEMORY, TUNABLES

FLAGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
FRESH = any("fresh" in word for word in sys.argv[1:])
TUNED = "glibc.malloc.hugetlb=1" if FRESH else MEMORY
ONE_THREAD = {TUNABLES: TUNED, "XLA_FLAGS": FLAGS, "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_THREAD)

import jax  # noqa: E402  (after the environment)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as tf  # noqa: E402

from neurojax.files import read_json, write_json  # noqa: E402
from neurojax.runs.workdir import provenance  # noqa: E402

HERE = Path(__file__).parent
TRIALS, BINS, WIDTH, HIDDEN, HEADS, LAYERS = 16, 100, 512, 1024, 8, 5
ROUNDS = 25


def heads(x):
    return x.reshape(TRIALS, BINS, HEADS, WIDTH // HEADS)


def attention_jax(x, w):
    q, k, v = (heads(x @ w[:, n * WIDTH : (n + 1) * WIDTH]) for n in range(3))
    return jax.nn.dot_product_attention(q, k, v).reshape(x.shape)


def attention_torch(x, w):
    q, k, v = (heads(x @ w[:, n * WIDTH : (n + 1) * WIDTH]).transpose(1, 2) for n in range(3))
    return tf.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)


def normalised(x):
    return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)


def by_squares(x):
    away = x - x.mean(-1, keepdims=True)
    return away / jnp.sqrt((away * away).mean(-1, keepdims=True) + 1e-5)


def mlps_jax(normalise, x, *weights):
    for first, second in zip(weights[::2], weights[1::2], strict=True):
        x = x + jax.nn.gelu(normalise(x) @ first, approximate=False) @ second
    return x


def mlps_torch(x, *weights):
    for first, second in zip(weights[::2], weights[1::2], strict=True):
        x = x + tf.gelu(tf.layer_norm(x, (WIDTH,)) @ first) @ second
    return x


UP, DOWN, SHAPE = (WIDTH, HIDDEN), (HIDDEN, WIDTH), (TRIALS, BINS, WIDTH)
MLPS = [SHAPE, *[UP, DOWN] * LAYERS]
# name -> (shapes of what is given, in JAX, in PyTorch); all of it gets a gradient
PROGRAMS = {
    "one product": ([SHAPE, UP], lambda x, w: x @ w, lambda x, w: x @ w),
    "gelu": ([(TRIALS, BINS, HIDDEN)], lambda x: jax.nn.gelu(x, approximate=False), tf.gelu),
    "layer norm": ([SHAPE], normalised, lambda x: tf.layer_norm(x, (WIDTH,))),
    "softmax": ([(TRIALS, HEADS, BINS, BINS)], lambda x: jax.nn.softmax(x), lambda x: tf.softmax(x, -1)),
    "attention": ([SHAPE, (WIDTH, 3 * WIDTH)], attention_jax, attention_torch),
    "product, gelu, product": (
        [SHAPE, UP, DOWN],
        lambda x, a, b: jax.nn.gelu(x @ a, approximate=False) @ b,
        lambda x, a, b: tf.gelu(x @ a) @ b,
    ),
    "five of these, norms by x.var": (MLPS, functools.partial(mlps_jax, normalised), mlps_torch),
    "five of these, norms by squares": (MLPS, functools.partial(mlps_jax, by_squares), mlps_torch),
}


def sides(name: str):
    """Side -> a call that runs the program forward and back once, and returns all of its results."""
    shapes, of_jax, of_torch = PROGRAMS[name]
    rng = np.random.default_rng(0)
    given = [rng.standard_normal(shape).astype(np.float32) / shape[0] ** 0.5 for shape in shapes]
    towards = rng.standard_normal(jax.eval_shape(of_jax, *given).shape).astype(np.float32)

    @jax.jit
    def both(given, towards):
        out, back = jax.vjp(of_jax, *given)
        return out, *back(towards)

    on_jax = [jnp.asarray(one) for one in given], jnp.asarray(towards)
    on_torch, aim = [torch.tensor(one, requires_grad=True) for one in given], torch.tensor(towards)

    def run_torch():
        out = of_torch(*on_torch)
        return out.detach(), *torch.autograd.grad(out, on_torch, aim)

    return {"jax": lambda: jax.block_until_ready(both(*on_jax)), "torch": run_torch}


def agree(name: str) -> None:
    found = {side: [np.asarray(one) for one in run()] for side, run in sides(name).items()}
    for ours, theirs in zip(found["jax"], found["torch"], strict=True):
        apart = np.abs(ours - theirs).max() / np.abs(theirs).max()
        if apart > 1e-3:
            raise SystemExit(f"{name}: the two sides are {apart:g} apart, expected at most 0.001")


def timed(name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Side -> [rounds, 3]: CPU ms, of these in the kernel, page faults of one run."""
    runs = sides(name)
    for run in runs.values():
        run(), run()
    repeats = {side: max(1, round(50 / spent(run, 1)[0])) for side, run in runs.items()}
    rows = {side: [] for side in runs}
    for _ in range(ROUNDS):
        for side in rng.permutation(list(runs)).tolist():
            rows[side].append(spent(runs[side], repeats[side]) / repeats[side])
    return {side: np.array(found) for side, found in rows.items()}


def spent(run, times: int) -> np.ndarray:
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(times):
        run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    user, kernel = (1e3 * (getattr(after, one) - getattr(before, one)) for one in ("ru_utime", "ru_stime"))
    return np.array([user + kernel, kernel, after.ru_minflt - before.ru_minflt])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", choices=("kept", "fresh"), default="kept")
    parser.add_argument("--results", type=Path, default=HERE / "minimal.json")
    given = parser.parse_args()
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    torch.set_num_threads(1)
    rng, found = np.random.default_rng(0), {}
    for name in PROGRAMS:
        agree(name)
        rows = timed(name, rng)
        ratio = np.quantile(rows["jax"][:, 0] / rows["torch"][:, 0], (0.5, 0.25, 0.75)).round(3).tolist()
        told = ("cpu_ms", "kernel_ms", "page_faults")
        medians = {
            side: dict(zip(told, np.median(one, 0).round(3).tolist(), strict=True)) for side, one in rows.items()
        }
        found[name] = medians | {"jax over torch, median and quartiles": ratio}
        cpu_ms = [medians[side]["cpu_ms"] for side in ("jax", "torch")]
        print(f"{name:32} jax {cpu_ms[0]:9.2f} ms   torch {cpu_ms[1]:9.2f} ms   ratio {ratio}", flush=True)
    about = {"torch": torch.__version__, "jax": jax.__version__, "rounds": ROUNDS}
    known = read_json(given.results) if given.results.exists() else {}
    write_json(given.results, known | {given.memory: {"programs": found} | about | provenance(HERE)})


if __name__ == "__main__":
    main()
