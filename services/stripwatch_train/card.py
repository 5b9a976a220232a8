"""Model cards: what a model was trained on, what that is licensed under, what it reaches and where it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stripwatch_train.batches import CLASSES
from stripwatch_train.report import short
from stripwatch_train.results import table
from stripwatch_train.shipped import Pair

_LICENCES = """\
## Licences
The files here: Apache-2.0. Training started from ImageNet MobileNetV2 weights (ONNX model zoo, Apache-2.0); no tensor
of them is in this model unchanged (the export refuses that). The NEU surface defect database states no licence: its
images are not in this repository, and whoever trains again needs their own copy. The reference tiles are simulated.
"""

_STEEL = """\
# {ref}: seven classes of hot-rolled steel

A tile of steel (200x200 px at about 0.5 mm per px, resized to {size}x{size} grey) to probabilities of `healthy` and the
six NEU classes. `patches` is a defect here. Calibrated by one temperature ({temperature}). In int8. It also gives the
descriptor that `{other}` judges{map}.

## How it was made
MobileNetV2 1.0 cut after `features[13]`, first convolution on one grey plane, BatchNorm folded away, every
convolution trained further; mean and deviation over positions of stages 3, 6, 10, 13 (432 numbers) and the peaks of
the last two (160) go to a two-layer head. {stages}
Tiles: whole NEU images, mosaics of part NEU image and part healthy steel (labelled by what of the boxes and masks is in
view, left out where that is unclear), simulated flaws, simulated
healthy steel (seeds below 1,000,000), and healthy steel quilted from the defect-free parts of NEU's inclusion, patches
and scratches images; from the fifth stage on, four to five in ten disturbed (exposure, uneven light, defocus, motion,
noise, JPEG), and a second loss keeps the pretrained descriptor readable off the trunk. Then statically quantised:
convolutions in int8, ranges from 192 tiles of the training side.
Data: NEU, sha256 over all files {data}; `models/heldout.txt` (360 images, whole overlap groups) was never seen.

## What it reaches (never-seen images and seeds, this file, ONNX Runtime; `docs/results/shipped.json`)
{figures}
Held-out images, rows are the truth:
```
{confusion}
```
Missed: {missed}.

"""

_STAGES = {
    "accurate": "First 700 steps of 64 tiles at 128 px,\nthen 480, 150 and 360 at 160 px with hard simulated tiles "
    "added in three rounds, then 320 and 420 on tiles\nof which many were disturbed.",
    "fast": "It starts from the accurate profile's weights and was trained on for 700 steps of 64 tiles at 64 px.",
}

_STEEL_FAILS = """\
## Where it fails
- Its healthy steel is simulated, or quilted from NEU. No camera of yours took it: expect false alarms on another
  line's texture, and measure on it before you trust the class `healthy`.
- Two to three in a hundred quilted tiles of held-out NEU backgrounds are taken for a defect; some do show unmarked
  specks, and some are marks of the quilting.
- Bright streaks along simulated steel can pass for scratches, and the dark edge of a strip for an inclusion, with a
  confidence of up to 0.93. Dark scratches can be called inclusions.
- Noise at 20 dB and blur hide faint pits and thin scratches first; the fast profile also takes over-exposed rolled-in
  scale for crazing.
- Faint pits on bright rolled steel (pitted_surface_255 and its neighbours) are its hardest images.
- A defect of which a tile sees less than about a fifth is not asked for in training, and may get any class.
- 0.35 to 0.75 mm per px was seen in training for healthy steel only; defects at 0.5 mm per px. One grey channel, 8 bit.
- Only six kinds of defect. Others may be called healthy: that is what the anomaly score is for.

"""

_TEXTURE = """\
# {ref}: how unlike healthy steel a tile is

A tile of steel (resized to {size}x{size} grey), or the descriptor that `{other}` gives of it, to one score; 1.0 is the
calibrated threshold: 1.25 times the 99.9th percentile of simulated healthy tiles that were not fitted.

## How it was made
The trunk is that of `{other}`, in int8, so one pass through it serves both. No defect took part in the score: it is the
Mahalanobis distance (one Ledoit-Wolf covariance) of the 432 statistics, deviations by their logarithm, to the nearest
of 24 centres of healthy steel: simulated and quilted from NEU, fitted a second time without the 4 % that lay farthest.
(The trunk itself has learnt classes; a loss kept it telling what the pretrained network tells.) It is image-wise: patch
by patch, crazing looks more normal than healthy steel does.
Data: NEU, sha256 over all files {data}; `models/heldout.txt` was never seen.

## What it reaches (`docs/results/shipped.json`)
{figures}
"""

_TEXTURE_FAILS = """\
## Where it fails
- It knows the healthy steel of a simulator and of NEU's backgrounds. On a real line it must be fitted again with that
  line's own healthy tiles; until then its score is a hint, and the default recipe treats it as one.
- The trunk was trained on the six classes and on simulated flaws; a defect of another kind may move its statistics less
  than those figures say.
- A sharp border between two healthy coils, or another light, can score above 1.0.

"""


def write_cards(models: Path, pair: Pair, figures: dict[str, Any], data_sha256: str, at: int) -> None:
    """Put one profile's figures into both manifests and cards."""
    metrics = short(figures, at)
    held = figures["heldout_images"]
    missed = [f"{one['image']} (taken for {one['answer']}, {one['probability']:.2f})" for one in held["missed"]]
    made = {
        "data": data_sha256,
        "stages": _STAGES[pair.profile],
        "map": ", and a map of where the defect lies" if figures.get("boxes") else "",
        "confusion": table(held["confusion"][1:], CLASSES[1:], CLASSES),
        "missed": ", ".join(missed) or "none",
    }
    classifier = _STEEL, _STEEL_FAILS, _steel_figures(figures, metrics)
    scorer = _TEXTURE, _TEXTURE_FAILS, _texture_figures(figures, metrics)
    both = (pair.classifier, pair.scorer)
    for ref, other, (text, fails, told) in zip(both, reversed(both), (classifier, scorer), strict=True):
        folder = models / str(ref)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["provenance"]["metrics"] = metrics
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        card = text.format(
            ref=ref,
            other=other,
            size=manifest["input"]["size"],
            temperature=manifest["calibration"]["temperature"],
            figures=told,
            **made,
        )
        (folder / "CARD.md").write_text(card + fails + _LICENCES)


def _steel_figures(figures: dict[str, Any], m: dict[str, Any]) -> str:
    held = figures["heldout_images"]
    return (
        f"Single tiles, the best class alone, from a confidence of {m['confidence']} on. The recipe `hot-rolled` "
        "asks for 0.9 of all defect\nclasses together, and that the anomaly scorer agrees; what that gives through the "
        "running pipeline is in\n`benchmarks/results/acceptance.json`.\n\n"
        "| what | share |\n|---|---|\n"
        f"| 360 held-out NEU images, whole, right class (argmax) | {m['heldout_accuracy']:.2%} |\n"
        + "".join(f"| the same under {name} | {share:.2%} |\n" for name, share in held["disturbed"].items())
        + f"| expected calibration error on them | {held['calibration_error']:.2%} |\n"
        f"| laid on the grid, right class | {m['on_grid_right']:.2%} |\n"
        f"| laid off the grid on simulated steel, right class in some tile | "
        f"{m['off_grid_right_simulated_ground']:.2%} |\n"
        f"| the same on quilted real steel | {m['off_grid_right_real_ground']:.2%} |\n"
        f"| flaws of 20 mm or more on 100 simulated strips, found | {m['simulated_found']:.2%} |\n"
        f"| the same, right class in some tile | {m['simulated_right']:.2%} |\n"
        f"| healthy simulated tiles called a defect | {m['clean_tiles_false']} of {m['clean_tiles']} |\n"
        f"| clean simulated strips with a false defect | {m['clean_strips_false']} of 100 |\n"
        + _box_figures(figures["boxes"])
    )


def _box_figures(boxes: dict[str, Any] | None) -> str:
    if not boxes:
        return ""
    best = boxes["chosen"]
    told = f"{best['recall_iou30']:.2%}, precision {best['precision_iou30']:.2%}"
    return f"| recall of NEU-DET's boxes at IoU 0.3, from the map (`stripwatch_train.where.box_recall`) | {told} |\n"


def _texture_figures(figures: dict[str, Any], m: dict[str, Any]) -> str:
    area = m["anomaly_auroc"]
    strips = (figures["simulated_strips"], figures["simulated_clean_strips"])
    highest = max(strip["highest_anomaly_on_healthy"] for strip in strips)
    return (
        "| what | figure |\n|---|---|\n"
        f"| AUROC, held-out defects against quilted healthy NEU | {area['heldout_defects_against_quilted']:.4f} |\n"
        f"| AUROC, held-out defects against simulated healthy steel | "
        f"{area['heldout_defects_against_simulated_clean']:.4f} |\n"
        f"| quilted healthy NEU with a score of 1 or more (some show unmarked specks) | "
        f"{figures['heldout_healthy_quilted']['anomaly_false_share']:.2%} |\n"
        f"| held-out defects on the grid with a score of 1 or more | "
        f"{figures['composed_on_grid']['found_by_anomaly']:.2%} |\n"
        f"| simulated flaws with a score of 1 or more | {figures['simulated_strips']['found_by_anomaly']:.2%} |\n"
        f"| healthy simulated tiles with a score of 1 or more | {m['anomaly_clean_tiles_false']} of "
        f"{m['clean_tiles']}, the highest {highest:.2f} |\n"
    )
