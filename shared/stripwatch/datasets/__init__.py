"""Labelled images on disk: NEU in all its spellings, and any folder of folders; read in place, archives too."""

from stripwatch.datasets.dataset import Dataset, open_dataset
from stripwatch.datasets.decode import decode
from stripwatch.datasets.files import ARCHIVES, open_files
from stripwatch.datasets.findings import ADVICE, Fault, Finding, Report, check

__all__ = [
    "ADVICE",
    "ARCHIVES",
    "Dataset",
    "Fault",
    "Finding",
    "Report",
    "check",
    "decode",
    "open_dataset",
    "open_files",
]
