"""Formats of the hosts' files: syntax, settings as texts, addresses of health checks, and Compose's schema."""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from opportune.web.endpoints.health import HEALTH_PATHS


def yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def yaml_documents(text: str) -> list[Any]:
    return [*YAML(typ="safe", pure=True).load_all(text)]


def front_matter(text: str) -> list[Any]:
    """https://huggingface.co/docs/hub/spaces-config-reference"""
    (found,) = re.findall(r"\A---\n(.*)---\n\Z", text, re.DOTALL)
    return yaml_documents(found)


def sections(text: str) -> list[Any]:
    config = configparser.ConfigParser()
    config.read_string(text)
    return [{name: dict(config[name]) for name in config.sections()}]


def processes(text: str) -> list[Any]:
    """https://devcenter.heroku.com/articles/procfile"""
    return [dict(line.split(": python oppman.py ", maxsplit=1) for line in text.splitlines())]


def lines(text: str) -> list[Any]:
    return [line for line in text.splitlines() if not line.startswith("#")]


PARSERS: dict[str, Callable[[str], list[Any]]] = {
    ".toml": lambda text: [tomllib.loads(text)],
    ".json": lambda text: [json.loads(text)],
    ".yaml": yaml_documents,
    ".yml": yaml_documents,
    ".ini": sections,
    ".md": front_matter,
    "Procfile": processes,
    **dict.fromkeys((".txt", ".python-version", ".fastapicloudignore"), lines),
}


def check_format(path: str, text: str) -> None:
    documents = PARSERS[Path(path).suffix or Path(path).name](text)
    assert documents
    assert all(isinstance(value, str) for document in documents for value in environment_values(document))
    assert {*re.findall(r"/health/\w+", text)} <= {*HEALTH_PATHS}
    if path.startswith("deploy/compose/") and path.endswith(".yaml"):
        check_compose(documents[0])


def environment_values(data: Any) -> Iterator[object]:
    """Yield the values of settings anywhere in a file. YAML would read an unquoted `on` as a boolean."""
    if isinstance(data, list):
        for item in data:
            yield from environment_values(item)
    elif isinstance(data, dict):
        for name, value in data.items():
            if name in ("env", "environment") and isinstance(value, dict):
                yield from (setting for setting in value.values() if not isinstance(setting, dict))
            elif name in ("env", "envVars"):
                yield from (setting["value"] for setting in value if "value" in setting)
            else:
                yield from environment_values(value)


def check_compose(data: Any) -> None:
    """https://github.com/compose-spec/compose-spec"""
    # Slow to import, and only needed by this check.
    from check_jsonschema.builtin_schemas import get_builtin_schema  # type: ignore[import-untyped]
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]

    rules = get_builtin_schema("vendor.compose-spec")
    assert [error.message for error in validator_for(rules)(rules).iter_errors(data)] == []
    for service in data["services"].values():
        assert set(service.get("depends_on", {})) <= data["services"].keys()
