"""NWB files behind an address, from a server on loopback that behaves, or does not."""

import contextlib
import gzip
import http.server
import itertools
import re
import threading
import time
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from neurojax.commands.convert import convert
from neurojax.data.readers import nwb, nwb_remote
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.dataset import open_dataset
from neurojax.errors import InputError

pytest.importorskip("pynwb")
remfile = pytest.importorskip("remfile")


PACKED = gzip.compress(bytes(50_000_000))  # zeros, in 50 kB


class Server(http.server.ThreadingHTTPServer):
    """Serves one file; `mode` says how it fails, `sent` counts bytes of answers."""

    daemon_threads = True
    content, mode, sent, tag, modified = b"", "", 0, '"v1"', ""
    asked = 0  # requests for parts
    then = None  # what happens before the third of them


def drip(wfile, content):
    """A byte every 20 ms, which no limit on a single silence ends."""
    pause = threading.Event()
    with contextlib.suppress(OSError):
        for byte in content:
            wfile.write(bytes([byte]))
            wfile.flush()
            pause.wait(0.02)


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        if not self.path.startswith("/day1.nwb"):
            return self.send_error(404)
        if server.mode.isdigit():
            return self.send_error(int(server.mode))
        if server.mode == "moved":
            self.send_response(302)
            self.send_header("Location", f"/day1.nwb/blob?{'x' * 10}")
            server.mode = ""
            return self.end_headers()
        server.asked += 1
        if server.asked == 3 and callable(server.then):
            server.then()
        body, content = server.content, server.content
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        whole = match is None or server.mode == "no ranges"
        if not whole:
            body = content[int(match[1]) : int(match[2]) + 1]
            if server.mode == "breaks off" and int(match[1]) > 100_000:
                return self.send_error(500)
        later = server.asked > 2  # after the first look and the first part
        if server.mode == "drips headers" and later:
            return drip(self.wfile, itertools.chain(b"HTTP/1.0 206 OK\r\nX-A: ", itertools.repeat(ord("a"))))
        self.send_response(200 if whole else 206)
        if server.mode == "packed" and later:
            body = PACKED
            self.send_header("Content-Encoding", "gzip")
        if server.mode == "longer" and later:
            body += b"x"
        if server.mode != "endless":
            self.send_header("Content-Length", str(len(body)))
        if server.modified:
            self.send_header("Last-Modified", server.modified)
        if server.tag:
            self.send_header("ETag", server.tag)
        if not whole:
            self.send_header("Content-Range", f"bytes {match[1]}-{match[2]}/{len(content)}")
        self.end_headers()
        if server.mode == "drips" and later:
            return drip(self.wfile, body)
        try:
            while server.mode == "endless" and later and server.sent < 10**9:
                self.wfile.write(bytes(2**20))
                server.sent += 2**20
            self.wfile.write(body)
            server.sent += len(body)
        except OSError:
            pass  # the client wanted the length alone


@pytest.fixture
def server(nwb_path, monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # remfile waits between its tries
    served = Server(("127.0.0.1", 0), Handler)
    served.content = nwb_path.read_bytes()
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def address(server, path="/day1.nwb", user=""):
    return f"http://{user}127.0.0.1:{server.server_address[1]}{path}"


def test_a_remote_file_is_the_local_one(server, nwb_path):
    spec = ReadSpec(behavior=("hand", "speed"))
    there, here = nwb.read_session(address(server), spec), nwb.read_session(str(nwb_path), spec)
    np.testing.assert_array_equal(there.counts, here.counts)
    np.testing.assert_array_equal(there.behaviour["hand"], here.behaviour["hand"])
    assert there.session_id == "day1" and there.info["source"]["url"] == address(server)


def test_only_what_is_needed_crosses_the_network(server, changed_nwb):
    def change(file):
        del file["acquisition/raw/data"]
        noise = np.random.default_rng(0).integers(0, 2**15, (5_000_000, 2), np.int16)
        file["acquisition/raw"].create_dataset("data", data=noise)

    path = changed_nwb(change)
    with open(path, "rb") as file:
        server.content = file.read()
    nwb.read_session(address(server), ReadSpec())
    assert len(server.content) > 20_000_000 and server.sent < 5_000_000


def test_a_repeat_costs_one_request(server, tmp_path, capsys):
    convert("nwb", [address(server)], tmp_path)
    sent = server.sent
    convert("nwb", [address(server)], tmp_path)
    assert server.sent - sent < 100 and "unchanged" in capsys.readouterr().out
    server.tag = '"v2"'
    with pytest.raises(InputError, match="from another file.*--overwrite"):
        convert("nwb", [address(server)], tmp_path)
    assert [session.session_id for session in open_dataset(tmp_path).sessions] == ["day1"]


def test_without_a_tag_the_content_decides(server, nwb_path):
    server.tag = ""
    assert nwb.source_sha256(address(server)) == nwb.source_sha256(str(nwb_path))


def test_redirects_and_secrets(server):
    server.mode = "moved"
    made = nwb.read_session(address(server, "/day1.nwb?token=geheim", "me:secret@"), ReadSpec())
    assert made.info["source"]["url"] == address(server)


def test_names_of_addresses():
    for url, name in [
        ("https://host.org/a/sub-1_ses-2.nwb", "sub-1_ses-2"),
        ("https://api.dandiarchive.org/api/assets/0a1b-2c/download/", "0a1b-2c"),
        ("https://host.org/a/x%20y.nwb?versionId=5", "x_20y"),
    ]:
        assert nwb.session_name(url) == name and nwb.find(url) == [url]


@pytest.mark.parametrize(
    "mode, message",
    [
        ("404", "404 Not Found; check the address"),
        ("403", "403 Forbidden; it needs permission"),
        ("503", "503 Service Unavailable; try again"),
        ("no ranges", "does not serve parts.*download"),
        ("breaks off", "broke off.*500.*try again"),
    ],
)
def test_servers_that_refuse(server, tmp_path, mode, message):
    server.mode = mode
    with pytest.raises(InputError, match=message) as caught:
        convert("nwb", [address(server)], tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def other_tag(server):
    server.tag = '"v2"'


def other_date(server):
    server.modified = "Tue, 03 Nov 2026 10:00:00 GMT"


def other_size(server):
    server.content += bytes(1000)


@pytest.mark.parametrize(
    "change, tag, modified",
    [
        (other_tag, '"v1"', ""),
        (other_tag, '"v1"', "Mon, 02 Nov 2026 10:00:00 GMT"),
        (other_date, "", "Mon, 02 Nov 2026 10:00:00 GMT"),
        (other_size, "", ""),
        (other_size, '"v1"', ""),
    ],
)
def test_a_file_that_is_replaced_while_it_is_read_is_refused(server, change, tag, modified):
    server.tag, server.modified = tag, modified
    server.content += bytes(10**6)  # so that it is read in several parts
    server.then = lambda: change(server)
    with pytest.raises(InputError, match="was replaced while it was read; read it again"):
        nwb.read_session(address(server), ReadSpec(behavior=("hand",)))


def test_a_file_that_is_replaced_between_its_digest_and_its_reading_is_refused(server, tmp_path, monkeypatch):
    digest = nwb.source_sha256

    def then_replaced(source):
        made = digest(source)
        other_tag(server)
        return made

    monkeypatch.setattr(nwb, "source_sha256", then_replaced)
    with pytest.raises(InputError, match="session day1: the recording was replaced while it was read"):
        convert("nwb", [address(server)], tmp_path / "out")
    assert not (tmp_path / "out" / "day1").exists()


def test_mirrors_that_share_a_tag_may_differ_in_date(server, nwb_path):
    server.modified = "Mon, 02 Nov 2026 10:00:00 GMT"
    server.then = lambda: other_date(server)
    made = nwb.read_session(address(server), ReadSpec())
    np.testing.assert_array_equal(made.counts, nwb.read_session(str(nwb_path), ReadSpec()).counts)


@pytest.mark.parametrize(
    "mode, message",
    [
        ("endless", "sends more than the .* bytes it was asked for"),
        ("longer", "sends more than the .* bytes it was asked for"),
        ("packed", "packs what it sends .'gzip'.*download the file"),
        ("drips", "no whole answer within .* s"),
        ("drips headers", "no whole answer within .* s"),
    ],
)
def test_answers_without_bounds_are_ended(server, monkeypatch, mode, message):
    monkeypatch.setattr(nwb_remote, "TIMEOUT_S", 1.0 if mode.startswith("drips") else 60.0)
    monkeypatch.setattr(nwb_remote, "_SLOWEST_BYTES_PER_S", 10**7)
    server.content += bytes(10**6)
    server.mode, began_s = mode, time.monotonic()
    tracemalloc.start()
    with pytest.raises(InputError, match=message) as caught:
        nwb.read_session(address(server), ReadSpec(behavior=("hand",)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - began_s < 30 and peak < 20_000_000 and server.sent < 50_000_000
    assert "\n" not in str(caught.value)


def test_the_first_look_is_bounded_too(server, monkeypatch):
    server.asked = 5  # all answers are as bad as the later ones
    for mode, message in [("drips headers", "no whole answer"), ("endless", "not HDF5")]:
        monkeypatch.setattr(nwb_remote, "TIMEOUT_S", 1.0 if mode.startswith("drips") else 60.0)
        server.mode = mode
        with pytest.raises(InputError, match=message):
            nwb.read_session(address(server), ReadSpec())
        assert server.sent < 50_000_000


def test_content_that_is_no_recording(server, nwb_path):
    for content, message in [(b"<!DOCTYPE html><html>", "web page"), (b"", "not HDF5|416"), (b"\x89HDF", "HDF5")]:
        server.content = content
        with pytest.raises(InputError, match=message):
            nwb.read_session(address(server), ReadSpec())
    server.content = nwb_path.read_bytes()[:300_000]
    with pytest.raises(InputError, match="cannot be read as HDF5.*truncated"):
        nwb.read_session(address(server), ReadSpec())


def test_addresses_that_lead_nowhere(server, monkeypatch):
    monkeypatch.setattr(nwb_remote, "TIMEOUT_S", 2.0)
    url = address(server)
    for wrong, message in [
        (url.replace("day1", "day2"), "404"),
        ("http://127.0.0.1:9/day1.nwb", "cannot be reached"),
        ("s3://bucket/day1.nwb", "begins with http"),
        ("http:///day1.nwb", "cannot be reached"),
    ]:
        with pytest.raises(InputError, match=message):
            nwb.source_sha256(wrong)
