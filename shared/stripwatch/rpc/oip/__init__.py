"""The Open Inference Protocol, generated from protos/ by `make protos`; never edited."""
