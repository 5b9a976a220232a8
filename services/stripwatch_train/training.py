"""How a network on a pretrained trunk is trained: AdamW with warm-up and a cosine, and an average of the last steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from stripwatch_train.mobilenet import channels_last

_EMA = 0.995
_STEEPEST = 2.0
_FRESH = 5
"""How much faster a helper learns that starts from nothing."""

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast; the trunk learns at `backbone_share` of the rate."""

    size: int = 128
    steps: int = 700
    batch: int = 64
    rate: float = 1e-3
    backbone_share: float = 0.5
    warm_up: int = 50
    seed: int = 0


class Training(Generic[Net]):
    """Takes steps; `net.trunk` is what was pretrained, and `helper` is thrown away at the end."""

    def __init__(self, net: Net, schedule: Schedule, helper: nn.Module | None = None) -> None:
        torch.manual_seed(schedule.seed)
        self._net = channels_last(net)
        self._average = torch.optim.swa_utils.AveragedModel(
            net,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(_EMA),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        trunk = [p for name, p in net.named_parameters() if name.startswith("trunk.")]
        rest = [p for name, p in net.named_parameters() if not name.startswith("trunk.")]
        rate = schedule.rate
        groups = [{"params": trunk, "lr": rate * schedule.backbone_share}, {"params": rest, "lr": rate}]
        if helper is not None:
            groups.append({"params": list(helper.parameters()), "lr": _FRESH * rate})
        self._optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
        self._pace = torch.optim.lr_scheduler.LambdaLR(self._optimiser, lambda step: _pace(step, schedule))
        net.train()

    def step(self, loss: Tensor) -> None:
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._net.parameters(), _STEEPEST)
        self._optimiser.step()
        self._pace.step()
        self._average.update_parameters(self._net)

    def finish(self) -> Net:
        """The network with its average weights, ready to judge."""
        self._net.load_state_dict(self._average.module.state_dict())
        return self._net.eval()


def _pace(step: int, schedule: Schedule) -> float:
    falling = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
    return min(1.0, (step + 1) / schedule.warm_up) * falling
