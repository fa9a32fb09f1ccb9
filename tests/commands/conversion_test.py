"""Workers of a conversion end with it, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
IDLE_POOL = """
import concurrent.futures, multiprocessing, os, time
from neurojax.commands.conversion import die_with_parent

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(2, mp_context=context, initializer=die_with_parent)
    print(*{pool.submit(os.getpid).result() for _ in range(4)}, *pool._processes, flush=True)
    time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"  # a zombie is dead, only not yet collected


def test_no_worker_outlives_a_killed_parent(tmp_path):
    script = tmp_path / "idle_pool.py"
    script.write_text(IDLE_POOL)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen([sys.executable, str(script)], env=environment, text=True, stdout=subprocess.PIPE) as parent:
        try:
            workers = {int(word) for word in parent.stdout.readline().split()}
            assert workers and all(is_alive(pid) for pid in workers)
        finally:
            parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while any(is_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    alive = [pid for pid in workers if is_alive(pid)]
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    assert alive == []
