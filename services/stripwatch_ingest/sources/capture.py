"""OpenCV's video capture, behind a border: grey frames or None, and never a wait without an end."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.errors import BadInput

Grey = npt.NDArray[np.uint8]


class Capture:
    """An open video. BadInput, naming the address without its password, if it cannot be opened in time."""

    def __init__(self, address: str, shown: str, timeout_s: float) -> None:
        milliseconds = round(timeout_s * 1000)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
        self._video = self._open(address, cv2.CAP_FFMPEG, limits)
        if not self._video.isOpened():  # formats that FFmpeg does not take, and builds without it
            self._video = self._open(address, cv2.CAP_ANY, []) if "://" not in address else self._video
        if not self._video.isOpened():
            raise BadInput(f"{shown}: expected a video that can be opened within {timeout_s:g} s")

    @staticmethod
    def _open(address: str, backend: int, limits: list[int]) -> cv2.VideoCapture:
        try:
            return cv2.VideoCapture(address, backend, limits)
        except cv2.error as error:
            raise BadInput(f"video: {error}") from error

    @property
    def frames_per_s(self) -> float:
        """As the video says; 25 where it says nothing."""
        rate = self._video.get(cv2.CAP_PROP_FPS)
        return rate if 0 < rate < 100_000 else 25.0

    @property
    def frames(self) -> int:
        """How many frames the video says that it has; 0 where it says nothing."""
        return max(0, int(min(self._video.get(cv2.CAP_PROP_FRAME_COUNT), 1e9)))

    def read(self) -> Grey | None:
        """The next frame, (height, width); None at the end, and when none came in time."""
        try:
            there, image = self._video.read()
        except cv2.error:
            return None
        if not there or image is None:
            return None
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
        return np.ascontiguousarray(grey, dtype=np.uint8)

    def close(self) -> None:
        self._video.release()
