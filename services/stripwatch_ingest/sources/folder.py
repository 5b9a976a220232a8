"""The images of a folder as one strip: each image one frame, in the natural order of their names."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Frame, FrameHeader, IndexRange
from stripwatch.domain.strip import CameraEnd, Shed
from stripwatch.errors import BadInput
from stripwatch.feed import safe_name
from stripwatch_ingest.source import Event, RunTemplate
from stripwatch_ingest.sources.image_file import SUFFIXES, ImageSize, pixels_of, size_of

log = logging.getLogger(__name__)

CAMERA = "top-1"


class FolderSource:
    """One camera over a strip whose pieces are the images, one after another from the head.

    16-bit and colour images are sent and refused downstream with a reason; so are damaged ones whose header still
    gives a size. A file without even that keeps its index and is declared shed by name.
    """

    def __init__(self, folder: Path, template: RunTemplate) -> None:
        self._template = template
        try:
            files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
        except OSError as error:
            raise BadInput(f"{folder}: expected a folder of images: {error.strerror}") from error
        if not files:
            raise BadInput(f"{folder}: expected images ({', '.join(sorted(SUFFIXES))}), there are none")
        self._name = safe_name(folder.resolve().name)
        self._files = sorted(files, key=lambda path: natural(path.name))
        self._sizes, self._refused = _measured(self._files)
        if not self._sizes:
            raise BadInput(f"{folder}: expected at least one readable image; {next(iter(self._refused.values()))}")

    def ready(self) -> str | None:
        return None

    def close(self) -> None:
        """Nothing stays open."""

    def events(self) -> Iterator[Event]:
        mm = self._template.mm_per_px
        first = next(iter(self._sizes.values()))
        heights = [self._sizes.get(index, first).height for index in range(len(self._files))]
        start = self._template.start(
            self._template.strip or self._name,
            [Camera(CAMERA, Side.TOP, first.height * mm, first.width * mm)],
            width_mm=self._template.width_mm or first.width * mm,
            length_mm=sum(heights) * mm,
        )
        yield start
        shed = dict(self._refused)
        row = 0
        for index, path in enumerate(self._files):
            size = self._sizes.get(index)
            if size is not None:
                try:
                    encoding, pixels = pixels_of(path)
                except BadInput as error:  # gone since the folder was listed
                    shed[index] = str(error)
                else:
                    yield Frame(
                        FrameHeader(
                            run=start.run,
                            camera=CAMERA,
                            side=Side.TOP,
                            index=index,
                            x_mm=row * mm,
                            y_mm=0.0,
                            mm_per_px=mm,
                            captured_at_ns=time.time_ns(),
                            height=size.height,
                            width=size.width,
                            encoding=encoding,
                        ),
                        pixels,
                    )
            row += heights[index]
        lost = tuple(Shed(IndexRange(index, index), reason) for index, reason in sorted(shed.items()))
        yield CameraEnd(start.run, CAMERA, len(self._files), lost)


def natural(name: str) -> list[tuple[int, int | str]]:
    """Sort key: digits count as numbers, so that image 2 comes before image 10."""
    return [(0, int(part)) if part.isdecimal() else (1, part.lower()) for part in re.split(r"([0-9]+)", name) if part]


def _measured(files: list[Path]) -> tuple[dict[int, ImageSize], dict[int, str]]:
    """Each file's size by its index, and why others have none."""
    sizes: dict[int, ImageSize] = {}
    refused: dict[int, str] = {}
    for index, path in enumerate(files):
        try:
            sizes[index] = size_of(path)
        except BadInput as error:
            refused[index] = str(error)
            log.warning("image is left out", extra={"reason": str(error)})
    return sizes, refused
