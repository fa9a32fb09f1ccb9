"""What README's first command spends its time on: CPU seconds by part, and of every program that XLA compiles.

    python experiments/throughput/first_run.py train --config=configs/mtm.py:size=tiny --workdir=/tmp/first

Runs the command as it is, in this process. A part's own time is without that of the parts inside it. CPU seconds are
those of the whole process, threads of XLA and of BLAS included: on a shared machine they say more than the clock.
`XDG_CACHE_HOME=DIR` with an empty folder makes it compile everything, as a first run does.
"""

import functools
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

PARTS = """
jax._src.compiler compile_or_get_cached | jax._src.interpreters.mlir lower_jaxpr_to_module
jax._src.interpreters.partial_eval trace_to_jaxpr | train.plan plan | train.loop train
train.run_folder load_predictor | train.run train_and_evaluate | evals.spikes evaluate
evals.baseline_scores cached_scores | evals.leaks check_evaluation | evals.passes Passes.leave_one_out
evals.passes Passes.whole | evals.passes Passes.hide_together | evals.oracle known_dynamics_smoother
evals.scoring score_session | evals.scoring sums_of | evals.scoring compare_with_best | evals.with_stack mix
evals.trust of_session | evals.likelihoods of_session | evals.reliability psth_reliability
report.figures.report_figures draw_figures | report.run_report write_report
"""
_SHOWN = 12  # programs


class Clock:
    """Own CPU and wall seconds of wrapped functions, those of the main thread."""

    def __init__(self):
        self.parts: dict[str, list[float]] = {}
        self.programs: list[tuple[float, str]] = []
        self._open: list[list[float]] = []

    def wrap(self, module: str, name: str) -> None:
        """Counts the time of a function of a module, or of a method of one of its classes."""
        owner = importlib.import_module(module)
        *classes, last = name.split(".")
        for one in classes:
            owner = getattr(owner, one)
        setattr(owner, last, self._counted(getattr(owner, last), f"{module.removeprefix('neurojax.')}.{name}"))

    def _counted(self, function: Callable, part: str) -> Callable:
        @functools.wraps(function)
        def counted(*args: Any, **options: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return function(*args, **options)
            began, inside = (time.process_time(), time.monotonic()), [0.0, 0.0]
            self._open.append(inside)
            try:
                return function(*args, **options)
            finally:
                took = time.process_time() - began[0], time.monotonic() - began[1]
                self._open.pop()
                found = self.parts.setdefault(part, [0, 0.0, 0.0])
                found[0] += 1
                for place in (0, 1):
                    found[1 + place] += took[place] - inside[place]
                    if self._open:
                        self._open[-1][place] += took[place]
                if part.endswith("compile_or_get_cached"):
                    program = args[1] if len(args) > 1 else options["computation"]
                    self.programs.append((took[0], str(program.operation.attributes["sym_name"])))

        return counted

    def told(self) -> str:
        """A line a part, the longest first, then the programs that took longest to compile."""
        lines = [f"{'':60}{'calls':>7}{'CPU s':>8}{'wall s':>8}"]
        for part, (calls, cpu_s, wall_s) in sorted(self.parts.items(), key=lambda found: -found[1][1]):
            lines.append(f"{part:60}{calls:7d}{cpu_s:8.2f}{wall_s:8.1f}")
        lines.append(
            f"{len(self.programs)} programs, {sum(cpu_s for cpu_s, _ in self.programs):.1f} CPU s; the longest:"
        )
        lines += [f"  {name:58}{cpu_s:15.2f}" for cpu_s, name in sorted(self.programs, reverse=True)[:_SHOWN]]
        return "\n".join([*lines, f"whole process: {time.process_time():.1f} CPU s"])


def main() -> int:
    # As the command does, before what is imported below: BLAS would take more threads, and jax keep no programs.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from neurojax.commands import compilations
    from neurojax.main import main as command

    compilations.keep_compiled()
    clock = Clock()
    for part in PARTS.replace("\n", "|").split("|"):
        if part.strip():
            module, name = part.split()
            clock.wrap(module if module.startswith("jax.") else f"neurojax.{module}", name)
    print(f"imports: {time.process_time():.2f} CPU s")
    try:
        return command(sys.argv[1:])
    finally:
        print(clock.told())


if __name__ == "__main__":
    sys.exit(main())
