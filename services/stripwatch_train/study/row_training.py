"""The autoencoders of all rows and seeds, two at a time, left in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.progress import track

from stripwatch.pixels import Image
from stripwatch_train.study.autoencoder import EPOCHS
from stripwatch_train.study.paper_rows import Row

_SIDE_BY_SIDE = 2


@dataclass(frozen=True, slots=True)
class Job:
    """One autoencoder: whose, on which healthy tiles, with which seed."""

    row: Row
    healthy: Image  # (N, 1, 128, 128) uint8
    seed: int


def train_all(jobs: Sequence[Job], cache: Path, epochs: int = EPOCHS) -> None:
    """Train what the cache lacks.

    Each on one thread: nets this small gain little from two, and so they are the same on any number of cores.
    """
    with ProcessPoolExecutor(
        _SIDE_BY_SIDE, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        running = [pool.submit(_train, job, cache, epochs) for job in jobs]
        for done in track(as_completed(running), total=len(running), description="autoencoders"):
            done.result()


def _train(job: Job, cache: Path, epochs: int) -> None:
    job.row.net(job.healthy, job.seed, cache, epochs)
