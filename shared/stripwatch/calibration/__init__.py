"""Thresholds from healthy steel: which score to take for a wanted rate of false alarms, and how sure that is."""

from stripwatch.calibration.bad import set_aside
from stripwatch.calibration.healthy import Floats, Healthy
from stripwatch.calibration.threshold import Threshold, threshold_for

__all__ = ["Floats", "Healthy", "Threshold", "set_aside", "threshold_for"]
