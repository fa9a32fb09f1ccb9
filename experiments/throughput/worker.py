"""The end of the pipe in a timed process: gets ready, then runs steps when told to. Knows neither jax nor torch."""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable

from rows import COMPARISONS, Shape


def asked(description: str) -> tuple[str, Shape, str]:
    """(side, shape, "cpu" or "gpu") that the command line of a timed process names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("comparison", choices=tuple(COMPARISONS))
    parser.add_argument("variant", type=int)
    parser.add_argument("device", choices=("cpu", "gpu"))
    given = parser.parse_args()
    _, side, shape = COMPARISONS[given.comparison][given.variant]
    return side, shape, given.device


def serve(ready: dict, run_steps: Callable[[int], float], at_end: Callable[[], dict] = dict) -> None:
    """Answers each line `N` on standard input with the seconds that N steps took; an empty line ends it.

    Args:
        ready: what is known before the first timed step.
        run_steps: runs so many steps, waits for them and returns the last loss.
        at_end: what is known after the last one.
    """
    say(ready)
    for line in sys.stdin:
        if not line.strip():
            break
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        loss = run_steps(int(line))
        say({"wall_s": time.perf_counter() - wall_s, "cpu_s": time.process_time() - cpu_s, "loss": loss})
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    say({"peak_host_bytes": peak_kib * 1024, **at_end()})


def say(answer: dict) -> None:
    """One line of JSON."""
    print(json.dumps(answer), flush=True)
