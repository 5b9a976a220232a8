"""The section of the page on the models that ship."""

from __future__ import annotations

from typing import Any

from stripwatch_train.study.plots import Plots


def tell(figures: dict[str, Any], _: Plots) -> str:
    """Their figures, beside what they are for."""
    profiles = figures["shipped"]
    held = {name: one["heldout_images"] for name, one in profiles.items()}
    conditions = list(held["accurate"]["disturbed"])
    missed = {
        name: ", ".join(f"`{miss['image']}` ({miss['answer']})" for miss in one["missed"]) or "none"
        for name, one in held.items()
    }
    return f"""## The models that ship

What stands above is on the untouched ImageNet network, and built on your machine. What ships is trained end to end from
it, so that no pretrained tensor is in the repository, and it knows a seventh class, `healthy`: defect-free steel that is
not `patches` is not forced into a defect. It is judged on the 360 images of `models/heldout.txt`, whole overlap groups
that it never saw, and on simulated strips of seeds that no training drew. One split, since a network cannot be trained
twenty times here; choices between trainings were made on simulated strips and on these images, so take the figures as
slightly kind.

| | {" | ".join(f"{name}: `{'`, `'.join(one['models'])}`" for name, one in profiles.items())} |
|---|{"---|" * len(profiles)}
{_row("numbers in the classifier", profiles, lambda one: f"{one['parameters'] / 1e6:.2f} M")}
{_row("its file, int8", profiles, lambda one: f"{one['bytes'] / 1e6:.2f} MB")}
{_row("held-out images right", profiles, lambda one: f"{one['heldout_images']['accuracy']:.2%}")}
{_row("expected calibration error", profiles, lambda one: f"{one['heldout_images']['calibration_error']:.2%}")}
{chr(10).join(_row(f"right under {name}", profiles, lambda one, name=name: f"{one['heldout_images']['disturbed'][name]:.2%}") for name in conditions)}
{_row("flaws of 20 mm or more on 100 simulated strips found", profiles, lambda one: f"{one['summary']['simulated_found']:.2%}")}
{_row("clean simulated strips with a false defect", profiles, lambda one: f"{one['summary']['clean_strips_false']} of 100")}
{_row("anomaly AUROC, held-out defects against quilted healthy steel", profiles, lambda one: f"{one['anomaly_auroc']['heldout_defects_against_quilted']:.4f}")}
{_row("anomaly AUROC, against simulated healthy steel", profiles, lambda one: f"{one['anomaly_auroc']['heldout_defects_against_simulated_clean']:.4f}")}

`{next(iter(profiles["accurate"]["models"]))}` also says where: a head of linear cells, as in the section on boxes, on its own trunk. On the held-out images
recall of NEU-DET's boxes at IoU 0.3 is {_box(profiles, "chosen", "recall")} at a precision of {_box(profiles, "chosen", "precision")} with the chooser,
{_box(profiles, "level", "recall")} and {_box(profiles, "level", "precision")} with one level a class.

Missed: accurate {missed["accurate"]}; fast {missed["fast"]}. On the untouched network a class is right more often, and keeps it under disturbance:
its head is asked for six classes that all are defects, never whether a faint pit or a smeared scratch is one at all. Under
noise and blur most of what the shipped models miss is taken for healthy.
"""


def _row(label: str, profiles: dict[str, Any], value: Any) -> str:
    return f"| {label} | {' | '.join(value(one) for one in profiles.values())} |"


def _box(profiles: dict[str, Any], way: str, rate: str) -> str:
    return f"{profiles['accurate']['boxes'][way][f'{rate}_iou30']:.1%}"
