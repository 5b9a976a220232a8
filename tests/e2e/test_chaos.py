"""A few chaos runs with fixed seeds, and that their books would notice what they are there to notice."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis_servers import binaries

from chaos.books import Books, check_processes, check_run, check_verdicts
from chaos.driver import Bench, bench, run_seed
from chaos.feeder import Sent
from chaos.plan import Shipment, in_order, make_plan
from chaos.servers import KINDS
from chaos.strips import LINE, POOL
from stripwatch.domain.frame import RunId
from stripwatch.domain.verdict import verdict_id

ROOT = Path(__file__).parents[2]
SEEDS = [("8", 4), ("7", 29), ("sentinel", 25), ("cluster", 10)]
"""Redis that comes back empty; one that is killed, full and lies; fail-over by Sentinels, and of a cluster."""


@pytest.fixture(scope="session")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("chaos")) as found:
        yield found


@pytest.mark.parametrize(("kind", "seed"), SEEDS, ids=[f"redis {kind}, seed {seed}" for kind, seed in SEEDS])
def test_after_faults_of_every_kind_the_books_balance(shared_bench: Bench, kind: str, seed: int) -> None:
    if kind in ("7", "8") and kind not in binaries():
        pytest.skip(f"no Redis {kind} here (make system)")
    result = run_seed(shared_bench, seed, kind)
    assert result["violations"] == [], f"logs: {shared_bench.kept}; make chaos SEED={seed} RUNS=1 REDIS={kind}"
    assert result["faults"]
    assert result["sent"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_follows_from_its_seed(kind: str) -> None:
    plans = [make_plan(seed, kind) for seed in range(50)]
    assert plans == [make_plan(seed, kind) for seed in range(50)]
    assert len({plan.faults for plan in plans}) == 50


RUN = RunId(LINE, "short", "r1")
FRAMES = POOL["short"].frames


def shipment() -> Sent:
    sent = Sent(Shipment("short", "r1", False, "crooked", 0.0, 1.0, in_order(POOL["short"]), 0), RUN, started=True)
    sent.frames = Counter({("top-1", index): 1 for index in range(FRAMES)})
    sent.tried = set(sent.frames)
    return sent


def verdict(lost: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    losses = lost or []
    missing = sum(one["last"] - one["first"] + 1 for one in losses)
    counts = dict.fromkeys(("failed", "shed", "neverSeen"), 0)
    for one in losses:
        counts["neverSeen" if one["reason"] == "never-seen" else one["reason"]] += one["last"] - one["first"] + 1
    camera = {
        "camera": "top-1",
        "expected": FRAMES,
        "judged": FRAMES - missing,
        "lost": losses,
        "ended": True,
        **counts,
    }
    data = {"partId": "short", "jobId": "r1", "disposition": "review", "defects": [], "cameras": [camera], **changes}
    return {"id": verdict_id(RUN), "data": data}


def wrong_of(seen: dict[str, Any], late: int = 0, sent: Sent | None = None) -> list[str]:
    books = Books()
    check_run(books, sent or shipment(), seen, verdict(), late, set())
    return books.wrong


def test_books_that_balance_say_nothing() -> None:
    assert wrong_of(verdict()) == []


def test_an_acknowledged_frame_without_an_outcome_is_noticed_unless_it_came_late() -> None:
    lost = [{"first": 3, "last": 3, "reason": "never-seen"}]
    assert "1 acknowledged frames have no outcome" in wrong_of(verdict(lost))[0]
    assert wrong_of(verdict(lost), late=1) == []


def test_a_good_frame_that_failed_and_whose_bytes_are_gone_is_noticed() -> None:
    good, gone = wrong_of(verdict([{"first": 3, "last": 3, "reason": "failed"}]))
    assert "a good frame failed" in good
    assert "its bytes are not in dead" in gone


def test_a_frame_that_nobody_sent_and_sums_that_do_not_agree_are_noticed() -> None:
    sent = shipment()
    del sent.frames["top-1", 5]
    sent.tried.discard(("top-1", 5))
    assert "judged, but never sent" in wrong_of(verdict(), sent=sent)[0]
    crooked = verdict()
    crooked["data"]["cameras"][0]["judged"] -= 1
    assert "make no 12 expected" in wrong_of(crooked)[0]


def test_another_verdict_on_the_same_frames_is_noticed() -> None:
    other = copy.deepcopy(verdict())
    other["data"]["disposition"] = "accept"
    assert "$.data.disposition" in wrong_of(other)[0]
    assert (
        "it was accepted"
        in wrong_of(verdict([{"first": 3, "last": 3, "reason": "never-seen"}], disposition="accept"), 1)[0]
    )


def test_a_verdict_that_is_missing_is_there_twice_or_was_never_heard_of_is_noticed() -> None:
    one, other = verdict(), RunId(LINE, "short", "r2")
    books = Books()
    check_verdicts(books, [one, one], [RUN, other], [])
    assert any("is there 2 times" in text for text in books.wrong)
    assert any("the MES never saw" in text for text in books.wrong)
    assert f"{other} has no verdict" in books.wrong


def test_a_process_that_fails_by_itself_is_noticed() -> None:
    books = Books()
    check_processes(
        books, "Traceback (most recent call last)", ["anomaly-1 killed by SIGKILL", "mes failed with exit 1"]
    )
    assert books.wrong == ["a traceback is in services.log", "mes failed with exit 1"]


def test_finished_seeds_are_skipped_and_the_summary_adds_up(tmp_path: Path) -> None:
    head = ["git", "rev-parse", "--short=10", "HEAD"]
    commit = subprocess.run(head, cwd=ROOT, capture_output=True, text=True, check=True)
    counts = dict.fromkeys(("sent", "accounted", "overdue", "gone", "judged", "failed", "shed", "never_seen"), 5)
    common = {
        **counts,
        "late": 0,
        "verdicts": 3,
        "excused": 0,
        "restarts": 1,
        "runs": 3,
        "recovery_s": 2.5,
        "wall_s": 12.0,
        "redis": "8",
        "redis_version": "8.2.3",
        "commit": commit.stdout.strip(),
        "faults": {"kill redis": 2},
    }
    results = tmp_path / "results.jsonl"
    results.write_text("".join(json.dumps({**common, "seed": seed, "violations": []}) + "\n" for seed in (1, 2)))
    assert "nothing to do" in chaos("--seed", "1", "--runs", "2", "--out", str(results))
    totals = json.loads(chaos("--summary", "--out", str(results)))
    assert (totals["runs"], totals["sent"], totals["faults_by_kind"]) == (2, 10, {"kill redis": 4})
    assert totals["violated"] == []


def chaos(*options: str) -> str:
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'tests' / 'contract'}"}
    command = [sys.executable, "-m", "chaos", *options]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
