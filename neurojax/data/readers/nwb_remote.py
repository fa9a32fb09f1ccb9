"""NWB files behind an address: only the pieces that are asked for cross the network."""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from neurojax.data.optional import needed
from neurojax.errors import InputError, require

TIMEOUT_S = 60.0  # without an answer
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


def probe(url: str) -> tuple[int, str]:
    """Size of the remote file in bytes, and the server's tag of this version of it ("" without
    one).

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
    headers = {"Range": "bytes=0-7", "Accept-Encoding": "identity"}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            require(
                answer.status_code in (200, 206),
                f"{shown}: the server says {answer.status_code} {answer.reason}; "
                + _REMEDIES.get(answer.status_code, "try again later"),
            )
            start = next(answer.iter_content(8), b"")
            size = re.fullmatch(r"bytes 0-\d+/(\d+)", answer.headers.get("Content-Range", ""))
            tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    except InputError:
        raise
    except (requests.RequestException, OSError, ValueError) as error:
        raise InputError(
            f"{shown} cannot be reached ({type(error).__name__}); check the address and the network"
        ) from None
    require(
        start.startswith(_SIGNATURE[: max(len(start), 1)]),
        f"{shown} is not HDF5, perhaps a web page; expected the address of the .nwb file itself",
    )
    require(
        answer.status_code != 200 and size is not None,
        f"{shown}: the server does not serve parts of files; download the file and give its path "
        "instead",
    )
    return int(size[1]), tag


def version_sha256(url: str) -> str | None:
    """Digest of size and tag of the remote file; None where the server gives no tag."""
    size, tag = probe(url)
    return hashlib.sha256(f"{size}\0{tag}".encode()).hexdigest() if tag else None


@contextlib.contextmanager
def stream(url: str) -> Iterator[Any]:
    """The remote file as an object that reads, streamed by remfile; what fails inside becomes an
    InputError."""
    probe(url)
    import remfile

    opened = _Watched(remfile.File(url))
    try:
        yield opened
    except InputError:
        if opened.failure is None:
            raise
        reason = " ".join(str(opened.failure).split())[:150]
        raise InputError(
            f"{shown_url(url)}: the server broke off ({reason}); try again, or download it"
        ) from None


class _Watched:
    """A remote file that answers in time or fails, and remembers why."""

    def __init__(self, file: Any):
        import requests.adapters

        class Patient(requests.adapters.HTTPAdapter):
            def send(self, request, **kwargs):
                kwargs["timeout"] = kwargs.get("timeout") or TIMEOUT_S
                return super().send(request, **kwargs)

        for scheme in ("http://", "https://"):
            file.session.mount(scheme, Patient())
        self._file, self.failure = file, None

    def read(self, size: int) -> bytes:
        if self.failure is not None:
            raise OSError("the server broke off")  # the library would try again and wait again
        try:
            return self._file.read(size)
        except Exception as error:
            self.failure = error
            raise OSError("the server broke off") from None

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.session.close()
