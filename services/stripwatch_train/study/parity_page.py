"""What the parity stage tells: who differs from whom, by how much, and whether an answer changes."""

from __future__ import annotations

from typing import Any

from stripwatch_train.study.plots import Plots

_ROUTES = {
    "torch": "torch against ONNX Runtime, both fp32",
    "fp32": "int8 against fp32, ONNX Runtime",
    "openvino": "OpenVINO against ONNX Runtime",
    "service": "the running service against ONNX Runtime",
    "descriptors": "by the classifier's descriptors against by tiles, through the services",
}


def tell(figures: dict[str, Any], plots: Plots) -> str:
    """A row for each model and route."""
    del plots  # a table says it
    models: dict[str, Any] = figures["parity"]
    rows = [
        f"| `{ref}` {'int8' if model['int8'] else 'fp32'}, {model['bytes'] / 1e6:.1f} MB | {words} "
        f"| {found['images']:,} | {found['largest']:.2g} | {found['on_99_of_100']:.2g} | {found['different_answer']} |"
        for ref, model in models.items()
        for route, words in _ROUTES.items()
        if (found := model["routes"].get(route))
    ]
    return "\n".join(
        [
            _intro(figures),
            "| model | route | images | largest | 99 % below | other answers |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            *_notes(models),
        ]
    )


def _intro(figures: dict[str, Any]) -> str:
    return (
        "## Parity: one image, one score\n\n"
        "The same images by every route: torch, the exported graph on ONNX Runtime and on OpenVINO, and the services as "
        "processes over gRPC (held-out images, batches of 16). A difference is that of a probability, or of an anomaly "
        "score; of a score above 1.0 it is a share of the score. Another answer is another best class, or the other side "
        f"of 1.0. The services answer in steps of {figures['quantum']:g}, so half a step is the least that can be seen "
        "of them.\n"
    )


def _notes(models: dict[str, Any]) -> list[str]:
    without = [f"`{ref}`" for ref, model in models.items() if "torch" not in model["routes"]]
    steps = max(model["units_alone_or_of_16"] for model in models.values())
    notes = [f"A tile alone and in a batch of 16 differ by at most {steps} step{'s' * (steps != 1)} in any model.\n"]
    if without:
        notes.append(
            f"No torch column for {', '.join(without)}: the weights in fp32 are not on the machine that measured, or their "
            "network is none of the shipped ones; the paper's five rows are compared with torch through the services in "
            "`tests/integration/test_row_models.py`.\n"
        )
    small = {ref: model for ref, model in models.items() if model["int8"]}
    agreed = [
        f"`{ref}` {1 - found['different_answer'] / found['images']:.2%}"
        for ref, model in small.items()
        if (found := model["routes"].get("fp32"))
    ]
    if agreed:
        notes.append(
            f"In int8 the answer is that of fp32 on {', '.join(agreed)} of the images. Two engines may round an activation "
            "to either side of a half, so in int8 they agree less closely than in fp32; the manifest's tolerance is "
            f"{max(model['tolerance'] for model in small.values()):g} for that reason.\n"
        )
    return notes
