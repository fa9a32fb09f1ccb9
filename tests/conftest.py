"""The ground every test stands on: eight virtual CPU devices, strict shapes, no network."""

import argparse
import gc
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import pytest

if "jax" in sys.modules:
    raise RuntimeError("jax was imported before tests/conftest.py could ask for eight devices; find the plugin")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Test runs go side by side: with more threads each, linear algebra mostly waits for the other's.
for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
# The eight devices of a process share XLA's threads, one a core: on two cores a program large enough to be divided
# among threads waits for ever for those that its neighbours hold.
os.environ.setdefault("NPROC", "16")
# Tests are many programs that run once: most of their time would go into optimising them. Child processes inherit this.
_FLAGS = [("xla_force_host_platform_device_count", 8), ("xla_backend_optimization_level", 0)]
if metadata.version("jax").startswith("0.10."):  # later ones have no other emitters, and end at an unknown flag
    _FLAGS.append(("xla_cpu_use_fusion_emitters", "false"))  # compiles in less than half the time
    _FLAGS.append(("xla_cpu_parallel_codegen_split_count", 1))  # a fifth less: no thread waits for the parts
for _flag, _value in _FLAGS:
    if _flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --{_flag}={_value}".strip()

os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # for child processes, whose home is the user's

import jax  # noqa: E402  (the environment above is read at import)

jax.config.update("jax_numpy_rank_promotion", "raise")

_STARTED_S = time.monotonic()
_CHECKOUT = Path(__file__).resolve().parent.parent
_COMPILATION_CACHE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Compiles equal programs once per test run; the folder is new for every run.

    It is set in the configuration, not in the environment: jax does not write an entry
    atomically, and tests kill their child processes.
    """
    parent = config.cache.mkdir("compiled") if hasattr(config, "cache") else None
    folder = tempfile.mkdtemp(dir=parent)
    config.stash[_COMPILATION_CACHE] = folder
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def pytest_collection_finish() -> None:
    """Garbage is looked for seldom: tracing makes millions of objects that stay; to look took a tenth of all time."""
    gc.collect()
    gc.freeze()  # modules and tests, which are never garbage
    gc.set_threshold(100_000, 20, 50)


MAPPINGS = Path("/proc/self/maps")
MOST_MAPPINGS = 30_000  # of the 65,530 that Linux gives a process; beyond them XLA crashes


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Compiled programs go, between files, before their memory mappings are too many."""
    if nextitem is None or nextitem.path == item.path or not MAPPINGS.exists():
        return
    if MAPPINGS.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "tests in an order drawn from SEED, of which none starts after SECONDS, e.g. 7:60"
    parser.addoption("--sample", metavar="SEED:SECONDS", type=_sample, help=text)
    text = "of the cases of each test one in N, at least one, drawn from SEED, e.g. 7:4"
    parser.addoption("--cases", metavar="SEED:N", type=_cases, help=text)


def _sample(text: str) -> tuple[str, float]:
    seed, colon, seconds = text.rpartition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r}; expected SEED:SECONDS")
    return seed, float(seconds)


def _cases(text: str) -> tuple[str, int]:
    seed, colon, share = text.rpartition(":")
    if not colon or not share.isdecimal() or int(share) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected SEED:N")
    return seed, int(share)


def _drawn(ids: list[str], seed: str, share: int) -> set[str]:
    """One in `share` of the cases of each test, rounded up: each test is among them, whatever its cases."""
    tests: dict[str, list[str]] = {}
    for name in ids:
        tests.setdefault(name.partition("[")[0], []).append(name)
    drawn = {
        test: random.Random(f"{seed}/{test}").sample(cases, -(-len(cases) // share)) for test, cases in tests.items()
    }
    return {name for cases in drawn.values() for name in cases}


@pytest.hookimpl(trylast=True)  # after -m and -k, so that a test's one case is among those asked for
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.cases:
        drawn = _drawn([item.nodeid for item in items], *config.option.cases)
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in drawn])
        items[:] = [item for item in items if item.nodeid in drawn]
    if config.option.sample:
        random.Random(config.option.sample[0]).shuffle(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    sample = item.config.option.sample
    if sample and time.monotonic() - _STARTED_S > sample[1]:
        pytest.skip("the time of the sample is over")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash.get(_COMPILATION_CACHE, ""), ignore_errors=True)


_LOCAL_HOSTS = frozenset({None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::", socket.gethostname()})


class NetworkBlockedError(RuntimeError):
    """A test tried to leave the machine."""


def _refuse_remote(host: str | bytes | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name not in _LOCAL_HOSTS and not str(name).startswith("127."):
        raise NetworkBlockedError(f"tests use no network, but something asked for {name!r}; put the data in the test")


def _guarded(method):
    """Wraps a socket method whose last argument is the address."""

    def call(self, *args):
        if self.family != socket.AF_UNIX:
            _refuse_remote(args[-1][0])
        return method(self, *args)

    return call


def _guarded_lookup(lookup):
    def call(host, *args, **kwargs):
        _refuse_remote(host)
        return lookup(host, *args, **kwargs)

    return call


for _name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, _name, _guarded(getattr(socket.socket, _name)))
socket.getaddrinfo = _guarded_lookup(socket.getaddrinfo)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real recordings; the test is skipped where there is none."""
    root = Path(os.environ.get("NEUROJAX_DATA") or _CHECKOUT.parent / "shared" / "data")
    if not root.is_dir():
        pytest.skip(f"no recordings at {root}; set NEUROJAX_DATA to the folder that holds them")
    return root
