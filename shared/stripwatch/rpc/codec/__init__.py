"""Domain to protobuf and back: the only place. Scores are quantised here, so that nothing finer is ever decided on."""
