"""Arguments of a tool call in words, for the user who approves it."""

from collections.abc import Iterator, Mapping

from pydantic_core import from_json

from opportune.server.log_formats import escape_control_chars


def readable_arguments(arguments: str) -> Iterator[tuple[str, str]]:
    """Yield the label and value of each argument in words, including nested ones.

    An object that is the only argument needs no label: its fields have labels.
    """
    value = from_json(arguments or "{}")
    if isinstance(value, Mapping) and len(value) == 1:
        (only_value,) = value.values()
        if isinstance(only_value, Mapping) and only_value:
            value = only_value
    if value != {}:
        yield from _labelled_values(value, "")


def _labelled_values(value: object, label: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            name = str(key).replace("_", " ").strip()
            yield from _labelled_values(item, f"{label}: {name}" if label else name[:1].upper() + name[1:])
    elif isinstance(value, list) and value:
        for number, item in enumerate(value, 1):
            yield from _labelled_values(item, f"{label} {number}")
    else:
        yield _escape_invisible(label), _escape_invisible(_in_words(value))


def _in_words(value: object) -> str:
    if isinstance(value, Mapping | list):  # an empty one, which is shown because it may mean "all"
        return "none"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _escape_invisible(text: str) -> str:
    """Escape control characters, which could hide text or change its direction."""
    return "\n".join(map(escape_control_chars, text.split("\n")))
