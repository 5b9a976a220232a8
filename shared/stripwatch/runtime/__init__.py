"""What every process stands on: settings, logging, lifecycle, deadlines."""
