"""Faults put into real runs, and what was left: one printed line, one entry of results.json a fault.

    python experiments/fault_injection/run.py [--seeds=100] [--only=kill,soak] [--parallel=2] [--first_seed=0]

Each part replaces its own entry of results.json, so that parts may be run one at a time; kills of other
seeds are kept, each row with its commit.
"""

import argparse
import contextlib
import datetime
import functools
import json
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from neurojax.files import read_json, write_json
from neurojax.runs import manifest
from neurojax.runs.workdir import package_versions

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
REPOSITORY = HERE.parents[1]
TINY_RUN = [sys.executable, str(HERE / "tiny_run.py")]
SOAK = [sys.executable, str(HERE / "soak.py")]
STEPS = 40


class Bench:
    """Starts tiny runs in a scratch folder; programs are compiled once, by runs that nobody kills."""

    def __init__(self, scratch: Path, seeds: range, parallel: int):
        self.scratch, self.seeds, self.parallel = scratch, seeds, parallel

    def environment(self, devices: int) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "JAX_PLATFORMS": "cpu",
            "OPENBLAS_NUM_THREADS": "1",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} --xla_cpu_multi_thread_eigen=false",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            "JAX_COMPILATION_CACHE_DIR": str(self.scratch / f"compiled_{devices}"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }

    @contextlib.contextmanager
    def started(self, folder: Path, *words: str, devices: int = 1, processes: int = 1):
        """Popen objects of a run; output in `<folder>.<i>.log`; none outlives the context."""
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        with contextlib.ExitStack() as stack:
            found = []
            for index in range(processes):
                command = [*TINY_RUN, f"--workdir={folder}", *words]
                if processes > 1:
                    command += [f"--coordinator=localhost:{port}", f"--num_processes={processes}"]
                    command += [f"--process_id={index}"]
                log = stack.enter_context(Path(f"{folder}.{index}.log").open("a"))
                process = subprocess.Popen(command, env=self.environment(devices), stdout=log, stderr=log)
                stack.callback(process.wait)
                stack.callback(process.kill)
                found.append(process)
            yield found

    def run(self, folder: Path, *words: str, devices: int = 1, processes: int = 1) -> tuple[list[int], dict]:
        """Exit codes and result.json of a run left alone."""
        (folder / "result.json").unlink(missing_ok=True)
        with self.started(folder, *words, devices=devices, processes=processes) as found:
            codes = [process.wait() for process in found]
        return codes, read_json(folder / "result.json") if 0 in codes else {}

    @functools.cached_property
    def undisturbed(self) -> dict:
        """The run all others are held against; the first fills the cache of programs, the second is timed."""
        for name in ("first", "undisturbed"):
            folder = self.scratch / name
            codes, result = self.run(folder, f"--num_steps={STEPS}")
            if codes != [0]:
                raise SystemExit(output(folder))
        lines = trace(folder)
        times = [line["time_s"] for line in lines]
        step_s = [after - before for before, after in zip(times, times[1:], strict=False)]
        return result | {"trace": arrays_of(lines), "step_s": [*step_s, step_s[-1]], "losses": losses_of(folder)}


def commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()


def output(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.parent.glob(f"{folder.name}.*.log")))


def trace(folder: Path, index: int = 0) -> list[dict]:
    path = folder / f"trace_{index}.jsonl"
    # A killed process may leave half a line.
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []


def arrays_of(lines: list[dict]) -> dict[int, str]:
    """step -> digest of its batch, the last that was read of each step."""
    return {line["step"]: line["arrays"] for line in lines}


def losses_of(folder: Path) -> dict[int, str]:
    rows = (json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines())
    return {row["step"]: float(row["train/loss"]).hex() for row in rows}


def wait_for(condition, process: subprocess.Popen, pause_s: float = 0.005) -> bool:
    """Whether `condition()` came true before the process ended."""
    while process.poll() is None:
        if condition():
            return True
        time.sleep(pause_s)
    return condition()


def kill(bench: Bench) -> tuple[str, dict]:
    """kill -9 at a uniformly random moment of a loop that saves every step, then resume."""
    expected = bench.undisturbed

    def one(seed: int) -> dict:
        folder, rng = bench.scratch / f"kill_{seed}", random.Random(seed)
        at = rng.uniform(0, STEPS)  # in steps: a share of the loop's time would miss the loop on a machine under load
        with bench.started(folder, f"--num_steps={STEPS}") as (process,):
            wait_for(lambda: len(trace(folder)) > int(at), process, pause_s=0.001)
            committed = max(manifest.steps_on_disk(folder / "checkpoints"), default=-1)
            time.sleep(at % 1 * expected["step_s"][int(at)])
            process.kill()
            process.wait()
        saving = bool(manifest.unfinished_steps(folder / "checkpoints"))
        before = max([committed, *manifest.steps_on_disk(folder / "checkpoints")])
        codes, result = bench.run(folder, f"--num_steps={STEPS}")
        resumed = result["restored"][0][0] if result.get("restored") else -1
        same = codes == [0] and result["digest"] == expected["digest"]
        same = same and arrays_of(trace(folder)) == expected["trace"] and losses_of(folder) == expected["losses"]
        quarantined = manifest.quarantined(folder / "checkpoints")
        shutil.rmtree(folder, ignore_errors=True)
        row = {
            "seed": seed, "at": round(at, 2), "killed": process.returncode == -signal.SIGKILL, "saving": saving,
            "newest_at_kill": before,
            "resumed_from": resumed, "bit_equal": same, "quarantined": quarantined, "commit": commit(),
        }  # fmt: skip
        print(row, file=sys.stderr, flush=True)
        return row

    with ThreadPoolExecutor(bench.parallel) as pool:
        rows = list(pool.map(one, bench.seeds))
    earlier = read_json(RESULTS).get("kill", {}).get("rows", []) if RESULTS.exists() else []
    rows = sorted([row for row in earlier if row["seed"] not in bench.seeds] + rows, key=lambda row: row["seed"])
    lost = sum(row["newest_at_kill"] - row["resumed_from"] for row in rows)
    equal, killed = sum(row["bit_equal"] for row in rows), sum(row["killed"] for row in rows)
    hit = len({row["newest_at_kill"] for row in rows})
    line = f"kill -9: {len(rows)} seeds, {lost} committed steps lost, {equal} of {len(rows)} bit-equal"
    saving = sum(row["saving"] for row in rows)
    died = f"{killed} died in the loop, at {hit} different steps, {saving} half-way in a save"
    return f"{line} ({died})", {"rows": rows}


def stop(bench: Bench) -> tuple[str, dict]:
    """SIGTERM and SIGINT at a random step, then resume."""
    expected, rows = bench.undisturbed, []
    for number in (signal.SIGTERM, signal.SIGINT):
        for seed in list(bench.seeds)[:5]:
            folder, at = bench.scratch / f"stop_{number}_{seed}", random.Random(seed).randrange(2, STEPS - 22)
            words = (f"--num_steps={STEPS}", "--save_every=0", "--pause_s=0.02")
            with bench.started(folder, *words) as (process,):
                wait_for(lambda folder=folder, at=at: len(trace(folder)) > at, process)
                process.send_signal(number)
                asked_at, code = len(trace(folder)), process.wait()
            saved = max(manifest.steps_on_disk(folder / "checkpoints"), default=-1)
            _, result = bench.run(folder, f"--num_steps={STEPS}", "--save_every=0")
            same = result.get("digest") == expected["digest"] and losses_of(folder) == expected["losses"]
            same = same and arrays_of(trace(folder)) == expected["trace"]
            rows.append({
                "signal": number.name, "code": code, "asked_at": asked_at, "saved": saved, "steps_after": STEPS - saved,
                "bit_equal": same,
            })  # fmt: skip
    late = max(row["saved"] - row["asked_at"] for row in rows)
    codes, least = {row["code"] for row in rows}, min(row["steps_after"] for row in rows)
    equal = sum(row["bit_equal"] for row in rows)
    return (
        f"SIGTERM, SIGINT: {len(rows)} runs, exit codes {sorted(codes)}, saved at most {late} step(s) after the one "
        f"under way, {equal} of {len(rows)} bit-equal over {least} steps or more (losses, batches, parameters)",
        {"rows": rows},
    )


def damage(bench: Bench) -> tuple[str, dict]:
    """Every file of a checkpoint: 20 single bits, a truncation, a deletion."""
    folder, rng = bench.scratch / "damage", random.Random(0)
    bench.run(folder, "--num_steps=4", "--save_every=2")
    step_dir = folder / "checkpoints" / "4"
    files = sorted(path for path in step_dir.rglob("*") if path.is_file())
    cases = detected = fallbacks = 0
    for path in files:
        raw = path.read_bytes()
        for case in range(22):
            damaged = bytearray(raw)
            if case < 20:
                bit = rng.randrange(8 * len(raw))
                damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged if case < 20 else raw[: rng.randrange(len(raw))])
            if case == 21:
                path.unlink()
            cases += 1
            detected += bool(manifest.verify_step(step_dir))
        path.write_bytes(raw)
    for index, path in enumerate(rng.sample(files, 5)):
        copy = shutil.copytree(folder, bench.scratch / f"damage_{index}")
        target = copy / path.relative_to(folder)
        target.write_bytes(target.read_bytes()[:-1])
        _, result = bench.run(copy, "--num_steps=4", "--save_every=2")
        aside = target.is_relative_to(step_dir) or manifest.quarantined(copy / "checkpoints") == ["4.damaged-1"]
        # A damaged manifest is no manifest of another step: it is set aside too.
        fallbacks += aside and result.get("restored", [[None]])[0][0] == 2 and "is damaged" in output(copy)
    return (
        f"damage: {len(files)} files, {cases} cases, {detected} detected; {fallbacks} of 5 runs set the step aside and "
        "went on from the older one",
        {"files": len(files), "cases": cases, "detected": detected, "fallbacks": fallbacks},
    )


def disk(bench: Bench) -> tuple[str, dict]:
    """A disk that fills while the loop saves every step."""
    if os.geteuid() or shutil.which("mount") is None:
        return "full disk: not run (needs the right to mount a tmpfs)", {}
    expected, rows = bench.undisturbed, []
    for seed in list(bench.seeds)[:5]:
        mount = bench.scratch / f"disk_{seed}"
        mount.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mount)], check=True)
        try:
            folder, ballast = mount / "run", mount / "ballast"
            at = random.Random(seed).randrange(3, STEPS - 5)
            with bench.started(folder, f"--num_steps={STEPS}", "--pause_s=0.05") as (process,):
                wait_for(lambda folder=folder, at=at: len(trace(folder)) > at, process)
                with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(4096))
                filled_at, code = len(trace(folder)), process.wait()
            said = output(folder).strip().replace(str(bench.scratch), "...")
            message = said.splitlines()[-1]
            ended_at = len(trace(folder))
            ballast.unlink()
            whole = [s for s in manifest.steps_on_disk(folder / "checkpoints")
                     if not manifest.verify_step(folder / "checkpoints" / str(s))]  # fmt: skip
            _, result = bench.run(folder, f"--num_steps={STEPS}")
            rows.append({
                "filled_at": filled_at, "ended_at": ended_at, "code": code, "message": message,
                "tracebacks": said.count("Traceback"),
                "older_steps": len(whole), "bit_equal": result.get("digest") == expected["digest"],
            })  # fmt: skip
        finally:
            subprocess.run(["umount", "-l", str(mount)], check=True)
    told = sum(row["code"] == 2 and row["message"].startswith("neurojax: ") and not row["tracebacks"] for row in rows)
    late = max(row["ended_at"] - row["filled_at"] for row in rows)
    equal = sum(row["bit_equal"] for row in rows)
    return (
        f"full disk: {len(rows)} runs, {told} ended with one sentence, at most {late} step(s) later, {equal} of "
        f"{len(rows)} resumed to the bit-equal end after room was made",
        {"rows": rows},
    )


def mesh(bench: Bench) -> tuple[str, dict]:
    """Saved on 8 devices, restored on 1, 2, 4 and 8; 5 more steps; and back on 8."""
    start, rows = bench.scratch / "mesh_start", {}
    bench.run(start, "--num_steps=3", "--save_every=0", devices=8)
    for devices in (8, 1, 2, 4):
        folder = shutil.copytree(start, bench.scratch / f"mesh_{devices}")
        _, result = bench.run(folder, "--num_steps=8", "--save_every=0", devices=devices)
        _, back = bench.run(folder, "--num_steps=9", "--save_every=0", devices=8)
        rows[devices] = {
            "restored": result["restored"][0][1], "back_equal": back["restored"][0][1] == result["digest"],
            "losses": [float.fromhex(loss) for loss in losses_of(folder).values()][:8],
        }  # fmt: skip
    digests, back = {row["restored"] for row in rows.values()}, all(row["back_equal"] for row in rows.values())
    reference = rows[8]["losses"]
    worst = max(abs(a / b - 1) for row in rows.values() for a, b in zip(row["losses"], reference, strict=True))
    return (
        f"devices 8 -> 1, 2, 4, 8 -> 8: {len(digests)} digest at restore, back on 8 equal: {back}, losses of the 5 "
        f"steps after within {worst:.1e}",
        {"rows": {str(devices): row for devices, row in rows.items()}},
    )


def processes(bench: Bench) -> tuple[str, dict]:
    """2 processes, then 1, then 2: the samples of one run."""
    folder, codes = bench.scratch / "processes", []
    for count, steps in ((2, 10), (1, 20), (2, 30)):
        codes += bench.run(folder, f"--num_steps={steps}", processes=count)[0]
    alone = bench.scratch / "alone"
    bench.run(alone, "--num_steps=30")
    seen, expected = ([line["trials"] for line in trace(where)] for where in (folder, alone))
    same = sum(batch == other for batch, other in zip(seen, expected, strict=False))
    return (
        f"processes 2 -> 1 -> 2: exit codes {sorted(set(codes))}, {same} of "
        f"{len(expected)} batches are those of the undisturbed run",
        {"codes": codes, "seen": seen, "expected": expected},
    )


def peer(bench: Bench) -> tuple[str, dict]:
    """kill -9 or stop one of two processes: how long the other stays."""
    rows = []
    for seed, (victim, number) in enumerate([(0, signal.SIGKILL), (1, signal.SIGKILL), (1, signal.SIGSTOP)] * 2):
        folder = bench.scratch / f"peer_{seed}"
        with bench.started(folder, "--num_steps=4000", processes=2) as found:
            wait_for(lambda folder=folder, seed=seed: len(trace(folder)) > 3 + seed, found[0])
            found[victim].send_signal(number)
            start = time.monotonic()
            code = found[1 - victim].wait()
            seconds = time.monotonic() - start
        steps = manifest.steps_on_disk(folder / "checkpoints")
        whole = all(not manifest.verify_step(folder / "checkpoints" / str(step)) for step in steps)
        rows.append({"victim": victim, "signal": number.name, "code": code, "survivor_s": seconds, "whole": whole})
    slowest, nonzero = max(row["survivor_s"] for row in rows), sum(row["code"] != 0 for row in rows)
    return (
        f"a lost process: {len(rows)} runs, the survivor left after {slowest:.1f} s at most, {nonzero} of {len(rows)} "
        f"non-zero, checkpoints whole in {sum(row['whole'] for row in rows)}",
        {"rows": rows},
    )


def soak(bench: Bench) -> tuple[str, dict]:
    """200 saves in one process."""
    out = bench.scratch / "soak.json"
    subprocess.run([*SOAK, f"--out={out}"], env=bench.environment(1), check=True)
    found = read_json(out)
    return (
        f"soak: {found['saves']} saves of {found['state_mb']:.1f} MB, resident memory "
        f"{found['slope_mb_per_save']:+.3f} MB a save, file handles {found['handles_first']} -> "
        f"{found['handles_last']}",
        found,
    )


PARTS = {part.__name__: part for part in (kill, stop, damage, disk, mesh, processes, peer, soak)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=2, help="kill seeds that run at once")
    parser.add_argument("--only", default=",".join(PARTS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fault_injection_") as scratch:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        bench = Bench(Path(scratch), seeds, arguments.parallel)
        for name in arguments.only.split(","):
            start = time.monotonic()
            line, values = PARTS[name](bench)
            print(line, flush=True)
            results = read_json(RESULTS) if RESULTS.exists() else {}  # another part may have written meanwhile
            results[name] = {
                "line": line, **values, "seconds": round(time.monotonic() - start, 1), "commit": commit(),
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "versions": package_versions(),
                "device": f"{os.cpu_count()} x {platform.processor() or platform.machine()}",
            }  # fmt: skip
            write_json(RESULTS, results)


if __name__ == "__main__":
    main()
