"""From frame results to alarms and one verdict a run; and the verdicts for those who ask by gRPC."""
