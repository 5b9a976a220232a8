"""One aggregator a line, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch_aggregator.service import Aggregate


def run_all(aggregates: Sequence[Aggregate], lifecycle: Lifecycle) -> None:
    """Runs all until told to stop. A fault of one stops all and is raised here: a line without its aggregator must
    not look alive, and whoever starts this process starts it again.
    """
    faults: list[Exception] = []

    def work(aggregate: Aggregate) -> None:
        try:
            aggregate.run()
        except Exception as fault:
            faults.append(fault)
            lifecycle.stop()

    threads = [threading.Thread(target=work, args=(one,), name=f"aggregate-{one.line}") for one in aggregates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
