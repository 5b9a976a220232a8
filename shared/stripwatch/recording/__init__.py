"""Recordings: a line's frames as they went by, in an MCAP file, and the way back into a line."""

from stripwatch.recording.consumers import Consumers
from stripwatch.recording.reader import Recording
from stripwatch.recording.recorder import Recorder
from stripwatch.recording.rename import as_new_runs
from stripwatch.recording.replayer import Replayer

__all__ = ["Consumers", "Recorder", "Recording", "Replayer", "as_new_runs"]
