"""A real, if old, Kubernetes node: version 1.20, built from Debian's source, with the rendered manifests on it.

`make e2e-cluster` runs it. It takes a quarter of an hour to build, once, and is no part of CI.
"""
