"""What a service counts, as Prometheus reads it: a module for each thing that is counted.

Labels name a line, a model, a service or one of a few words, never a strip, a camera, a pod or a consumer: a series
lives as long as the process. Counted is whether or not anybody asks: an observation takes a microsecond, and there are
a few a frame, a request and a run of an engine, none a tile.
"""

from stripwatch.runtime.metrics.page import serve

__all__ = ["serve"]
