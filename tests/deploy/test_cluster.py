"""The files for more than one machine: what compose, Kubernetes and systemd would read in them, without these."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cronlite.cli import cli
from cronlite.daemon.options import Options
from cronlite.dispatch.amqp import address
from cronlite.store.mongo.connection import connect
from tests.services import MissingService, skip_or_fail

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "cronlite-worker@.service"
COMPOSE = DEPLOY / "compose-cluster.yaml"
KUBERNETES = DEPLOY / "kubernetes.yaml"

# Of compose's specification, what this file uses; a key that is misspelt is not in here.
SERVICE = {"image", "build", "command", "environment", "depends_on", "healthcheck", "restart", "volumes", "hostname"}
SERVICE |= {"stop_grace_period", "read_only", "tmpfs", "cap_drop", "security_opt", "scale"}
HEALTHCHECK = {"test", "interval", "timeout", "retries", "start_period"}


def parsed(words: list[str]) -> click.Context:
    """Let the command line read a command's words, without running it."""
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None, words
    return command.make_context(words[0], list(words[1:]), parent=click.Context(cli))


# systemd


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        skip_or_fail(MissingService("no systemd-analyze: it is in Debian's package systemd"))
    return found


def told() -> dict[str, str]:
    lines = (line.partition("=") for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def verified(analyze: str, folder: Path, text: str) -> tuple[int, str]:
    unit = folder / "cronlite-worker@reports.service"
    unit.write_text(text.replace("/opt/cronlite/bin/cronlite", sys.executable))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def test_systemd_finds_nothing_wrong_with_a_worker(analyze: str, tmp_path: Path) -> None:
    assert verified(analyze, tmp_path, UNIT.read_text()) == (0, "")


@pytest.mark.parametrize("setting", ["Type=notify", "WatchdogSec=", "RestartPreventExitStatus=", "ProtectSystem="])
def test_systemd_would_find_a_setting_misspelt(analyze: str, tmp_path: Path, setting: str) -> None:
    text = UNIT.read_text()
    assert setting in text
    assert "Unknown key" in verified(analyze, tmp_path, text.replace(setting, f"X{setting}"))[1]


def test_a_worker_is_exposed_to_2_out_of_10_at_most(analyze: str) -> None:
    command = [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert exposure, done.stdout
    assert float(exposure[1]) <= 2.0


def test_the_instance_is_the_queue_and_the_rest_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONLITE_DISPATCH", "amqp://guest@localhost//")
    monkeypatch.setenv("CRONLITE_SEATS", "3")
    words = told()["ExecStart"].replace("%i", "reports").split()[1:]
    given = parsed(words).params
    assert (given["queues"], given["broker"], given["seats"]) == (("reports",), "amqp://guest@localhost//", 3)
    assert "StateDirectory" not in told(), "a worker has no store of its own"
    assert "EnvironmentFile=/etc/cronlite/cronlite.env" in UNIT.read_text(), (
        "without a store and a broker it cannot work"
    )


def test_a_worker_lives_as_the_daemon_does() -> None:
    daemon = (DEPLOY / "cronlite.service").read_text()
    own = {"Description", "After", "ExecStart", "EnvironmentFile"}
    for name, value in told().items():
        assert name in own or f"{name}={value}" in daemon, name
    assert float(told()["TimeoutStopSec"]) >= Options().drain_seconds + 30


# compose


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def test_every_key_of_the_compose_file_is_one() -> None:
    whole = yaml.safe_load(COMPOSE.read_text())
    assert {key for key in whole if not key.startswith("x-")} == {"name", "services", "volumes"}
    for name, service in services().items():
        assert set(service) <= SERVICE, name
        assert set(service.get("healthcheck", {})) <= HEALTHCHECK
        assert "ports" not in service, "no database without a password is published"
        assert set(service.get("depends_on", ())) <= set(services())
        for volume in service.get("volumes", ()):
            assert volume.split(":")[0] in whole["volumes"]


def test_the_cluster_has_three_members_two_daemons_and_two_workers() -> None:
    found = services()
    members = [name for name in found if name.startswith("mongodb")]
    assert len(members) == 3
    assert (found["daemon"]["scale"], found["worker"]["scale"]) == (2, 2)
    forms = " ".join(found["mongodb1"]["healthcheck"]["test"])
    assert "[1, 2, 3]" in forms
    assert "mongodb${n}:27017" in forms
    for name in members:
        assert found[name]["command"][:3] == ["mongod", "--replSet", "rs0"]


def test_daemons_and_workers_of_the_cluster_share_store_and_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    found = services()
    assert found["daemon"]["environment"] == found["worker"]["environment"]
    environment = found["daemon"]["environment"]
    connect(environment["CRONLITE_URI"])[0].close()
    hosts = re.findall(r"mongodb\d", environment["CRONLITE_URI"])
    assert set(hosts) <= set(found)
    assert address(environment["CRONLITE_DISPATCH"]).endswith("@rabbitmq:5672//")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run, worker = parsed(found["daemon"]["command"]).params, parsed(found["worker"]["command"]).params
    assert (run["seats"], run["dispatch"]) == (0, environment["CRONLITE_DISPATCH"])
    assert (worker["queues"], worker["broker"]) == (("default",), environment["CRONLITE_DISPATCH"])
    for name in ("daemon", "worker"):
        grace = re.fullmatch(r"(\d+)s", found[name]["stop_grace_period"])
        assert grace
        assert float(grace[1]) >= Options().drain_seconds + 30


# Kubernetes


def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(KUBERNETES.read_text())}


def test_the_manifest_holds_what_belongs_together() -> None:
    assert set(manifests()) == {
        ("Secret", "cronlite"),
        ("Deployment", "cronlite-daemon"),
        ("Deployment", "cronlite-worker"),
        ("PodDisruptionBudget", "cronlite-daemon"),
    }
    budget = manifests()["PodDisruptionBudget", "cronlite-daemon"]["spec"]
    daemon = manifests()["Deployment", "cronlite-daemon"]["spec"]
    assert budget["selector"] == daemon["selector"]
    assert budget["minAvailable"] < daemon["replicas"] == 2


@pytest.mark.parametrize("name", ["daemon", "worker"])
def test_a_deployment_runs_a_command_that_is_one_as_nobody_in_particular(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = manifests()["Deployment", f"cronlite-{name}"]["spec"]
    pod = spec["template"]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    (container,) = pod["containers"]
    secret = manifests()["Secret", "cronlite"]["stringData"]
    assert container["envFrom"] == [{"secretRef": {"name": "cronlite"}}]
    assert set(secret) == {"CRONLITE_URI", "CRONLITE_DISPATCH", "CRONLITE_APP"}
    for variable, value in secret.items():
        monkeypatch.setenv(variable, value)
    given = parsed(container["args"]).params
    assert given.get("dispatch", given.get("broker")) == secret["CRONLITE_DISPATCH"]
    assert container["readinessProbe"]["exec"]["command"] == ["cronlite", "status", "--json"]
    assert "livenessProbe" not in container, "waiting for the store is no reason to be killed"
    assert pod["terminationGracePeriodSeconds"] >= Options().drain_seconds + 30
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_images_user_is_the_dockerfiles() -> None:
    (user,) = re.findall(r"^USER (\d+):(\d+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    for name in ("daemon", "worker"):
        context = manifests()["Deployment", f"cronlite-{name}"]["spec"]["template"]["spec"]["securityContext"]
        assert (str(context["runAsUser"]), str(context["runAsGroup"])) == user


def test_the_manifests_secret_can_be_read() -> None:
    secret = manifests()["Secret", "cronlite"]["stringData"]
    connect(secret["CRONLITE_URI"])[0].close()
    assert "SECRET" not in address(secret["CRONLITE_DISPATCH"])
