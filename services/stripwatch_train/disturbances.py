"""What a line does to an image, each at one fixed strength: the conditions that robustness is measured under.

Training draws its own, of random kinds and strengths (`rough`); the noise drawn here is never seen there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.pixels import Image

Plane = npt.NDArray[np.float32]
Disturb = Callable[[Plane, np.random.Generator], Plane]
"""(H, W) grey values in 0..255 to the same, not yet rounded."""


def exposed(view: Plane, rng: np.random.Generator, factor: float) -> Plane:
    """All grey values times `factor`, what exceeds white cut off."""
    return np.asarray(np.clip(view * np.float32(factor), 0, 255), dtype=np.float32)


def uneven(view: Plane, rng: np.random.Generator, depth: float) -> Plane:
    """Light that falls off linearly in a random direction: times 1 + depth at one border, 1 - depth at the
    other where it falls along an axis, 1.4 times as deep into the corners on a diagonal."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[-1 : 1 : complex(0, view.shape[0]), -1 : 1 : complex(0, view.shape[1])]
    slope = (np.cos(angle) * columns + np.sin(angle) * rows).astype(np.float32)
    return np.asarray(np.clip(view * (1 + np.float32(depth) * slope), 0, 255), dtype=np.float32)


def defocused(view: Plane, rng: np.random.Generator, sigma: float) -> Plane:
    """A Gaussian blur of `sigma` px."""
    return np.asarray(cv2.GaussianBlur(view, (0, 0), sigma), dtype=np.float32)


def smeared(view: Plane, rng: np.random.Generator, length: int) -> Plane:
    """Motion along the strip, down the image, of `length` px during the exposure."""
    return np.asarray(cv2.blur(view, (1, length)), dtype=np.float32)


def noisy(view: Plane, rng: np.random.Generator, decibels: float) -> Plane:
    """White Gaussian noise; the signal-to-noise ratio is mean square of the grey values over the noise's variance."""
    spread = np.sqrt(float((view**2).mean()) / 10 ** (decibels / 10))
    return view + rng.standard_normal(view.shape, dtype=np.float32) * np.float32(spread)


def compressed(view: Plane, rng: np.random.Generator, quality: int) -> Plane:
    """Through a JPEG file of this quality and back."""
    packed = cv2.imencode(".jpg", rounded(view), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), dtype=np.float32)


def degraded(view: Plane, rng: np.random.Generator) -> Plane:
    """Degraded NEU: light uneven by 35 %, then 7 px of motion, then camera noise at 25 dB."""
    return noisy(smeared(uneven(view, rng, 0.35), rng, 7), rng, 25)


CONDITIONS: dict[str, Disturb] = {
    "noise 30 dB": partial(noisy, decibels=30),
    "noise 20 dB": partial(noisy, decibels=20),
    "motion 9 px": partial(smeared, length=9),
    "exposure -40 %": partial(exposed, factor=0.6),
    "exposure +40 %": partial(exposed, factor=1.4),
    "JPEG quality 30": partial(compressed, quality=30),
    "defocus 1.5 px": partial(defocused, sigma=1.5),
    "degraded": degraded,
}


def disturbed(images: Image, condition: str, seed: int = 0) -> Image:
    """(N, H, W) under one of CONDITIONS.

    What is drawn hangs on the seed and on an image's place in the stack: the first few alone give the same pixels, an
    image that has moved gives others where the condition draws.
    """
    disturb = CONDITIONS[condition]
    views = [
        rounded(disturb(image.astype(np.float32), np.random.default_rng((seed, number))))
        for number, image in enumerate(images)
    ]
    return np.stack(views)


def rounded(view: Plane) -> Image:
    """To 8 bits."""
    return np.asarray(np.clip(np.rint(view), 0, 255), dtype=np.uint8)
