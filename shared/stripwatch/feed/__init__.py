"""What every source of frames needs: a hold on its line, a pace, and a publisher that accounts for each frame."""

from stripwatch.feed.abandoned import end_abandoned
from stripwatch.feed.hold import Hold, owner_name
from stripwatch.feed.naming import new_run_id, safe_name
from stripwatch.feed.pace import Pace, by_capture_time, by_line_speed
from stripwatch.feed.publisher import Publisher
from stripwatch.feed.rules import FeedRules

__all__ = [
    "FeedRules",
    "Hold",
    "Pace",
    "Publisher",
    "by_capture_time",
    "by_line_speed",
    "end_abandoned",
    "new_run_id",
    "owner_name",
    "safe_name",
]
