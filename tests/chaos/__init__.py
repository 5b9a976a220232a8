"""The chaos test bed: the real processes on a real Redis, faults by a seeded schedule, and books that must balance."""
