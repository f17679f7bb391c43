"""The container files: what an engine would read in them, checked without one."""

from __future__ import annotations

import json
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from cronlite.daemon.options import Options
from cronlite.store.mongo.connection import connect

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
COMPOSE = ROOT / "deploy" / "compose.yaml"

INSTRUCTIONS = {"ARG", "FROM", "ENV", "COPY", "RUN", "USER", "WORKDIR", "VOLUME", "STOPSIGNAL", "HEALTHCHECK"}
INSTRUCTIONS |= {"ENTRYPOINT", "CMD"}
# Of compose's specification, what this file uses; a key that is misspelt is not in here.
TOP = {"name", "services", "volumes"}
SERVICE = {"image", "build", "command", "environment", "depends_on", "healthcheck", "restart", "volumes"}
SERVICE |= {"stop_grace_period", "read_only", "tmpfs", "cap_drop", "security_opt"}
HEALTHCHECK = {"test", "interval", "timeout", "retries", "start_period"}
DURATION = re.compile(r"(\d+)s")


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, of all stages."""
    lines = DOCKERFILE.read_text().replace("\\\n", " ").splitlines()
    return [(word, rest) for line in lines if line and line[0] != "#" for word, _, rest in [line.partition(" ")]]


def last_stage() -> list[tuple[str, str]]:
    told = instructions()
    return told[max(number for number, (word, _) in enumerate(told) if word == "FROM") :]


def test_every_instruction_is_one() -> None:
    assert {word for word, _ in instructions()} <= INSTRUCTIONS


def test_the_image_is_slim_and_has_no_build_tools() -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert bases == ["${BASE}"] * 2
    assert ("ARG", "BASE=python:3.12-slim") in instructions()
    assert "apt-get" not in DOCKERFILE.read_text()
    assert not any(word == "RUN" and "pip" in rest for word, rest in last_stage())


def test_the_image_runs_as_nobody_in_particular() -> None:
    users = [rest for word, rest in last_stage() if word == "USER"]
    # A number, since some engines refuse to take a name for "not root".
    assert len(users) == 1
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[0])
    words = [word for word, _ in last_stage()]
    assert words.index("USER") < words.index("VOLUME"), "the volume's folder is the user's own"


@pytest.mark.parametrize("instruction", ["RUN", "ENTRYPOINT", "CMD", "VOLUME"])
def test_commands_are_lists_that_no_shell_reads(instruction: str) -> None:
    given = [rest for word, rest in instructions() if word == instruction]
    assert given
    for command in given:
        words = json.loads(command)
        assert all(isinstance(word, str) for word in words)


def test_signals_reach_the_daemon() -> None:
    told = dict(last_stage())
    assert (json.loads(told["ENTRYPOINT"]), json.loads(told["CMD"])) == (["cronlite"], ["run"])
    assert told["STOPSIGNAL"] == "SIGTERM"


def test_the_health_is_what_the_store_answers() -> None:
    check = dict(last_stage())["HEALTHCHECK"]
    options, _, command = check.partition("CMD ")
    assert json.loads(command) == ["cronlite", "status", "--json"]
    assert {option.split("=")[0] for option in shlex.split(options)} == {"--interval", "--timeout", "--start-period"}


def test_what_is_copied_is_there_and_is_not_ignored() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    sources = [
        source
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    assert {"pyproject.toml", "cronlite"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        # The last pattern that fits decides, and one with a ! lets it in again.
        fitting = [pattern for pattern in ignored if fnmatch(source, pattern.removeprefix("!"))]
        assert fitting[-1] == f"!{source}"


# compose


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load(COMPOSE.read_text())


def test_the_compose_file_has_the_shape_of_one(compose: Any) -> None:
    assert set(compose) <= TOP
    assert set(compose["services"]) == {"mongodb", "cronlite"}
    for service in compose["services"].values():
        assert set(service) <= SERVICE, set(service) - SERVICE
        assert ("image" in service) != ("build" in service)
        assert service["restart"] in ("no", "always", "on-failure", "unless-stopped")
        assert set(service.get("depends_on", [])) <= set(compose["services"])
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]


def test_mongodb_is_a_replica_set_of_one_with_its_data_on_a_volume(compose: Any) -> None:
    mongodb = compose["services"]["mongodb"]
    assert mongodb["volumes"] == ["mongodb:/data/db"]
    check = mongodb["healthcheck"]
    assert set(check) == HEALTHCHECK
    assert all(DURATION.fullmatch(check[name]) for name in ("interval", "timeout", "start_period"))
    kind, program, *_, script = check["test"]
    assert (kind, program) == ("CMD", "mongosh")
    assert "rs.initiate" in script
    assert script.count("{") == script.count("}")
    assert "\n" not in script
    assert "ports" not in mongodb, "it knows no users, so nobody outside may reach it"


def test_the_daemon_is_sent_to_that_mongodb(compose: Any) -> None:
    uri = compose["services"]["cronlite"]["environment"]["CRONLITE_URI"]
    client, database, address = connect(uri)
    client.close()
    assert (database, address) == ("cronlite", "mongodb://mongodb:27017/cronlite")
    command = compose["services"]["mongodb"]["command"]
    assert f"replicaSet={command[command.index('--replSet') + 1]}" in uri
    assert (
        f'_id: "{command[command.index("--replSet") + 1]}"' in compose["services"]["mongodb"]["healthcheck"]["test"][-1]
    )


@pytest.mark.parametrize("file", ["compose.yaml", "compose-cluster.yaml"])
def test_every_image_can_be_named_by_its_digest(file: str) -> None:
    services = yaml.safe_load((ROOT / "deploy" / file).read_text())["services"].values()
    for image in {service["image"] for service in services if "image" in service and "build" not in service}:
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[a-z]+:[0-9.]+\}", image)


def test_the_image_is_built_from_the_repository(compose: Any) -> None:
    build = compose["services"]["cronlite"]["build"]
    context = (COMPOSE.parent / build["context"]).resolve()
    assert context == ROOT
    assert context / build["dockerfile"] == DOCKERFILE


def test_the_container_has_the_time_that_the_drain_takes(compose: Any) -> None:
    found = DURATION.fullmatch(compose["services"]["cronlite"]["stop_grace_period"])
    assert found
    assert float(found[1]) >= Options().drain_seconds + 30
