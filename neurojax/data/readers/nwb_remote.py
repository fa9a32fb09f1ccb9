"""NWB files behind an address: only the pieces that are asked for cross the network, bounded in
bytes and time, and all of one version of the file."""

import contextlib
import hashlib
import io
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from neurojax.data.optional import needed
from neurojax.errors import InputError, require

TIMEOUT_S = 60.0  # without an answer
_SLOWEST_BYTES_PER_S = 20_000  # slower is no way to read a file
_MAX_ASIDE_BYTES = 2**16  # of answers that are no part of the file
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_REMEDIES = {
    **dict.fromkeys((401, 403), "it needs permission, or the address has expired"),
    **dict.fromkeys((404, 410, 416), "check the address"),
}


def is_url(source: str) -> bool:
    """Whether a source is an address rather than a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def shown_url(url: str) -> str:
    """The address without what may be secret: user, password, query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Version(NamedTuple):
    """Which file an address stands for at the moment.

    Attributes:
        size: bytes.
        etag, modified: as the server tags it, "" without.
    """

    size: int
    etag: str
    modified: str

    @property
    def tag(self) -> str:
        return self.etag or self.modified


def probe(url: str) -> Version:
    """Asks for the first bytes of a remote file.

    Raises:
        InputError: out of reach, not there, not HDF5, or on a server that does not serve ranges of
            bytes.
    """
    shown = shown_url(url)
    require(
        urlsplit(url).scheme in ("http", "https"),
        f"{shown}: expected an address that begins with http:// or https://; download the file",
    )
    words = f'{shown} is an address, which needs remfile; `pip install "neurojax[nwb]"`'
    needed("remfile", words)
    requests = needed("requests", words)
    headers = {"Range": f"bytes=0-{len(_SIGNATURE) - 1}"}
    guard = guarded(None, shown)
    try:
        with requests.Session() as session:
            mount(session, guard)
            answer = session.get(url, headers=headers)
    except (requests.RequestException, OSError, ValueError) as error:
        raise InputError(
            f"{shown} cannot be reached ({type(error).__name__}); check the address and the network"
        ) from None
    if guard.failure is not None:
        raise guard.failure
    require(
        answer.status_code in (200, 206),
        f"{shown}: the server says {answer.status_code} {answer.reason}; "
        + _REMEDIES.get(answer.status_code, "try again later"),
    )
    start = answer.content
    require(
        start.startswith(_SIGNATURE[: max(len(start), 1)]),
        f"{shown} is not HDF5, perhaps a web page; expected the address of the .nwb file itself",
    )
    size = re.fullmatch(r"bytes 0-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    require(
        answer.status_code != 200 and size is not None,
        f"{shown}: the server does not serve parts of files; download the file and give its path "
        "instead",
    )
    told = [answer.headers.get(name, "") for name in ("ETag", "Last-Modified")]
    return Version(int(size[1]), *told)


def version_sha256(url: str) -> str | None:
    """Digest of size and tag of the remote file; None where the server gives no tag."""
    size, tag = (version := probe(url)).size, version.tag
    return hashlib.sha256(f"{size}\0{tag}".encode()).hexdigest() if tag else None


@contextlib.contextmanager
def stream(url: str) -> Iterator[Any]:
    """The remote file as an object that reads, streamed by remfile; what fails inside becomes an
    InputError."""
    version = probe(url)
    import remfile

    guard = guarded(version, shown_url(url))
    # The size is known: asked for it again, remfile would wait for an answer without end.
    file = remfile.File(url, _size=version.size)
    mount(file.session, guard)
    opened = _Watched(file, guard)
    try:
        yield opened
    except InputError:
        if opened.failure is None:
            raise
        if isinstance(opened.failure, InputError):
            raise opened.failure from None
        reason = " ".join(str(opened.failure).split())[:150]
        raise InputError(
            f"{shown_url(url)}: the server broke off ({reason}); try again, or download it"
        ) from None


def mount(session: Any, guard: Any) -> None:
    """Lets all requests of a session go through the guard."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, guard)


def guarded(version: Version | None, shown: str) -> Any:
    """An adapter of requests whose answers are bounded in bytes and time, and of one version of the
    file.

    Bodies are read here, as they cross the network, never unpacked: one that is longer than was
    asked for, compressed, too slow, or of another file ends the reading, and `failure` says why.

    Args:
        version: of the file that is read; None for the first look at it.
        shown: the address, for messages.
    """
    import requests
    import requests.adapters

    class Guarded(requests.adapters.HTTPAdapter):
        failure: InputError | None = None

        def send(self, request: Any, **kwargs: Any) -> Any:
            kwargs |= {"timeout": TIMEOUT_S, "stream": True}
            request.headers["Accept-Encoding"] = "identity"
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
            limit = int(asked[2]) - int(asked[1]) + 1 if asked else _MAX_ASIDE_BYTES
            patience_s = TIMEOUT_S + limit / _SLOWEST_BYTES_PER_S
            if self.failure is None:
                try:
                    return _in_time(lambda: self._answer(request, limit, kwargs), patience_s)
                except InputError as error:
                    self.failure = error
                except TimeoutError:
                    self.failure = InputError(
                        f"{shown}: no whole answer within {patience_s:.0f} s; try again later, or "
                        "download the file and give its path"
                    )
            # Not to be tried again: the failure stands.
            refused = requests.Response()
            refused.status_code, refused.reason, refused.url = 412, "refused", request.url
            refused.request, refused.raw = request, io.BytesIO()
            return refused

        def _answer(self, request: Any, limit: int, kwargs: dict[str, Any]) -> Any:
            answer = super().send(request, **kwargs)
            raw = answer.raw
            try:
                whole = answer.status_code in (200, 206)
                if whole and version is not None:
                    _check_answer(answer, version, shown)
                most = limit if whole else _MAX_ASIDE_BYTES
                body = raw.read(most + (version is not None), decode_content=False)
                if whole and version is not None and len(body) > limit:
                    raise InputError(
                        f"{shown}: the server sends more than the {limit} bytes it was asked for; "
                        "download the file and give its path"
                    )
            finally:
                raw.close()
            answer.raw = io.BytesIO(body)
            return answer

    return Guarded()


def _check_answer(answer: Any, version: Version, shown: str) -> None:
    """Raises InputError for an answer that is compressed, or of another file than `version`."""
    packed = answer.headers.get("Content-Encoding", "identity")
    require(
        packed.strip().lower() in ("", "identity"),
        f"{shown}: the server packs what it sends ({packed[:20]!r}), expected plain bytes; "
        "download the file and give its path",
    )
    size = re.fullmatch(r"bytes \d+-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    told = Version(
        int(size[1]) if size and size[1] != "*" else version.size,
        answer.headers.get("ETag", ""),
        answer.headers.get("Last-Modified", ""),
    )
    # An older tag that is equal outweighs dates, which mirrors of one file may not share.
    both = [(told.etag, version.etag), (told.modified, version.modified)]
    tags = next(((one, other) for one, other in both if one and other), ("", ""))
    require(
        told.size == version.size and tags[0] == tags[1],
        f"{shown} was replaced while it was read; read it again",
    )


def _in_time(call: Callable[[], Any], seconds: float) -> Any:
    """What `call` returns or raises; TimeoutError when it takes longer. A limit on each piece of an
    answer would not do: a server may drip one byte a minute."""
    done: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            done.append((call(), None))
        except BaseException as error:
            done.append((None, error))

    thread = threading.Thread(target=run, daemon=True)  # left behind, it keeps nothing waiting
    thread.start()
    thread.join(seconds)
    if not done:
        raise TimeoutError
    value, error = done[0]
    if error is not None:
        raise error
    return value


class _Watched:
    """A remote file that answers in time or fails, and remembers why."""

    def __init__(self, file: Any, guard: Any):
        self._file, self._guard, self.failure = file, guard, None

    def read(self, size: int) -> bytes:
        if self.failure is not None:
            raise OSError("the server broke off")  # the library would try again and wait again
        try:
            content = self._file.read(size)
        except Exception as error:
            self.failure = self._guard.failure or error
            raise OSError("the server broke off") from None
        self.failure = self._guard.failure
        if self.failure is not None:
            raise OSError("the server broke off")
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.session.close()
