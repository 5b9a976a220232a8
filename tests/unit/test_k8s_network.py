"""Nobody speaks to anybody, but for the flows that are named; and those are open at both ends."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from manifests import ADDED, OVERLAYS, SERVICES, Object, environment, of_kind, pods, rendered

APP = "app"
REDIS_USERS = ("ingest", "preprocess", "aggregator")

Flow = tuple[str, str, int]


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> tuple[Object, ...]:
    return rendered(request.param, *ADDED[request.param])


def policies(objects: tuple[Object, ...]) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item["spec"] for item in of_kind(objects, "NetworkPolicy")}


def apps(objects: tuple[Object, ...]) -> set[str]:
    return {pod["metadata"]["labels"][APP] for pod in pods(objects).values()}


def selected(selector: dict[str, Any], among: set[str]) -> set[str]:
    """The apps that a selector takes: we select by `app` alone."""
    if not selector:
        return among
    if "matchLabels" in selector:
        return among & {selector["matchLabels"][APP]}
    (expression,) = selector["matchExpressions"]
    assert (expression["key"], expression["operator"]) == (APP, "In")
    return among & set(expression["values"])


def flows(objects: tuple[Object, ...], way: str) -> set[Flow]:
    """Who may speak to whom on which port, as one of the two ends says; a peer that is not ours by how it is named."""
    found: set[Flow] = set()
    among = apps(objects)
    for spec in policies(objects).values():
        ours = selected(spec["podSelector"], among)
        for rule in spec.get(way, []):
            assert rule["ports"], "a flow has a port"
            for peer, port in product(rule["to" if way == "egress" else "from"], rule["ports"]):
                for one, other in product(ours, named(peer, among)):
                    found.add((one, other, port["port"]) if way == "egress" else (other, one, port["port"]))
    return found


def named(peer: dict[str, Any], among: set[str]) -> set[str]:
    if "ipBlock" in peer:
        return {peer["ipBlock"]["cidr"]}
    if "namespaceSelector" in peer:
        return {f"namespace {peer['namespaceSelector']['matchLabels']['kubernetes.io/metadata.name']}"}
    return selected(peer["podSelector"], among)


def test_everything_that_is_not_named_is_denied_both_ways(objects: tuple[Object, ...]) -> None:
    assert policies(objects)["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_a_flow_between_our_pods_is_open_at_both_ends(objects: tuple[Object, ...]) -> None:
    among = apps(objects)
    out, in_ = flows(objects, "egress"), flows(objects, "ingress")
    assert {flow for flow in out if flow[1] in among} == {flow for flow in in_ if flow[0] in among}


def test_no_policy_is_for_pods_that_there_are_not(objects: tuple[Object, ...]) -> None:
    for name, spec in policies(objects).items():
        assert selected(spec["podSelector"], apps(objects)), name
        ways = {"Ingress": "ingress", "Egress": "egress"}
        if name != "default-deny":
            assert spec.keys() - {"podSelector", "policyTypes"} == {ways[one] for one in spec["policyTypes"]}, name


def test_these_are_all_the_flows() -> None:
    expected: dict[str, set[Flow]] = {
        "dev": {(one, "redis", 6379) for one in REDIS_USERS} | {("ingest", "192.168.0.0/16", 554)},
        "edge": {(one, "redis", 6379) for one in REDIS_USERS}
        | {("ingest", "192.168.0.0/16", 554), ("streams", "redis", 6379), ("namespace keda", "redis", 6379)}
        | {(one, "10.0.0.0/8", 443) for one in ("classifier", "anomaly")},
        "production": {(one, "10.0.0.0/8", port) for one in REDIS_USERS for port in (6379, 26379)}
        | {("ingest", "192.168.0.0/16", 554)}
        | {(one, "namespace inference", 8001) for one in ("classifier", "anomaly")}
        | {(one, "10.0.0.0/8", 443) for one in ("classifier", "anomaly")},
    }
    for overlay in OVERLAYS:
        objects = rendered(overlay, *ADDED[overlay])
        services = apps(objects) - {"redis", "streams"}
        everywhere = {("preprocess", model, 50051) for model in ("classifier", "anomaly")}
        everywhere |= {("namespace mes", "aggregator", 50051)}
        everywhere |= {("namespace monitoring", one, 9464) for one in services}
        everywhere |= {(one, "namespace kube-system", 53) for one in apps(objects)}
        everywhere |= {(one, "namespace monitoring", 4317) for one in services}
        assert flows(objects, "egress") | flows(objects, "ingress") == everywhere | expected[overlay], overlay


def test_every_peer_that_a_setting_names_may_be_reached_on_its_port(objects: tuple[Object, ...]) -> None:
    out, ports = flows(objects, "egress"), {item["metadata"]["name"] for item in of_kind(objects, "Service")}
    seen = 0
    for pod in pods(objects).values():
        me = pod["metadata"]["labels"][APP]
        if me not in SERVICES:
            continue
        for key, value in environment(objects, pod).items():
            for host, port in re.findall(r"//(?:/)?([a-z.-]+):(\d+)", value):
                name, _, namespace = host.partition(".")
                assert (me, f"namespace {namespace}" if namespace else name, int(port)) in out, key
                assert namespace or name in ports
                seen += 1
    assert seen >= 2
