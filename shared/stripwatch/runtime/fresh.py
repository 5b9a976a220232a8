"""What files hold, also after they were replaced: certificates and tokens change while a process runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from stripwatch.errors import SettingsInvalid

log = logging.getLogger(__name__)

CHECK_EVERY_S = 1.0

T = TypeVar("T")


class Fresh(Generic[T]):
    """The last good reading. Reads again at most once a second.

    What cannot be used is told once, and what was read before stays: files that belong together are not replaced in the
    same moment. The first reading must be good: SettingsInvalid.
    """

    def __init__(self, what: str, read: Callable[[], T]) -> None:
        self._what = what
        self._read = read
        self._good = read()
        self._looked = time.monotonic()
        self._told: str | None = None
        self._lock = threading.Lock()

    def now(self) -> T:
        with self._lock:
            if time.monotonic() - self._looked >= CHECK_EVERY_S:
                self._looked = time.monotonic()
                self._look()
            return self._good

    def _look(self) -> None:
        try:
            found = self._read()
        except SettingsInvalid as error:
            if str(error) != self._told:
                log.warning("new %s not taken: %s", self._what, error)
            self._told = str(error)
            return
        if found != self._good:
            log.info("new %s", self._what)
        self._good, self._told = found, None
