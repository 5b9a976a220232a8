"""Whether a chaos run's books balance, by what a consumer can see of it: verdicts, dead letters, Redis, the log."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.feeder import Sent
from chaos.strips import LINE, POOL, RECIPE_NAME, Strip
from stripwatch.domain.frame import RunId
from stripwatch.domain.verdict import verdict_id
from stripwatch.errors import BadInput
from stripwatch.ports import LineStream
from stripwatch.rpc.codec.frames import decode_header
from stripwatch.stream.keys import FRAMES_GROUP, RESULTS_GROUP, Keys
from stripwatch.testing.golden import compare

Verdict = Mapping[str, Any]


@dataclass(slots=True)
class Books:
    """What was counted, and everything that does not add up."""

    wrong: list[str] = field(default_factory=list)
    sent: int = 0
    """Different frames that were acknowledged: each is in `accounted`, `overdue` or `gone`."""
    accounted: int = 0
    """Of them, judged or failed in a verdict."""
    overdue: int = 0
    """Of them, not in the verdict of their run, and covered by results that came late."""
    gone: int = 0
    """Of them, lost by a Redis that does not promise to keep them."""
    judged: int = 0
    failed: int = 0
    shed: int = 0
    never_seen: int = 0
    late: int = 0
    verdicts: int = 0
    excused: int = 0
    """Runs in which Redis was ended that keeps no log, or was followed by a replica."""

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)


def read_verdicts(line: LineStream) -> list[Verdict]:
    """Every verdict in the stream, oldest first."""
    found, cursor = [], ""
    while page := line.verdicts.since(cursor, 100, 0):
        found += [json.loads(one.event.json) for one in page]
        cursor = page[-1].cursor
    return found


def check_verdicts(books: Books, verdicts: Sequence[Verdict], runs: Sequence[RunId], mes: Sequence[str]) -> None:
    """Exactly one verdict a run, with the id that the run gives it; and the MES has seen each."""
    ids = Counter(one["id"] for one in verdicts)
    books.verdicts = len(verdicts)
    wanted = {verdict_id(run): run for run in runs}
    for one, count in ids.items():
        books.check(count == 1, f"verdict {one} of {wanted.get(one)} is there {count} times")
        books.check(one in wanted, f"verdict {one} is of no run that was started")
        books.check(one in mes, f"the MES never saw verdict {one} of {wanted.get(one)}")
    for one, run in wanted.items():
        books.check(one in ids, f"{run} has no verdict")


def add_up(books: Books, run: RunId, verdict: Verdict, late: int) -> dict[str, dict[int, str]]:
    """Every frame of each camera once in the verdict: judged or lost; the lost ones and why."""
    books.late += late
    found = {}
    for camera in verdict["data"]["cameras"]:
        name = camera["camera"]
        lost = {i: one["reason"] for one in camera["lost"] for i in range(one["first"], one["last"] + 1)}
        many = sum(one["last"] - one["first"] + 1 for one in camera["lost"])
        books.check(many == len(lost), f"{run} {name}: a frame is lost twice over: {camera['lost']}")
        books.check(
            camera["judged"] + many == camera["expected"],
            f"{run} {name}: {camera['judged']} judged and {many} lost make no {camera['expected']} expected",
        )
        books.judged += camera["judged"]
        reasons = Counter(lost.values())
        told = (camera["failed"], camera["shed"], camera["neverSeen"])
        books.check(
            told == (reasons["failed"], reasons["shed"], reasons["never-seen"]),
            f"{run} {name}: it counts {told} failed, shed and never seen, and lists {dict(reasons)}",
        )
        books.failed += camera["failed"]
        books.shed += camera["shed"]
        books.never_seen += camera["neverSeen"]
        found[name] = lost
    return found


def check_run(books: Books, sent: Sent, verdict: Verdict, golden: Verdict, late: int, dead: set[Any]) -> None:
    """Every acknowledged frame has one outcome, and the verdict is the one of the same frames without faults."""
    strip, run, data = POOL[sent.shipment.strip], sent.run, verdict["data"]
    books.sent += len(sent.frames)
    losses = add_up(books, run, verdict, late)
    overdue = 0
    whole = True
    for camera in data["cameras"]:
        name = camera["camera"]
        lost = losses[name]
        for index in range(strip.frames):
            outcome = lost.get(index, "judged") if index < camera["expected"] else "beyond"
            if sent.frames[name, index] and outcome in ("never-seen", "beyond", "shed"):
                overdue += 1
                whole = False
            if outcome == "judged":
                books.check((name, index) in sent.tried, f"{run} {name}[{index}]: judged, but never sent")
            if outcome == "shed":
                whole = False
                books.check((name, index) in sent.shed, f"{run} {name}[{index}]: shed, but its source sent it")
            if outcome == "failed":
                meant = index in strip.broken or strip.recipe != RECIPE_NAME
                books.check(meant, f"{run} {name}[{index}]: a good frame failed")
                books.check((run, name, index) in dead, f"{run} {name}[{index}]: failed, but its bytes are not in dead")
        whole &= _as_planned(strip, lost)
        whole &= camera["ended"] == strip.ended and not (sent.shed and not strip.ended)  # no end to declare it
    books.overdue += overdue
    books.accounted += len(sent.frames) - overdue
    books.check(overdue <= late, f"{run}: {overdue} acknowledged frames have no outcome, {late} results came late")
    if whole:
        _compare_all(books, run, golden, verdict)
    else:
        _compare_rest(books, run, golden["data"], data)


def check_lossy_run(books: Books, sent: Sent, verdict: Verdict, golden: Verdict, late: int) -> None:
    """A run that a Redis without a log may have lost a part of: what its verdict says must still be true."""
    books.sent += len(sent.frames)
    books.excused += 1
    losses = add_up(books, sent.run, verdict, late)
    expected = {camera["camera"]: camera["expected"] for camera in verdict["data"]["cameras"]}
    for camera, index in sent.frames:
        missing = index >= expected[camera] or losses[camera].get(index) in ("never-seen", "shed")
        books.gone += missing
        books.accounted += not missing
    if verdict["data"]["cameras"] == golden["data"]["cameras"]:
        _compare_all(books, sent.run, golden, verdict)
    else:
        _compare_rest(books, sent.run, golden["data"], verdict["data"])


def write_off(books: Books, sent: Sent) -> None:
    """A run without a verdict: whether that may be is not said here."""
    books.sent += len(sent.frames)
    books.gone += len(sent.frames)
    books.excused += bool(sent.frames)


def check_simulated_run(
    books: Books, run: RunId, verdict: Verdict, golden: Verdict, late: int, *, cut_short: bool
) -> None:
    """The strip that a real ingest process showed: complete unless it was ended, or shed frames and said so."""
    losses = add_up(books, run, verdict, late)
    reasons = Counter(why for lost in losses.values() for why in lost.values())
    if not reasons and verdict["data"]["resultState"] == 1:
        _compare_all(books, run, golden, verdict)
    whole = sum(camera["judged"] for camera in verdict["data"]["cameras"])
    books.sent += whole
    books.accounted += whole
    missing = reasons["never-seen"] - late
    books.check(cut_short or missing <= 0, f"{run}: {missing} frames that its ingest sent have no outcome")
    books.check(not reasons["failed"], f"{run}: good frames failed")


def _as_planned(strip: Strip, lost: Mapping[int, str]) -> bool:
    return {i for i, why in lost.items() if why == "failed"} == set(strip.broken) or strip.recipe != RECIPE_NAME


def _compare_all(books: Books, run: RunId, golden: Verdict, verdict: Verdict) -> None:
    difference = compare(golden, verdict)
    books.check(difference is None, f"{run}: not the verdict of the same frames without faults: {difference}")


def _compare_rest(books: Books, run: RunId, golden: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """A verdict with losses: no defect that is not there, and none missing where its frame was judged."""
    books.check(data["disposition"] != "accept", f"{run}: frames were lost, and it was accepted")
    true = [json.dumps(one, sort_keys=True) for one in golden["defects"]]
    found = [json.dumps(one, sort_keys=True) for one in data["defects"]]
    for one in found:
        books.check(one in true, f"{run}: a defect that is not there without faults: {one}")
    judged = {}
    for camera in data["cameras"]:
        gone = {i for one in camera["lost"] for i in range(one["first"], one["last"] + 1)}
        judged[camera["camera"]] = {i for i in range(camera["expected"]) if i not in gone}
    for one, text in zip(golden["defects"], true, strict=True):
        index = round(one["x_mm"] // 50)
        if all(index in judged.get(name, set()) for name in one["cameras"]):
            books.check(text in found, f"{run}: a defect of a judged frame is missing: {text}")


def buried(line: LineStream) -> set[Any]:
    """Frames whose bytes are in `dead`: run, camera, index."""
    found = set()
    for letter in line.dead.page(5000):
        try:
            header = decode_header(letter.entry.body)
        except BadInput:
            continue
        strip = POOL.get(header.run.strip)
        if strip is None or letter.entry.pixels == strip.pixels(header.camera, header.index):
            found.add((header.run, header.camera, header.index))
    return found


def check_memory(books: Books, client: Any, before: int) -> None:
    """Nothing is left of a run but its tombstone, its verdict and its dead letters."""
    keys = Keys(LINE)
    for stream, group in ((keys.frames, FRAMES_GROUP), (keys.results, RESULTS_GROUP)):
        books.check(client.xlen(stream) == 0, f"{stream}: {client.xlen(stream)} entries are left")
        pending = client.xpending(stream, group)["pending"]
        books.check(pending == 0, f"{stream}: {pending} entries are pending")
    books.check(client.zcard(keys.open) == 0, f"{keys.open}: {client.zrange(keys.open, 0, -1)} are open")
    for key in client.scan_iter(match=f"sw:{{{LINE}}}:*"):
        text = key.decode()
        if ":run:" in text:
            fields = {name.decode() for name in client.hkeys(key)}
            books.check(fields <= {"closed", "late"}, f"{text}: not a tombstone: {sorted(fields)}")
        books.check(not any(one in text for one in (":seen:", ":failed:", ":kept:")), f"{text} is left")
    kept = sum(client.memory_usage(key, samples=0) or 0 for key in (keys.verdicts, keys.dead, keys.alarms))
    used = int(client.info("memory")["used_memory"])
    books.check(used <= before + kept + (8 << 20), f"Redis uses {used} bytes, {before} before, {kept} in what is kept")


def check_processes(books: Books, log: str, ends: Sequence[str]) -> None:
    """No process died of a fault of its own."""
    books.check("Traceback" not in log, "a traceback is in services.log")
    for end in ends:
        hurried = end.endswith(f"exit {128 + signal.SIGTERM}")  # a second SIGTERM ends a process at once, as it should
        books.check(hurried or "failed with exit" not in end, end)
