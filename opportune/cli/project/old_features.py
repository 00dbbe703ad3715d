"""Arguments of `Feature` in 0.2, which are grouped in families now."""

import ast
from collections.abc import Sequence
from typing import NamedTuple

from opportune.cli.scaffold.source import Source
from opportune.feature.declaration import FAMILIES, RENAMED


class FeatureArguments(NamedTuple):
    """The arguments of a call of `Feature` in families."""

    code: str | None
    """The parentheses of the call with the new arguments; None if it cannot be changed safely."""
    families: Sequence[str]
    """Classes to import."""
    description: str


def old_feature_arguments(source: Source, call: ast.Call) -> FeatureArguments | None:
    """Return the new arguments of a call; None if they are up to date."""
    moved = {keyword.arg: place for keyword in call.keywords if keyword.arg and (place := _place_of(keyword))}
    if not moved:
        return None
    arguments = [source.segment(argument) for argument in call.args]
    families: dict[str, list[str]] = {}
    names: list[str] = []
    for keyword in call.keywords:
        family, argument = moved.get(keyword.arg or "", ("", ""))
        if not family:
            names.append(keyword.arg or "")
            arguments.append(source.segment(keyword))
            continue
        if family not in families:
            names.append(family)
            arguments.append(family)
        value = source.segment(keyword.value)
        families.setdefault(family, []).append(f"{argument}={value}" if argument else value)
    description = ", ".join(
        f"{old} -> {family}={FAMILIES[family].__name__}({argument or '…'})" for old, (family, argument) in moved.items()
    )
    span = source.span(call)
    if len(set(names)) < len(names) or b"#" in source.bytes[span.start : span.end]:
        return FeatureArguments(None, (), description)
    for family, values in families.items():
        values.sort(key=lambda value: "=" in value.partition("(")[0])  # a value without a name comes first
        arguments[arguments.index(family)] = f"{family}={FAMILIES[family].__name__}({', '.join(values)})"
    return FeatureArguments(
        "(\n    " + ",\n    ".join(arguments) + ",\n)", [FAMILIES[family].__name__ for family in families], description
    )


def _place_of(keyword: ast.keyword) -> tuple[str, str] | None:
    """Return the family of an argument and its name there, empty for the first one; None if it is up to date."""
    name = keyword.arg or ""
    argument = RENAMED.get(name, name)
    if name in FAMILIES:
        function = keyword.value.func if isinstance(keyword.value, ast.Call) else None
        is_family = isinstance(function, ast.Name) and function.id == FAMILIES[name].__name__
        return None if is_family else (name, argument if argument != name else "")
    return next(
        ((family, argument) for family, class_ in FAMILIES.items() if argument in class_.__dataclass_fields__), None
    )
