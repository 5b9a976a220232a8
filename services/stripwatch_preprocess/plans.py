"""Finds what each run is judged by: pins it at first sight, and follows the pins from then on."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stripwatch.domain.frame import RunId
from stripwatch.domain.model import ModelRef, ModelSpec
from stripwatch.domain.recipe import Recipe, Role
from stripwatch.domain.strip import RunStart
from stripwatch.errors import (
    BadInput,
    DeadlineExceeded,
    NotFound,
    Overloaded,
    PeerUnavailable,
    StripwatchError,
    Unavailable,
)
from stripwatch.ports import Scorer, Work
from stripwatch.rpc.codec.frames import decode_start
from stripwatch.rpc.codec.results import Pins, decode_pins, encode_pins
from stripwatch.runtime.logging import of_run
from stripwatch_preprocess.plan import Plan

log = logging.getLogger(__name__)

MOST_RUNS = 256
TRIES = 5
"""A replica that lacks a version says NotFound for itself; only this many in a row speak for all of them."""
PROBE_SECONDS = 1.0
"""Time for a service that has been away for a while: the worker does nothing else meanwhile."""
ASK_AGAIN_S = 0.5
LOOK_FOR_MISSING_S = 5.0
"""How often to ask again for a service that a run is being judged without."""


@dataclass(slots=True)
class _Known:
    """What is known of a run, until when it holds, and since when it has been asked for."""

    since: float
    until: float
    plan: Plan | None = None
    error: StripwatchError | None = None
    told: bool = False


class Plans:
    """Plans of runs, for as long as they are in use."""

    def __init__(
        self,
        find: Callable[[str], Recipe],
        parse: Callable[[str], Recipe],
        scorers: Mapping[Role, Scorer],
        request_seconds: float,
    ) -> None:
        self._find = find
        self._parse = parse
        self._scorers = scorers
        self._seconds = request_seconds
        self._known: OrderedDict[RunId, _Known] = OrderedDict()

    def of(self, work: Work, run: RunId) -> Plan | None:
        """The run's plan; None if the run has its verdict.

        BadInput where it can never have one; Unavailable, Overloaded or DeadlineExceeded where it may have one later.
        """
        now = time.monotonic()
        known = self._known.get(run) or _Known(now, 0.0)
        if now >= known.until:
            self._remember(run, known)
            known.plan, known.error = None, None
            try:
                known.plan = self._resolve(work, run, patient=now < known.since + self._seconds)
            except StripwatchError as error:
                known.until, known.error = time.monotonic() + ASK_AGAIN_S, error
                self._tell(run, known, error)
                raise
            if known.plan is None:
                self.forget(run)
            else:
                whole = known.plan.specs.keys() == known.plan.pinned.keys()
                known.until = float("inf") if whole else time.monotonic() + LOOK_FOR_MISSING_S
        elif known.error is not None:
            raise known.error.with_traceback(None)
        return known.plan

    def is_live(self, work: Work, run: RunId) -> bool:
        """Whether the run, known or not, is watched by a deadline; StreamUnavailable."""
        start = work.info(run).start
        return bool(start) and decode_start(start).live

    def begin(self, work: Work, run: RunId) -> None:
        """Pins what a run is judged by. One that starts again, after Redis lost it, has no pins any more."""
        known = self._known.get(run)
        if known is not None and known.plan is not None:
            self.forget(run)
        self.of(work, run)

    def forget(self, run: RunId) -> None:
        """Looks the run up again when it is next asked for: a model of it is gone."""
        self._known.pop(run, None)

    def _tell(self, run: RunId, known: _Known, error: StripwatchError) -> None:
        """Says once why a run has to wait: an operator must not have to guess."""
        if not known.told and not isinstance(error, BadInput):
            log.warning("its frames wait", extra={**of_run(run), "reason": str(error)})
            known.told = True

    def _remember(self, run: RunId, known: _Known) -> None:
        self._known[run] = known
        self._known.move_to_end(run)
        while len(self._known) > MOST_RUNS:
            self._known.popitem(last=False)

    def _resolve(self, work: Work, run: RunId, *, patient: bool) -> Plan | None:
        info = work.info(run)
        if info.closed:
            return None
        if not info.start:
            self.forget(run)  # its source may start it again any moment: the next frame has to ask anew
            raise BadInput(f"run {run} was never started")
        start = decode_start(info.start)
        body = info.pins or work.pin(run, encode_pins(self._choose(run, start.recipe, patient)))
        if not body:  # it was closed meanwhile
            return None
        return self._follow(start, decode_pins(body), patient)

    def _choose(self, run: RunId, name: str, patient: bool) -> Pins:
        """What to pin: the recipe as it is now, and its models as the services have them now."""
        try:
            recipe = self._find(name)
        except NotFound as error:  # which says where it looked: on this machine, and that is none of the verdict's
            log.warning("there is no recipe of that name", extra={**of_run(run), "recipe": name, "reason": str(error)})
            raise BadInput(f"recipe {name}: no worker has one of that name") from error
        specs: dict[Role, ModelSpec] = {}
        for role, model in recipe.models.items():
            try:
                specs[role] = self._describe(role, model, patient)
            except (NotFound, Unavailable, Overloaded, DeadlineExceeded) as error:
                self._go_without(run, recipe, role, error, patient)
        models = {role: str(spec.ref) for role, spec in specs.items()}
        engines = {role: spec.engine for role, spec in specs.items()}
        return Pins(recipe.text, recipe.sha256, models, engines)

    def _follow(self, start: RunStart, pins: Pins, patient: bool) -> Plan:
        """The plan of pins that are in force; a version that no replica has is replaced by the newest of its name."""
        run, recipe = start.run, self._parse(pins.recipe_text)
        specs: dict[Role, ModelSpec] = {}
        for role, pinned in pins.models.items():
            try:
                specs[role] = self._pinned(run, role, pinned, patient)
            except (NotFound, Unavailable, Overloaded, DeadlineExceeded) as error:
                self._go_without(run, recipe, role, error, patient)
                continue
            engine = pins.engines.get(role, "")
            if specs[role].engine != engine:
                told = {**of_run(run), "model": pinned, "pinned": engine, "engine": specs[role].engine}
                log.warning("judged by another engine than the pinned one", extra=told)
        return Plan(recipe, specs, dict(pins.models), frozenset(camera.name for camera in start.cameras), start.live)

    def _pinned(self, run: RunId, role: Role, pinned: str, patient: bool) -> ModelSpec:
        try:
            return self._describe(role, pinned, patient)
        except NotFound:
            spec = self._describe(role, ModelRef.parse(pinned).name, patient)
            told = {**of_run(run), "pinned": pinned, "model": str(spec.ref)}
            log.warning("no replica has the pinned model any more, the run goes on with another", extra=told)
            return spec

    def _describe(self, role: Role, model: str, patient: bool) -> ModelSpec:
        scorer = self._scorers.get(role)
        if scorer is None:
            raise NotFound(f"{role.value}: the address of this service is not set")
        seconds = self._seconds if patient else min(PROBE_SECONDS, self._seconds)
        tries = TRIES
        while True:
            try:
                return scorer.describe(model, seconds)
            except NotFound:
                tries -= 1
                if not tries:
                    raise
            except (Unavailable, Overloaded, DeadlineExceeded):
                raise
            except StripwatchError as error:  # a model that it cannot serve is as good as away
                raise PeerUnavailable(f"{role.value}: {error}") from error

    def _go_without(self, run: RunId, recipe: Recipe, role: Role, error: StripwatchError, patient: bool) -> None:
        """Passes over a service that the recipe can do without; others, and ones that may be back soon, are an error.

        A service without the model is as good as away: its frames wait, they are not refused.
        """
        if role in recipe.required and isinstance(error, NotFound):
            raise PeerUnavailable(str(error)) from error
        if role in recipe.required or (patient and not isinstance(error, NotFound)):
            raise error
        told = {**of_run(run), "peer": role.value, "reason": str(error)}
        log.warning("judged without the %s service", role.value, extra=told)
