"""Labelled images on disk: NEU in all its spellings, and any folder of folders; read in place, archives too."""

from stripwatch.datasets.dataset import Dataset, open_dataset
from stripwatch.datasets.files import ARCHIVES
from stripwatch.datasets.findings import ADVICE, Fault, Finding, Report, check

__all__ = ["ADVICE", "ARCHIVES", "Dataset", "Fault", "Finding", "Report", "check", "open_dataset"]
