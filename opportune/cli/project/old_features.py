"""Arguments of `Feature` in 0.2, which are grouped in families now."""

import ast
from collections.abc import Iterator, Mapping, Sequence
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
    description = ", ".join(
        f"{old} -> {family}={_class_name(family)}({argument or '…'})" for old, (family, argument) in moved.items()
    )
    unchanged = [keyword for keyword in call.keywords if keyword.arg not in moved]
    families = {family for family, _ in moved.values()}
    is_mixed = not families.isdisjoint(keyword.arg for keyword in unchanged)
    if is_mixed or "#" in source.segment(call):
        return FeatureArguments(None, (), description)
    code = ",\n    ".join(_new_arguments(source, call, moved))
    return FeatureArguments(f"(\n    {code},\n)", [*map(_class_name, families)], description)


def _new_arguments(source: Source, call: ast.Call, moved: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Yield the arguments, with each family in the place of its first argument."""
    values: dict[str, list[str]] = {}
    for keyword in call.keywords:
        family, argument = moved.get(keyword.arg or "", ("", ""))
        value = source.segment(keyword.value)
        values.setdefault(family, []).append(f"{argument}={value}" if argument else value)
    yield from map(source.segment, call.args)
    for keyword in call.keywords:
        family, _ = moved.get(keyword.arg or "", ("", ""))
        if not family:
            yield source.segment(keyword)
        elif code := values.pop(family, None):
            code.sort(key=lambda value: "=" in value.partition("(")[0])  # a value without a name comes first
            yield f"{family}={_class_name(family)}({', '.join(code)})"


def _class_name(family: str) -> str:
    return str(FAMILIES[family].__name__)


def _place_of(keyword: ast.keyword) -> tuple[str, str] | None:
    """Return the family of an argument and its name there, empty for the first one; None if it is up to date."""
    name = keyword.arg or ""
    argument = RENAMED.get(name, name)
    if name in FAMILIES:
        function = keyword.value.func if isinstance(keyword.value, ast.Call) else None
        is_family = isinstance(function, ast.Name) and function.id == FAMILIES[name].__name__
        return None if is_family else (name, argument if argument != name else "")
    families = (family for family, class_ in FAMILIES.items() if argument in class_.__dataclass_fields__)
    return next(((family, argument) for family in families), None)
