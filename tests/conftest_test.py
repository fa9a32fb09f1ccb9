"""What conftest.py promises to every other test."""

import argparse
import os
import socket
import subprocess
import sys
import textwrap
import types
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(os.environ.get("JAX_PLATFORMS") != "cpu", reason="virtual devices exist on the CPU only")
def test_eight_cpu_devices():
    assert jax.device_count() == 8


def test_silent_rank_promotion_is_an_error():
    with pytest.raises(ValueError, match="rank_promotion"):
        jnp.zeros((3, 2)) + jnp.zeros(2)


def test_warnings_are_errors():
    with pytest.raises(UserWarning):
        warnings.warn("seen", UserWarning, stacklevel=1)


@pytest.mark.parametrize("method", ["connect", "connect_ex", "sendto"])
def test_the_network_is_out_of_reach(method):
    address = ("192.0.2.1", 80)
    with socket.socket(type=socket.SOCK_DGRAM) as outward, pytest.raises(RuntimeError, match="no network"):
        getattr(outward, method)(*([b"", address] if method == "sendto" else [address]))


def test_names_are_not_looked_up():
    with pytest.raises(RuntimeError, match="no network"):
        socket.create_connection(("example.com", 80), timeout=1)


def test_loopback_stays_open():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        assert client.getpeername() == server.getsockname()


def test_missing_recordings_are_a_skip_that_names_the_variable(tmp_path):
    (tmp_path / "conftest.py").write_text((CHECKOUT / "tests" / "conftest.py").read_text())
    (tmp_path / "some_test.py").write_text(
        textwrap.dedent("""
            def test_reads(data_root):
                raise AssertionError("must not run")
        """)
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "NEUROJAX_DATA": str(tmp_path / "absent")},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout and "NEUROJAX_DATA" in done.stdout


def test_a_sample_has_the_order_of_its_seed_and_ends_in_time(request):
    plugin = request.config.pluginmanager.get_plugin(str(CHECKOUT / "tests" / "conftest.py"))

    def asked(sample):
        option = types.SimpleNamespace(sample=sample, cases=None)
        return types.SimpleNamespace(config=types.SimpleNamespace(option=option))

    def order(seed):
        items = list(range(20))
        plugin.pytest_collection_modifyitems(asked((seed, 60.0)).config, items)
        return items

    assert order("a") == order("a") != order("b") and sorted(order("b")) == list(range(20))
    for sample in (None, ("a", 1e9)):
        plugin.pytest_runtest_setup(asked(sample))
    with pytest.raises(pytest.skip.Exception, match="time of the sample is over"):
        plugin.pytest_runtest_setup(asked(("a", 0.0)))
    assert plugin._sample("a:b:60") == ("a:b", 60.0)
    with pytest.raises(argparse.ArgumentTypeError, match="expected SEED:SECONDS"):
        plugin._sample("7")


def test_of_the_cases_of_each_test_a_share_runs_and_over_seeds_all(tmp_path):
    (tmp_path / "conftest.py").write_text((CHECKOUT / "tests" / "conftest.py").read_text())
    (tmp_path / "some_test.py").write_text(
        textwrap.dedent("""
            import pytest

            @pytest.mark.parametrize("case", range(9))
            def test_of_nine(case): pass

            @pytest.mark.parametrize("case", [0, *(pytest.param(case, marks=pytest.mark.slow) for case in range(1, 4))])
            def test_of_one_fast(case): pass

            def test_alone(): pass
        """)
    )
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-m", "not slow", "--cases=7:4"]
    done = subprocess.run([*command, "-o", "markers=slow", str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    passed = [line.split("::")[1].split("[")[0].split()[0] for line in done.stdout.splitlines() if "PASSED" in line]
    assert passed == ["test_of_nine"] * 3 + ["test_of_one_fast", "test_alone"], done.stdout + done.stderr
    assert "9 deselected" in done.stdout


def test_every_case_is_drawn_by_some_seed_and_a_seed_draws_again(request):
    plugin = request.config.pluginmanager.get_plugin(str(CHECKOUT / "tests" / "conftest.py"))
    ids = [f"a_test.py::test_{test}[{case}]" for test in "ab" for case in range(8)]
    draws = [plugin._drawn(ids, seed, 4) for seed in "abcdefghijklmnopqrstuvwxyz"]
    assert draws[0] == plugin._drawn(ids, "a", 4) and set.union(*draws) == set(ids)
    assert all(sum(f"test_{test}[" in name for name in drawn) == 2 for drawn in draws for test in "ab")
    assert any(
        {name[-2] for name in drawn if "test_a[" in name} != {name[-2] for name in drawn if "test_b[" in name}
        for drawn in draws
    )
    assert plugin._cases("a:b:4") == ("a:b", 4)
    for text in ("7", "7:0", "7:x"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected SEED:N"):
            plugin._cases(text)
