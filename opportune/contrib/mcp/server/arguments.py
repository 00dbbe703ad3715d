"""Arguments of prompts and resources, which the protocol sends as text."""

from collections.abc import Iterator, Mapping
from typing import Any

from mcp import types

from opportune.contrib.llm.providers.loose_json import json_in
from opportune.contrib.tools import Tool


def describe_prompt(prompt: Tool) -> types.Prompt:
    arguments = [
        types.PromptArgument(name=name, description=field.description, required=field.is_required())
        for name, field in prompt.arguments.model_fields.items()
    ]
    return types.Prompt(name=prompt.name, title=prompt.status, description=prompt.description, arguments=arguments)


def read_arguments(declared: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Read lists and objects from JSON, and choices such as those of `Literal[1, 2]`. Other texts stay."""
    return {name: _read_argument(declared, name, value) for name, value in arguments.items()}


def _read_argument(declared: Tool, name: str, value: Any) -> Any:
    if not isinstance(value, str):  # a list in a URI
        return value
    choices = choices_of(declared, name)
    if value in choices:
        return choices[value]
    takes_json = any(schema.get("type") in ("array", "object") for schema in _schemas_of(declared, name))
    data = json_in(value) if takes_json else None
    return data if isinstance(data, list | dict) else value


def choices_of(declared: Tool, name: str) -> dict[str, Any]:
    """Return the values of an argument whose type is a `Literal`, an enum or a bool, by their texts."""
    choices: dict[str, Any] = {}
    for schema in _schemas_of(declared, name):
        if schema.get("type") == "boolean":
            choices |= {"true": True, "false": False}
        if "const" in schema:  # a `Literal` of one value
            choices[str(schema["const"])] = schema["const"]
        choices |= {str(value): value for value in schema.get("enum", ())}
    return choices


def _schemas_of(declared: Tool, name: str) -> Iterator[Mapping[str, Any]]:
    parameters: Any = declared.schema.parameters
    return _alternatives(parameters["properties"].get(name, {}), parameters.get("$defs", {}))


def _alternatives(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a JSON Schema and those that it refers to, such as of `Size | None`."""
    yield schema
    for alternative in schema.get("anyOf", ()):
        yield from _alternatives(alternative, definitions)
    if "$ref" in schema:
        yield from _alternatives(definitions[schema["$ref"].rpartition("/")[2]], definitions)
