"""Grey pixels as a frame carries them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.domain.frame import Encoding

_SUFFIX = {Encoding.PNG: ".png", Encoding.JPEG: ".jpg"}
_JPEG_QUALITY = 95


def encoded(image: npt.NDArray[np.uint8], encoding: Encoding) -> bytes:
    """A (height, width) image in that encoding."""
    if encoding is Encoding.RAW:
        return image.tobytes()
    parameters = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if encoding is Encoding.JPEG else []
    _, data = cv2.imencode(_SUFFIX[encoding], image, parameters)
    return data.tobytes()
