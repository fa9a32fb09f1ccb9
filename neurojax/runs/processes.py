"""Several processes, one run: they start and stop together; none waits for a lost one.

Every process runs the same program on the same data; process 0 alone writes the run's folder. A
process that fails leaves at once. The others then notice it in a collective operation that breaks,
or after HEARTBEAT_TIMEOUT_S without a sign of life, and leave as well: the newest checkpoint
stands.
"""

import contextlib
import os
import re
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from neurojax.errors import InputError, Interrupted, report, require

START_TIMEOUT_S = 120
HEARTBEAT_TIMEOUT_S = 10
SHUTDOWN_TIMEOUT_S = 120
CLOSE_TIMEOUT_S = 5.0  # a save that waits for a lost process never ends


@contextlib.contextmanager
def joined(
    coordinator: str | None, num_processes: int | None = None, process_id: int | None = None
) -> Iterator[None]:
    """Connects this process to the others of its run; to be entered before any other use of jax.

    Inside, a failure ends the process at once: the interpreter's own way out would wait for the
    others.

    Args:
        coordinator: HOST:PORT at which process 0 listens, "auto" to ask the cluster (Slurm,
            Kubernetes, TPU pods, MPI), None for a run of one process.
        num_processes, process_id: how many, and which one this is; not with "auto".

    Raises:
        InputError: incomplete or impossible arguments, or the others cannot be reached.
    """
    if coordinator is None:
        require(
            num_processes is None and process_id is None,
            "--num_processes and --process_id go with --coordinator=HOST:PORT",
        )
        yield
        return
    _connect(coordinator, num_processes, process_id)
    try:
        yield
    except Interrupted:  # all processes stop at the same step
        jax.distributed.shutdown()
        raise
    except BaseException as error:
        code = report(error)
        if code is None:
            traceback.print_exception(error)
            print(
                f"neurojax: process {jax.process_index()} leaves without waiting for the others; "
                "the newest checkpoint stands: start all processes again to resume",
                file=sys.stderr,
            )
        # os._exit flushes nothing.
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: jax's own exit would wait for processes that are still training.
        os._exit(code or 1)
    jax.distributed.shutdown()


def _connect(coordinator: str, num_processes: int | None, process_id: int | None) -> None:
    arguments = {}
    if coordinator == "auto":
        require(
            num_processes is None and process_id is None,
            "--coordinator=auto asks the cluster; leave out --num_processes and --process_id",
        )
    else:
        found = re.fullmatch(r"(.+):(\d{1,5})", coordinator)
        require(
            found and 0 < int(found[2]) < 65536,
            f"--coordinator={coordinator}; expected HOST:PORT of process 0, or auto",
        )
        require(
            None not in (num_processes, process_id) and 0 <= process_id < num_processes,
            f"--num_processes={num_processes} --process_id={process_id}; expected both, with 0 <= "
            "process_id < num_processes",
        )
        _require_reachable(found[1].strip("[]"), int(found[2]), num_processes, process_id)
        arguments = {
            "coordinator_address": coordinator,
            "num_processes": num_processes,
            "process_id": process_id,
        }
    try:
        jax.distributed.initialize(
            **arguments,
            initialization_timeout=START_TIMEOUT_S,
            heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT_S,
            shutdown_timeout_seconds=SHUTDOWN_TIMEOUT_S,
        )
    except (RuntimeError, ValueError) as error:
        remedy = (
            "no cluster was found that says who takes part; give --coordinator=HOST:PORT "
            "--num_processes --process_id"
            if coordinator == "auto"
            else "start all of them within two minutes, each with its own --process_id"
        )
        said = " ".join(str(error).split())[:300]
        raise InputError(
            f"the processes of --coordinator={coordinator} could not be joined ({said}); {remedy}"
        ) from None
    # jax takes one GPU a process on clusters that tell it a local rank
    if _alone_on_its_host(os.environ):
        jax.config.update("jax_cuda_visible_devices", "all")
        jax.config.update("jax_rocm_visible_devices", "all")


def _require_reachable(host: str, port: int, num_processes: int, process_id: int) -> None:
    """Raises InputError where jax would die by a signal: it cannot listen, or nobody does."""
    where = f"--coordinator={host}:{port}"
    if process_id == 0:
        try:
            socket.create_server(("", port)).close()
        except OSError as error:
            raise InputError(
                f"{where}: process 0 cannot listen there ({error.strerror}); choose a free port"
            ) from None
        print(
            f"waiting for {num_processes - 1} more processes at {where}, {START_TIMEOUT_S} s",
            file=sys.stderr,
        )
        return
    # Process 0 may start last: it is tried again until the time is up.
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection((host, port), timeout=5.0).close()
            return
        except socket.gaierror as error:
            raise InputError(
                f"{where}: the host is not known ({error.strerror}); give the name of process 0's"
            ) from None
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"{where}: nobody answered for {START_TIMEOUT_S} s ({error}); start all "
                    "processes within that time"
                ) from None
        time.sleep(0.2)


def _alone_on_its_host(environment: Mapping[str, str]) -> bool:
    """Whether each host holds one process (by Slurm or Open MPI), hence all its accelerators."""
    tasks = environment.get("SLURM_STEP_TASKS_PER_NODE") or environment.get("SLURM_TASKS_PER_NODE")
    if "SLURM_LOCALID" in environment and tasks:
        return re.fullmatch(r"1(\(x\d+\))?", tasks) is not None
    return environment.get("OMPI_COMM_WORLD_LOCAL_SIZE") == "1"


def is_first() -> bool:
    """Whether this process writes the run's folder and speaks to the user."""
    return jax.process_index() == 0


def spoken_by_first(log: Callable[[str], Any]) -> Callable[[str], Any]:
    """A log of which only process 0 tells anything."""
    return log if is_first() else lambda line: None


def require_agreement(what: str, digest_hex: str) -> None:
    """Raises InputError on every process whose digest is not that of process 0."""
    if jax.process_count() == 1:
        return
    from jax.experimental import multihost_utils

    # As numbers, which is what can be sent; 128 bits tell configs and data sets apart.
    mine = np.frombuffer(bytes.fromhex(digest_hex[:32]), np.uint32)
    require(
        np.array_equal(mine, multihost_utils.broadcast_one_to_all(mine)),
        f"{what} of process {jax.process_index()} differ from those of process 0; start all alike",
    )


def stop_votes(mesh: Mesh) -> Callable[[bool], jax.Array | None]:
    """vote(asked) -> what a step adds up so that all processes stop together; None for one.

    The array holds one flag a device; its maximum, computed inside the step, is the same
    everywhere.
    """
    if jax.process_count() == 1:
        return lambda asked: None
    # One flag a device: every process can set its own without talking to the others.
    everywhere = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    shape = (mesh.size,)

    def vote(asked: bool) -> jax.Array:
        return jax.make_array_from_callback(
            shape, everywhere, lambda index: np.full(shape, asked, np.int32)[index]
        )

    return vote
