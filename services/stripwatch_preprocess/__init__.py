"""preprocess: turns frames into frame results."""
