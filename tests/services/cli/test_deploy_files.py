"""docker-compose.yml, the Dockerfile and .ci/run name only what exists."""

import dataclasses
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from infra.settings import Settings
from linkflow.roles import ROLES
from services.cli.app import app

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "linkflow"}
VARIABLES = {f"LINKFLOW_{field.name.upper()}" for field in dataclasses.fields(Settings)}


def test_has_the_roles_the_log_and_the_database() -> None:
    assert SERVICES.keys() == {"redpanda", "postgres", "prepare", "api", "worker", "projector"}


@pytest.mark.parametrize("name", OURS)
def test_environment_names_settings(name: str) -> None:
    environment = OURS[name]["environment"]
    assert environment.keys() <= VARIABLES
    values = {key: _filled(value) for key, value in environment.items()}
    settings = Settings.from_env(values)
    assert settings.log == "kafka://redpanda:9092"
    assert settings.database_url.startswith("postgresql://linkflow:linkflow@postgres:5432/")


@pytest.mark.parametrize("name", OURS)
def test_commands_exist(name: str) -> None:
    service = OURS[name]
    commands = [service["command"]]
    if "entrypoint" in service:
        commands = [words[1:] for part in service["entrypoint"][-1].split("&&") if (words := shlex.split(part))]
    for words in commands:
        _check_command(list(words))


def test_images_are_plain_and_pinned() -> None:
    for service in SERVICES.values():
        first, _, tag = service["image"].partition(":")
        assert "." not in first.split("/")[0], "no registry host"
        assert service["image"] == "linkflow" or (tag and tag != "latest")


def test_what_others_wait_for_can_say_that_it_is_ready() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} waits for {other}"
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"]
        if name != "prepare":
            assert "test" in service["healthcheck"]


def test_the_volumes_are_declared() -> None:
    used = {mount.partition(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert used == COMPOSE["volumes"].keys()


def test_the_image_copies_what_is_there_and_sets_settings() -> None:
    text = (ROOT / "infra" / "docker" / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists(), source
    assert set(re.findall(r"LINKFLOW_\w+", text)) <= VARIABLES


def test_ci_is_a_script_that_parses() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o100
    subprocess.run(["bash", "-n", str(script)], check=True)


def _filled(value: str) -> str:
    """As docker compose fills it in with nothing set: `${NAME:-default}`; a required one gets any key."""
    value = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
    return re.sub(r"\$\{\w+:\?[^}]*\}", "lf_" + "x" * 43, value)


def _check_command(words: list[str]) -> None:
    if words[0] in ROLES:
        assert words[1:] in ([], ["--with-scheduler"])
        return
    command: Any = typer.main.get_command(app)
    for word in words:
        assert word in command.commands, f"linkflow {' '.join(words)}"
        command = command.commands[word]
