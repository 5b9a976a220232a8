"""How the process treats memory that it has freed: batches of tiles come and go a hundred times a second."""

from __future__ import annotations

import ctypes
import gc
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # of malloc.h
_LARGEST = 32 << 20
_KEPT = 128 << 20
_PAD = 4 << 20
_GARBAGE_EVERY = 50_000


def keep_freed() -> None:
    """Keeps up to 128 MiB of what was freed instead of giving it back to the kernel, which would clear each page again.

    glibc would take every block above 128 KiB from the kernel anew and give it back: half of a request's cost. And
    Python's search for cycles, of which there are few here, looks at new objects only, and once in 50,000 of them.
    """
    gc.freeze()
    gc.set_threshold(_GARBAGE_EVERY, 10, 10)
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            for option, value in ((_M_MMAP_THRESHOLD, _LARGEST), (_M_TRIM_THRESHOLD, _KEPT), (_M_TOP_PAD, _PAD)):
                mallopt(option, value)
