"""`python -m stripwatch.models.fetch [ADDRESS]...`: models from STRIPWATCH_MODELS_FROM, or those named, if not there.

Ends with 0 once all are there and checked, 2 if another try is of no use (an address, a hash, a model), 1 if it may be.
"""

from __future__ import annotations

import signal
import sys

from stripwatch.models.fetch.bring import Bringer
from stripwatch.models.fetch.settings import FetchSettings
from stripwatch.models.fetch.shelf import Shelf
from stripwatch.models.fetch.web import Web
from stripwatch.models.signature import public_key
from stripwatch.runtime import lifecycle, logging
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.settings import load


def run() -> None:
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # through the blocks that clean up
    logging.configure("fetch", "INFO", "auto")
    given = sys.argv[1:]
    settings = load(FetchSettings, models_from=tuple(given)) if given else load(FetchSettings)
    key = public_key(settings.model_key) if settings.model_key else None
    deadline = Deadline.after(settings.fetch_seconds)
    shelf = Shelf(settings.models[0], key)
    token = settings.fetch_token.get_secret_value()
    bringer = Bringer(shelf, Web(deadline, settings.fetch_ca), token, settings.fetch_bytes, key)
    if not settings.sources:
        sys.stdout.write("nothing to fetch: STRIPWATCH_MODELS_FROM names no address\n")
    with shelf.held(deadline):
        for source in settings.sources:
            refs, fetched = bringer.bring(source)
            what = "fetched" if fetched else "already there"
            sys.stdout.write(f"{source}: {what}: {', '.join(map(str, refs))}\n")


if __name__ == "__main__":
    lifecycle.main(run)
