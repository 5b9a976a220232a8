"""What lies at an address, by HTTP: bounded in bytes and time, tried again while that may help."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from stripwatch.domain.names import shown
from stripwatch.errors import BadInput, NotFound, PeerUnavailable, SettingsInvalid, StripwatchError, Unauthenticated
from stripwatch.runtime.deadline import Deadline, insist

_SILENCE_S = 30.0
_LONGEST_WAIT_S = 10.0
_CHUNK = 1 << 20
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_HEADERS: Mapping[str, str] = {}


class Challenged(Unauthenticated):
    """The server wants to know who asks; `challenge` is its header that says how."""

    def __init__(self, message: str, challenge: str) -> None:
        super().__init__(message)
        self.challenge = challenge


def authorization(token: str) -> str:
    """The header's value for a bearer token or USER:PASSWORD; empty for none."""
    if ":" in token:
        return f"Basic {base64.b64encode(token.encode()).decode()}"
    return f"Bearer {token}" if token else ""


class Web:
    """Asks by http and https only. SettingsInvalid if the authorities' file cannot be used."""

    def __init__(self, deadline: Deadline, ca: Path | None = None) -> None:
        self._deadline = deadline
        try:
            trusted = ssl.create_default_context(cafile=str(ca) if ca else None)
        except OSError as error:
            raise SettingsInvalid(f"STRIPWATCH_FETCH_CA: {ca}: expected PEM certificates: {error}") from error
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=trusted),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.UnknownHandler(),
        ):
            self._opener.add_handler(handler)

    def read(self, url: str, most: int, show: str = "", headers: Mapping[str, str] = _NO_HEADERS) -> bytes:
        """All of it, in memory. `show` is the value of the header that says who asks.

        PeerUnavailable once the time is over, NotFound, Challenged, BadInput where another try is of no use.
        """

        def once() -> bytes:
            into = io.BytesIO()
            self._once(url, most, into, show, headers)
            return into.getvalue()

        return insist(once, PeerUnavailable, self._again, _LONGEST_WAIT_S)

    def save(self, url: str, place: Path, most: int, show: str = "") -> str:
        """Into a file; the SHA-256 of what came. Raises as `read`."""

        def once() -> str:
            with place.open("wb") as into:
                return self._once(url, most, into, show, _NO_HEADERS)

        return insist(once, PeerUnavailable, self._again, _LONGEST_WAIT_S)

    def _again(self, wait: float) -> bool:
        if self._deadline.left() <= wait:
            return False
        time.sleep(wait)
        return True

    def _once(self, url: str, most: int, into: BinaryIO, show: str, headers: Mapping[str, str]) -> str:
        request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - the opener knows http and https only
        if show:
            request.add_unredirected_header("Authorization", show)
        where = shown(url.partition("?")[0], 200)  # what a server redirects to may hold a signature after it
        try:
            with self._opener.open(request, timeout=min(_SILENCE_S, self._deadline.left() or 0.001)) as answer:
                return self._copy(where, answer, most, into)
        except urllib.error.HTTPError as error:
            raise _refused(where, error) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise SettingsInvalid(
                    f"{where}: its certificate is of no authority in STRIPWATCH_FETCH_CA, or for another name: {reason}"
                ) from error
            raise PeerUnavailable(f"{where}: {shown(str(reason) or type(reason).__name__, 200)}") from error
        except ValueError as error:  # of an address that a server redirects to
            raise BadInput(f"{where}: {shown(str(error), 200)}") from error

    def _copy(self, where: str, answer: http.client.HTTPResponse, most: int, into: BinaryIO) -> str:
        told = answer.headers.get("Content-Length", "")
        size = int(told) if told.isdecimal() else None
        digest, got = hashlib.sha256(), 0
        if size is not None and size > most:
            raise BadInput(f"{where}: expected at most {most} bytes, got {size}")
        while chunk := answer.read(_CHUNK):
            got += len(chunk)
            if got > most:
                raise BadInput(f"{where}: expected at most {most} bytes, got more")
            if not self._deadline.left():
                raise PeerUnavailable(f"{where}: the time was over after {got} bytes")
            digest.update(chunk)
            _write(into, chunk)
        if size is not None and got < size:
            raise PeerUnavailable(f"{where}: it ended after {got} of {size} bytes")
        return digest.hexdigest()


def _write(into: BinaryIO, chunk: bytes) -> None:
    try:
        into.write(chunk)
    except OSError as error:  # our own disk: no other try will help
        raise SettingsInvalid(f"STRIPWATCH_MODELS: cannot be written: {error.strerror}") from error


def _refused(where: str, error: urllib.error.HTTPError) -> StripwatchError:
    text = f"{where}: HTTP {error.code} {shown(str(error.reason), 80)}"
    if error.code in _AGAIN:
        return PeerUnavailable(text)
    if error.code in (401, 403):
        return Challenged(f"{text}: is STRIPWATCH_FETCH_TOKEN_FILE right?", error.headers.get("WWW-Authenticate", ""))
    return NotFound(text) if error.code in (404, 410) else BadInput(text)
