"""Arguments of calls that declare a part of a site. Unknown, missing and mistyped ones are refused."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar

from opportune.errors import OperatorError
from opportune.errors.option_types import describe_mismatch
from opportune.errors.renamed_names import KEYWORDS, renamed_to
from opportune.errors.suggestions import did_you_mean

T = TypeVar("T", bound=type[Any])


def strict(class_: T, label: str = "") -> T:
    """Refuse unknown arguments of a class with a suggestion, missing ones, and values of another type."""
    create: Any = class_.__init__
    accepted = signature(create)

    @wraps(create)
    def init(self: Any, *args: Any, **options: Any) -> None:
        _check_arguments(label or class_.__name__, accepted, (self, *args), options)
        create(self, *args, **options)

    class_.__init__ = init
    return class_


def strict_as(label: str) -> Callable[[T], T]:
    """Check arguments like `strict`, for a class that projects know by another name, which messages contain."""
    return partial(strict, label=label)


def _check_arguments(label: str, accepted: Signature, args: Sequence[Any], options: Mapping[str, Any]) -> None:
    _, *parameters = accepted.parameters.values()  # without self
    if parameters and parameters[-1].kind is Parameter.VAR_KEYWORD:
        parameters.pop()
    else:
        _refuse_unknown(label, [parameter.name for parameter in parameters], options)
    try:
        values = accepted.bind(*args, **options).arguments
    except TypeError as error:
        raise OperatorError(f"{label}(…): {error}.") from None
    for parameter in parameters:
        name = parameter.name
        if name in values and (mismatch := describe_mismatch(values[name], parameter.annotation)):
            shows_name = parameters[0].name == "name" and "name" in values and name != "name"
            first = f"{values['name']!r}, " if shows_name else ""
            raise OperatorError(f"{label}({first}{name}=…) {mismatch}.")


def _refuse_unknown(label: str, names: Sequence[str], options: Mapping[str, Any]) -> None:
    if unknown := next((option for option in options if option not in names), ""):
        new = renamed_to(unknown, KEYWORDS.get(label, {}))
        advice = f"{new} `oppman.py upgrade` renames it." if new else did_you_mean(unknown, names)
        existing = f" There are: {', '.join(names)}."
        raise OperatorError(f"{label} has no option {unknown!r}.{advice or existing}")
