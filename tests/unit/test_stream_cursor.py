"""A reader whose place is gone is told what it missed, on whichever stream."""

from __future__ import annotations

import pytest

from stripwatch.domain.frame import RunId
from stripwatch.errors import CursorLost
from stripwatch.ports import Event
from stripwatch.stream.cursor import trimmed
from stripwatch.stream.memory import MemoryStream


def test_a_lost_cursor_names_the_times_that_are_missed_and_where_to_go_on() -> None:
    text = str(trimmed("sw:{line1}:verdicts", "1700000000000-3", "1700000060000-0"))
    assert "after cursor 1700000000000-3 were trimmed away, up to 1700000060000-0" in text
    assert "from 2023-11-14 22:13:20 to 2023-11-14 22:14:20 UTC are missed" in text
    assert text.endswith("cursor 1700000060000-0 goes on with the oldest one kept")


def test_a_cursor_beyond_all_calendars_is_named_as_it_is() -> None:
    assert "to 9999999999999999999-1 UTC" in str(trimmed("s", "1-0", "9999999999999999999-1"))


def test_the_stream_in_memory_says_the_same_and_the_cursor_it_names_goes_on() -> None:
    line = MemoryStream().line("line1")
    runs = [RunId("line1", f"strip{number}", "r1") for number in range(3)]
    log = line.verdicts._log
    with log.changed:
        places = [log.append(Event(str(run), run, b"{}", b"")) for run in runs]
        for place in places[:2]:
            log.delete(place)
    with pytest.raises(CursorLost, match="are missed") as lost:
        line.verdicts.since(places[0], 10, 0)
    go_on = str(lost.value).partition("UTC are missed; cursor ")[2].split()[0]
    assert [one.event.run for one in line.verdicts.since(go_on, 10, 0)] == runs[2:]
