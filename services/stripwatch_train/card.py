"""Model cards: what a model was trained on, what that is licensed under, what it reaches and where it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stripwatch_train.batches import CLASSES
from stripwatch_train.report import short
from stripwatch_train.results import table
from stripwatch_train.shipped import STEEL, TEXTURE

_LICENCES = """\
## Licences
The files here: Apache-2.0. Training started from ImageNet MobileNetV2 weights (ONNX model zoo, Apache-2.0); no tensor
of them is in this model unchanged (the export refuses that). The NEU surface defect database states no licence: its
images are not in this repository, and whoever trains again needs their own copy. The reference tiles are simulated.
"""

_STEEL = """\
# {ref}: seven classes of hot-rolled steel

A tile of steel (200x200 px at about 0.5 mm per px, resized to {size}x{size} grey) to probabilities of `healthy` and the
six NEU classes. `patches` is a defect here. Calibrated by one temperature ({temperature}).

## How it was made
MobileNetV2 1.0 cut after `features[13]`, first convolution on one grey plane, BatchNorm folded away, every
convolution trained further; mean and deviation over positions of stages 3, 6, 10, 13 (432 numbers) and the peaks of
the last two (160) go to a two-layer head. First 700 steps of 64 tiles at 128 px, then 480 at 160 px with the hard
simulated tiles added, then 150 and 360 with those that were still hard. Tiles: whole NEU images, mosaics of part NEU
image and part healthy steel (labelled by what of the boxes and masks is in view, left out where that is unclear),
simulated flaws, simulated healthy steel (seeds below 1,000,000), and healthy steel quilted from the defect-free parts
of NEU's inclusion, patches and scratches images.
Data: NEU, sha256 over all files {data}; `models/heldout.txt` (360 images, whole overlap groups) was never seen.

## What it reaches (never-seen images and seeds, this ONNX file, ONNX Runtime; `benchmarks/results/models.json`)
{figures}
Held-out images, rows are the truth:
```
{confusion}
```
"""

_STEEL_FAILS = """\
## Where it fails
- Its healthy steel is simulated, or quilted from NEU. No camera of yours took it: expect false alarms on another
  line's texture, and measure on it before you trust the class `healthy`.
- Two to three in a hundred quilted tiles of held-out NEU backgrounds are taken for a defect; some do show unmarked
  specks, and some are marks of the quilting.
- Bright streaks along simulated steel can pass for scratches, and the dark edge of a strip for an inclusion: about two
  in a hundred clean simulated strips show one. Dark scratches can be called inclusions.
- Faint pits on bright rolled steel (pitted_surface_255 and its neighbours) are its hardest images.
- A defect of which a tile sees less than about a fifth is not asked for in training, and may get any class.
- 0.35 to 0.75 mm per px was seen in training for healthy steel only; defects at 0.5 mm per px. One grey channel, 8 bit.
- Only six kinds of defect. Others may be called healthy: that is what the anomaly score is for.

"""

_TEXTURE = """\
# {ref}: how unlike healthy steel a tile is

A tile of steel (resized to {size}x{size} grey) to one score; 1.0 is the calibrated threshold: 1.25 times the
99.9th percentile of simulated healthy tiles that were not fitted.

## How it was made
No label was used. A student (MobileNetV2 1.0 cut after `features[13]`, one grey plane, BatchNorm folded away) learned
to give from {size} px what the ImageNet network describes at 128 px: 432 standardised means and deviations over
positions of stages 3, 6, 10, 13, on NEU's training side, mosaics, magnetic tiles and simulated steel. The score is the
Mahalanobis distance (one Ledoit-Wolf covariance) to the nearest of 24 centres of healthy steel: simulated and quilted
from NEU, fitted a second time without the 4 % that lay farthest. It is image-wise: patch by patch, crazing looks more
normal than healthy steel does.
Data: NEU, sha256 over all files {data}; `models/heldout.txt` was never seen.

## What it reaches (`benchmarks/results/models.json`)
{figures}
"""

_TEXTURE_FAILS = """\
## Where it fails
- It knows the healthy steel of a simulator and of NEU's backgrounds. On a real line it must be fitted again with that
  line's own healthy tiles; until then its score is a hint, and the default recipe treats it as one.
- Small defects hardly move a statistic of the whole tile: most simulated flaws of a few cm² stay below 1.0.
- A sharp border between two healthy coils, or another light, can score above 1.0.

"""


def write_cards(models: Path, figures: dict[str, Any], data_sha256: str, at: int) -> None:
    """Put the figures into both manifests and cards."""
    for ref, text, fails in ((STEEL, _STEEL, _STEEL_FAILS), (TEXTURE, _TEXTURE, _TEXTURE_FAILS)):
        folder = models / str(ref)
        manifest = json.loads((folder / "manifest.json").read_text())
        metrics = short(figures, at)
        manifest["provenance"]["metrics"] = metrics
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        card = text.format(
            ref=ref,
            size=manifest["input"]["size"],
            temperature=manifest["calibration"]["temperature"],
            data=data_sha256,
            figures=_steel_figures(metrics) if ref == STEEL else _texture_figures(figures, metrics),
            confusion=table(figures["heldout_images"]["confusion"][1:], CLASSES[1:], CLASSES),
        )
        (folder / "CARD.md").write_text(card + fails + _LICENCES)


def _steel_figures(m: dict[str, Any]) -> str:
    return (
        f"Single tiles, the best class alone, from a confidence of {m['confidence']} on. The recipe `hot-rolled` "
        "asks for 0.9 of all defect\nclasses together; what that gives through the running pipeline is in "
        "`benchmarks/results/acceptance.json`.\n\n"
        "| what | share |\n|---|---|\n"
        f"| 360 held-out NEU images, whole, right class (argmax) | {m['heldout_accuracy']:.2%} |\n"
        f"| laid on the grid, right class | {m['on_grid_right']:.2%} |\n"
        f"| laid off the grid on simulated steel, right class in some tile | "
        f"{m['off_grid_right_simulated_ground']:.2%} |\n"
        f"| the same on quilted real steel | {m['off_grid_right_real_ground']:.2%} |\n"
        f"| flaws of 20 mm or more on 100 simulated strips, found | {m['simulated_found']:.2%} |\n"
        f"| the same, right class in some tile | {m['simulated_right']:.2%} |\n"
        f"| healthy simulated tiles called a defect | {m['clean_tiles_false']} of {m['clean_tiles']} |\n"
        f"| clean simulated strips with a false defect | {m['clean_strips_false']} of 100 |\n"
    )


def _texture_figures(figures: dict[str, Any], m: dict[str, Any]) -> str:
    area = m["anomaly_auroc"]
    strips = (figures["simulated_strips"], figures["simulated_clean_strips"])
    highest = max(strip["highest_anomaly_on_healthy"] for strip in strips)
    return (
        "| what | figure |\n|---|---|\n"
        f"| AUROC, held-out defects against quilted healthy NEU | {area['heldout_defects_against_quilted']:.4f} |\n"
        f"| AUROC, held-out defects against simulated healthy steel | "
        f"{area['heldout_defects_against_simulated_clean']:.4f} |\n"
        f"| held-out defects on the grid with a score of 1 or more | "
        f"{figures['composed_on_grid']['found_by_anomaly']:.2%} |\n"
        f"| simulated flaws with a score of 1 or more | {figures['simulated_strips']['found_by_anomaly']:.2%} |\n"
        f"| healthy simulated tiles with a score of 1 or more | {m['anomaly_clean_tiles_false']} of "
        f"{m['clean_tiles']}, the highest {highest:.2f} |\n"
    )
