"""What is sent to a cluster: every overlay and component, rendered, fits the published schemas and hangs together."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from manifests import (
    ADDED,
    OVERLAYS,
    ROOT,
    SERVICES,
    Object,
    components,
    environment,
    kustomized,
    of_kind,
    pods,
    rendered,
)
from stripwatch.models.fetch.settings import FetchSettings
from stripwatch.runtime.settings import PREFIX, LineSettings, TransportSettings, load

SCHEMAS = ROOT / "tests" / "schemas"
COMBINATIONS = dict.fromkeys(
    (
        *((overlay,) for overlay in OVERLAYS),
        *((overlay, one) for overlay, added in ADDED.items() for one in added),
        *((overlay, *added) for overlay, added in ADDED.items()),
    )
)


@pytest.fixture(params=COMBINATIONS, ids="+".join)
def objects(request: pytest.FixtureRequest) -> tuple[Object, ...]:
    return rendered(*request.param)


def settings_of(name: str) -> type[TransportSettings]:
    """The settings class of what runs under a name: a service's, or that of `python -m stripwatch.stream`."""
    service = name.partition("-")[0]
    if service == "streams":
        return LineSettings
    found = getattr(importlib.import_module(f"stripwatch_{service}.settings"), f"{service.capitalize()}Settings")
    assert issubclass(found, TransportSettings)
    return found


def ours(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    return ((name, pod) for name, pod in pods(objects).items() if name != "redis")


def test_every_component_is_in_a_combination() -> None:
    used = {path.name for overlay in OVERLAYS for path in listed(ROOT / "k8s" / "overlays" / overlay)}
    assert used | {one for combination in COMBINATIONS for one in combination[1:]} == set(components())


def listed(overlay: Path) -> list[Path]:
    return [
        Path(name) for name in re.findall(r"- \.\./\.\./components/(\S+)", (overlay / "kustomization.yaml").read_text())
    ]


def test_every_object_fits_the_published_schema(objects: tuple[Object, ...]) -> None:
    for item in objects:
        custom = SCHEMAS / f"{item['kind']}.yaml"
        if custom.exists():
            jsonschema.validate(item, yaml.safe_load(custom.read_text()))
        else:
            kubernetes_validate.validate(item, kubernetes_validate.latest_version(), strict=True)


def test_all_is_in_one_namespace_and_no_name_comes_twice(objects: tuple[Object, ...]) -> None:
    seen = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(seen) == len(set(seen))
    assert {item["metadata"].get("namespace") for item in objects if item["kind"] != "Namespace"} == {"stripwatch"}


def test_the_five_services_are_there_with_an_account_and_a_budget_each(objects: tuple[Object, ...]) -> None:
    deployed = {item["metadata"]["name"]: item for item in of_kind(objects, "Deployment")}
    assert {name.partition("-")[0] for name in deployed} == set(SERVICES)
    accounts = {item["metadata"]["name"]: item for item in of_kind(objects, "ServiceAccount")}
    budgets = {json.dumps(item["spec"]["selector"]): item["spec"] for item in of_kind(objects, "PodDisruptionBudget")}
    for item in deployed.values():
        pod = item["spec"]["template"]["spec"]
        assert not accounts[pod["serviceAccountName"]]["automountServiceAccountToken"]
        assert not pod["automountServiceAccountToken"]
        assert budgets[json.dumps(item["spec"]["selector"])]["maxUnavailable"] == 1


def test_a_selector_takes_the_pods_of_its_own_and_of_nobody_else(objects: tuple[Object, ...]) -> None:
    for item in of_kind(objects, "Deployment", "StatefulSet"):
        wanted = item["spec"]["selector"]["matchLabels"].items()
        taken = [name for name, pod in pods(objects).items() if wanted <= pod["metadata"]["labels"].items()]
        assert taken == [item["metadata"]["name"]]
    for item in of_kind(objects, "Service"):
        wanted = item["spec"]["selector"].items()
        (pod,) = (one for one in pods(objects).values() if wanted <= one["metadata"]["labels"].items())
        named = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
        assert item["spec"]["clusterIP"] == "None", "a client that balances needs every address"
        assert all(named[port["targetPort"]] == port["port"] for port in item["spec"]["ports"])


def test_what_is_mounted_and_read_is_there_or_is_a_secret_made_outside(objects: tuple[Object, ...]) -> None:
    made = {(item["kind"], item["metadata"]["name"]) for item in of_kind(objects, "ConfigMap", "Secret")}
    outside = set()
    for pod in pods(objects).values():
        for volume in pod["spec"].get("volumes", []):
            if "secret" in volume and ("Secret", volume["secret"]["secretName"]) not in made:
                outside.add(volume["secret"]["secretName"])
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            for source in container.get("envFrom", []):
                assert ("ConfigMap", source["configMapRef"]["name"]) in made
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    assert all(f"secret generic {name} " in page for name in outside), "the page says how to make it"


def test_every_key_is_a_setting_of_the_service_that_is_given_it(objects: tuple[Object, ...]) -> None:
    for name, pod in ours(objects):
        fields = settings_of(name).model_fields
        for key in environment(objects, pod):
            field = key.removeprefix(PREFIX).lower()
            assert key.startswith(PREFIX), key
            assert field in fields or field.removesuffix("_file") in fields, f"{name}: {key}"


def test_every_service_takes_what_it_is_given(
    objects: tuple[Object, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for key, text in {"REDIS_URL": "redis://redis:6379/0", "SOURCE": "video:rtsp://192.168.1.2/1"}.items():
        (tmp_path / key).write_text(text)
    for name, pod in ours(objects):
        with monkeypatch.context() as patched:
            for key, value in environment(objects, pod).items():
                here = key.removeprefix(PREFIX).removesuffix("_FILE")
                patched.setenv(key, str(tmp_path / here) if (tmp_path / here).exists() else value)
            assert load(settings_of(name))


def test_models_are_fetched_into_the_folder_that_is_served_from(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = rendered("edge", "models-fetch")
    for name in ("classifier", "anomaly"):
        pod = pods(objects)[name]
        (step,), (service,) = pod["spec"]["initContainers"], pod["spec"]["containers"]
        with monkeypatch.context() as patched:
            for key, value in environment(objects, pod, "initContainers").items():
                patched.setenv(key, value)
            fetched = load(FetchSettings)
        assert fetched.sources
        assert [str(folder) for folder in fetched.models] == [environment(objects, pod)["STRIPWATCH_MODELS"]]
        assert {"name": "models", "mountPath": "/models"} in step["volumeMounts"]
        assert {"name": "models", "mountPath": "/models", "readOnly": True} in service["volumeMounts"]
        assert step["image"] == service["image"]


def test_a_file_that_a_setting_names_is_a_key_of_a_secret_that_is_mounted_there(objects: tuple[Object, ...]) -> None:
    secrets = {item["metadata"]["name"]: item["data"] for item in of_kind(objects, "Secret")}
    for _, pod in ours(objects):
        container = pod["spec"]["containers"][0]
        mounts = {one["mountPath"]: one["name"] for one in container.get("volumeMounts", [])}
        volumes = {one["name"]: one for one in pod["spec"].get("volumes", [])}
        for key, place in environment(objects, pod).items():
            if not key.endswith("_FILE"):
                continue
            folder, _, file = place.rpartition("/")
            secret = volumes[mounts[folder]]["secret"]["secretName"]
            assert file == key.removesuffix("_FILE")
            assert secret not in secrets or list(secrets[secret]) == [file]


def test_no_service_is_given_the_redis_user_of_another(objects: tuple[Object, ...]) -> None:
    for name, pod in ours(objects):
        given = {one["secret"]["secretName"] for one in pod["spec"].get("volumes", []) if one["name"] == "redis"}
        service = "aggregator" if name == "streams" else name.partition("-")[0]  # who makes groups may make all
        assert all(re.fullmatch(rf"redis-{service}(-[0-9a-z]{{10}})?", one) for one in given)


def test_every_image_has_a_tag_and_ours_is_the_version(objects: tuple[Object, ...]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for pod in pods(objects).values():
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            name, _, tag = container["image"].partition(":")
            assert tag == version if name.startswith("stripwatch-") else tag not in ("", "latest")


def test_probes_ask_over_grpc_and_liveness_only_whether_the_loops_turn(objects: tuple[Object, ...]) -> None:
    for item in of_kind(objects, "Deployment"):
        (container,) = item["spec"]["template"]["spec"]["containers"]
        given = environment(objects, item["spec"]["template"])
        port = int(given["STRIPWATCH_HEALTH_PORT"])
        assert (
            container["startupProbe"]["grpc"] == container["livenessProbe"]["grpc"] == {"port": port, "service": "live"}
        )
        assert container["readinessProbe"]["grpc"] == {"port": port}
        named = {one["name"]: one["containerPort"] for one in container["ports"]}
        assert named == {"grpc": port, "metrics": int(given["STRIPWATCH_METRICS_PORT"])}


def test_every_container_says_what_it_needs_and_where_its_memory_ends(objects: tuple[Object, ...]) -> None:
    for pod in pods(objects).values():
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert container["resources"]["limits"].keys() == {"memory"}, "a limit of CPU makes batches wait"


def test_replicas_are_spread_over_nodes_and_zones_each_version_for_itself(objects: tuple[Object, ...]) -> None:
    for item in of_kind(objects, "Deployment"):
        if item["metadata"]["name"].startswith("ingest"):
            continue
        constraints = item["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert {one["topologyKey"] for one in constraints} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        for one in constraints:
            assert one["labelSelector"] == item["spec"]["selector"]
            assert one["matchLabelKeys"] == ["pod-template-hash"], "or a rolling update counts those that go"
            assert one["whenUnsatisfiable"] == "ScheduleAnyway", "one node is better than none"


def test_two_processes_never_hold_one_camera(objects: tuple[Object, ...]) -> None:
    lines = []
    for item in of_kind(objects, "Deployment"):
        if item["metadata"]["name"].startswith("ingest"):
            assert item["spec"]["replicas"] == 1
            assert item["spec"]["strategy"] == {"type": "Recreate"}
            lines.append(environment(objects, item["spec"]["template"])["STRIPWATCH_LINE"])
    worked = environment(objects, pods(objects)["preprocess"])["STRIPWATCH_LINES"].split(",")
    assert sorted(lines) == sorted(worked)


def test_an_edge_box_of_two_cores_and_four_gib_holds_all_and_a_rolling_update() -> None:
    millis, mib = 0, 0
    for pod in pods(rendered("edge")).values():
        requests = pod["spec"]["containers"][0]["resources"]["requests"]
        cpu = int(requests["cpu"].removesuffix("m"))
        more = 2 if "classifier" in pod["spec"]["serviceAccountName"] else 1  # the largest of those that surge
        millis, mib = millis + more * cpu, mib + more * int(requests["memory"].removesuffix("Mi"))
    assert millis <= 1800  # and the cluster itself
    assert mib <= 3072


def test_the_overlay_that_the_page_shows_changes_what_it_says() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(# k8s/overlays/plant/kustomization.yaml\n.*?)```", page, re.DOTALL)
    objects = kustomized(text)
    before = pods(rendered("production"))["classifier"]
    pod = pods(objects)["classifier"]
    assert pod["spec"]["containers"][0]["image"] == "registry.plant/stripwatch-classifier@sha256:..."
    assert environment(objects, pod)["STRIPWATCH_MAX_BATCH"] == "32"
    given, original = (one["spec"]["containers"][0]["envFrom"] for one in (pod, before))
    assert [one for one in given if one not in original], "a changed setting is a rolling update"
    policies = {item["metadata"]["name"]: item["spec"] for item in of_kind(objects, "NetworkPolicy")}
    assert policies["ingest-to-cameras"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "10.20.0.0/24"}}]
