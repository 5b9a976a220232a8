"""The course of one chaos run: feed, break, heal, wait until all is quiet, and close the books."""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

import redis

from chaos import books as ledger
from chaos.faults import Schedule
from chaos.feeder import Feeder
from chaos.golden import simulated_run, simulated_settings
from chaos.mes import LOST
from chaos.plan import ChaosPlan
from chaos.plant import Plant
from chaos.strips import LINE
from stripwatch.domain.frame import RunId
from stripwatch.errors import StripwatchError
from stripwatch.feed import end_abandoned, owner_name
from stripwatch.local.child import Child
from stripwatch.ports import LineStream, Stream

SETTLE_S = 20.0
"""Longest wait after the last fault; every guarantee must hold by then."""
ABANDON_S = 6.0
"""Where Redis lost something, open runs that are left so long after all was quiet are ended by hand."""
AGREE_S = 15.0
"""Longest time until the servers of a fail-over agree."""
POLL_S = 0.05


class Course:
    """One run on a plant that is ready."""

    def __init__(self, plant: Plant, plan: ChaosPlan, golden: dict[str, Any]) -> None:
        self.plant, self.plan, self.golden = plant, plan, golden
        with plant.store.admin() as admin:
            self.memory_before = int(admin.info("memory")["used_memory"])
            self.version = str(admin.info("server")["redis_version"])
        self.home = plant.store.home()
        self.began = time.monotonic()
        self.schedule = Schedule(plant, plan, self.began)
        give_up = self.began + SETTLE_S
        self.feeders = [Feeder(one, plant.connect, self.began, give_up) for one in plan.shipments]
        self.simulated = simulated_run(plan.simulated, f"s{plan.seed}-simulated")
        self.ingest: Child | None = None
        self.settled_at = 0.0
        self.trouble = ""
        self.abandoned = False
        self.quiet_at = 0.0

    def go(self) -> None:
        """Feeds and breaks until both are done, then waits until all is quiet."""
        self.ingest = self.plant.feed(simulated_settings(self.plan.simulated, self.simulated.run))
        for feeder in self.feeders:
            feeder.start()
        while not self.schedule.over:
            self.schedule.step()
            self._tend()
        deadline = time.monotonic() + AGREE_S
        while self.plant.store.fails_over and not self._agreed() and time.monotonic() < deadline:
            self._tend()
        self.quiet_at = time.monotonic()
        deadline = self.quiet_at + SETTLE_S
        stream = self.plant.connect(direct=True)
        late_owed = {feeder.sent.run: feeder for feeder in self.feeders if feeder.sent.shipment.late}
        while what := self._unsettled(stream, late_owed):
            if time.monotonic() > deadline:
                self.trouble = f"not settled {SETTLE_S:g} s after the last fault: {what}"
                break
            self._tend()
        self.settled_at = time.monotonic()

    def _agreed(self) -> bool:
        try:
            if self.plant.store.home() != self.home and not self.schedule.lost_at:
                self.schedule.lost_at.append(time.monotonic())  # a fail-over that nobody asked for: all was too slow
            return self.plant.store.agreed()
        except redis.RedisError:
            return False

    def _tend(self) -> None:
        self.plant.supervisor.tend()
        time.sleep(POLL_S)

    def _unsettled(self, stream: Stream, late_owed: dict[RunId, Feeder]) -> str:
        """What is still under way; empty when nothing is."""
        if self.ingest and self.ingest.running:
            return "ingest runs"
        if any(feeder.is_alive() for feeder in self.feeders):
            return "shipments are on their way"
        try:
            line = stream.line(LINE)
            what = self._undecided(line, late_owed) or self._untidy(line)
        except StripwatchError as error:
            return str(error)
        sick = self.plant.sick()
        return what or (f"not healthy: {', '.join(sick)}" if sick else "")

    def _undecided(self, line: LineStream, late_owed: dict[RunId, Feeder]) -> str:
        waiting = [str(run) for run in self._runs() if line.verdicts.of(run) is None and not self._lossy(run)]
        if waiting:
            return f"no verdict of {', '.join(waiting)}"
        if self.schedule.lost_at and not self.abandoned and time.monotonic() > self.quiet_at + ABANDON_S:
            end_abandoned(line, owner_name())  # what an operator does: a replay whose end was lost has no other
            self.abandoned = True
        for run in list(late_owed):
            if line.verdicts.of(run) is not None:
                late_owed.pop(run).send_late(line)
        owed = [str(run) for run in late_owed if not self._lossy(run)]
        return f"late frames of {', '.join(owed)} to send" if owed else ""

    def _untidy(self, line: LineStream) -> str:
        if left := line.runs.open_runs():
            return f"open: {', '.join(map(str, left))}"
        for name, queue in (("frames", line.frames), ("results", line.results)):
            if queue.backlog().waiting:
                return f"{name}: {queue.backlog()}"
        told = set(self._mes_seen())
        untold = any(one["id"] not in told for one in ledger.read_verdicts(line))
        return "the MES has not seen all verdicts" if untold else ""

    def _runs(self) -> list[RunId]:
        """Runs whose start was acknowledged."""
        started = [feeder.sent.run for feeder in self.feeders if feeder.sent.started]
        return [*started, *([self.simulated] if self._ingest_started() else [])]

    def _ingest_started(self) -> bool:
        return bool(self.ingest and (self.ingest.code == 0 or not self.schedule.cut_short))

    def _lossy(self, run: RunId) -> bool:
        """Whether Redis may have lost a part of the run, as stated."""
        begun = {feeder.sent.run: feeder.sent.started_s for feeder in self.feeders}.get(run, self.began)
        return any(begun < at for at in self.schedule.lost_at)

    def _mes_seen(self) -> list[str]:
        return self.plant.mes_seen.read_text(encoding="utf-8").splitlines() if self.plant.mes_seen.exists() else []

    def close_books(self) -> dict[str, Any]:
        books = ledger.Books()
        books.check(not self.trouble, self.trouble)
        stream = self.plant.connect(direct=True)
        line = stream.line(LINE)
        verdicts = ledger.read_verdicts(line)
        by_run = {(one["data"]["partId"], one["data"]["jobId"]): one for one in verdicts}
        seen = self._mes_seen()
        told_of_loss = [one for one in seen if one.startswith(LOST)]
        runs = [run for run in self._runs() if not self._lossy(run)]
        known = [*[feeder.sent.run for feeder in self.feeders], self.simulated]
        optional = [run for run in known if run not in runs and (run.strip, run.run) in by_run]
        ledger.check_verdicts(books, verdicts, [*runs, *optional], seen)
        books.check(not told_of_loss or bool(self.schedule.lost_at), f"the MES lost its place: {told_of_loss}")
        dead = ledger.buried(line)
        for feeder in self.feeders:
            sent = feeder.sent
            books.check(not sent.trouble or self._lossy(sent.run), f"{sent.run}: not sent to its end: {sent.trouble}")
            verdict = by_run.get((sent.run.strip, sent.run.run))
            if verdict is None:
                ledger.write_off(books, sent)
                continue
            golden, late = self.golden[sent.run.strip], line.runs.late(sent.run)
            if self._lossy(sent.run):
                ledger.check_lossy_run(books, sent, verdict, golden, late)
            else:
                ledger.check_run(books, sent, verdict, golden, late, dead)
        self._check_simulated(books, by_run, line)
        self._check_ingest(books)
        with self.plant.store.admin() as admin:
            ledger.check_memory(books, admin, self.memory_before)
        ledger.check_processes(books, self.plant.log_text(), self.plant.ends)
        for name, child in self.plant.supervisor.children.items():
            books.check(child.running or name == "ingest", f"{name} does not run at the end: {child.reason}")
        alive = line.beats.alive()
        books.check({"preprocess", "aggregate"} <= alive.keys(), f"no heartbeat of some stage: {sorted(alive)}")
        stream.close()
        return self._record(books)

    def _check_simulated(self, books: ledger.Books, by_run: dict[Any, Any], line: LineStream) -> None:
        run = self.simulated
        verdict = by_run.get((run.strip, run.run))
        if verdict is not None:
            cut_short = self.schedule.cut_short or self._lossy(run)
            ledger.check_simulated_run(
                books, run, verdict, self.golden[run.strip], line.runs.late(run), cut_short=cut_short
            )

    def _check_ingest(self, books: ledger.Books) -> None:
        """It is done, was ended by us, came too late for a run that its deadline had closed, or said what Redis would
        not take of a run within its deadline: the verdict says what is missing.
        """
        ingest = self.plant.supervisor.children["ingest"]
        said = any(words in ingest.last_words for words in ("verdict already", "these were not delivered"))
        fine = ingest.code in (0, -signal.SIGKILL, -signal.SIGTERM) or said
        books.check(fine, f"ingest {ingest.reason}: {ingest.last_words}")

    def _record(self, books: ledger.Books) -> dict[str, Any]:
        counts = {name: value for name, value in asdict(books).items() if name != "wrong"}
        faults = Counter(self.schedule.done)
        return {
            "seed": self.plan.seed,
            "redis": self.plan.kind,
            "redis_version": self.version,
            "aof": self.plan.aof,
            "faults": dict(sorted(faults.items())),
            "runs": len(self.plan.shipments) + 1,
            **counts,
            "restarts": self.plant.supervisor.restarts,
            "recovery_s": round(max(0.0, self.settled_at - self.schedule.healed_at), 1),
            "violations": books.wrong,
        }
