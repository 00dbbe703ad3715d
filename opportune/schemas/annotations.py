"""Annotations of fields: options of their form elements and their column types."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BeforeValidator, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError

T = TypeVar("T")

UNBOUNDED = "text"
"""Column type of text without `max_length`."""

Attribute = str | int | float | bool | None
"""True renders an attribute without a value. None and False omit it."""

Choices = Mapping[str, str]


class FieldOptions:
    """Options of a form field: `Annotated[Line, FieldOptions(autocomplete="name")]`.

    On a model they apply to pages, the API and the admin.

    Args:
        choices: Labels by value, or a function that returns them when a form is built.
        type: Type of the form element if it is not the default, such as `radio`, `search`, `hidden`, `textarea`,
            `lines`, `markdown` or `json`.
        suffix: Unit shown after the input.
        attributes: HTML attributes of the element.
    """

    def __init__(
        self,
        choices: Choices | Callable[[], Choices] | None = None,
        *,
        type: str = "",
        suffix: str = "",
        **attributes: Attribute,
    ) -> None:
        self._choices = choices or {}
        self.type = type
        self.suffix = suffix
        self.attributes = {name.replace("_", "-"): value for name, value in attributes.items()}

    @property
    def has_choices(self) -> bool:
        """Whether the field has labels or a function that returns them, which this does not call."""
        return bool(self._choices)

    @property
    def choices(self) -> Choices:
        return self._choices() if callable(self._choices) else self._choices

    def __or__(self, other: "FieldOptions") -> "FieldOptions":
        """Merge the options. The options on the right take precedence."""
        return FieldOptions(
            other._choices or self._choices,
            type=other.type or self.type,
            suffix=other.suffix or self.suffix,
            **{**self.attributes, **other.attributes},
        )


class Stored:
    """Column type of a field: `Annotated[Decimal, Stored(Numeric(8, 3))]`."""

    def __init__(self, column_type: Any) -> None:
        self.column_type = column_type


class Attached:
    """Annotation that registers hooks for each model with such a field, for example to fill a slug."""

    def attach(self, model: type[Any], name: str) -> None:
        raise NotImplementedError


def options_of(info: FieldInfo) -> FieldOptions:
    """Return the merged form options of a field. A type can have `form_options`."""
    options: FieldOptions = getattr(plain_type(info.annotation), "form_options", FieldOptions())
    for annotation in annotations_of(info, FieldOptions):
        options |= annotation
    return options


def annotations_of(info: FieldInfo, type_: type[T]) -> Iterator[T]:
    """Yield the annotations of a field that have this type, also inside `Money | None`."""
    for annotation in (*_inner_annotations(info.annotation), *info.metadata):
        if isinstance(annotation, type_):
            yield annotation


def plain_type(annotation: Any) -> Any:
    """Return a type without its annotations and without None."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    members = get_args(annotation)
    if type(None) in members:
        return plain_type(next(member for member in members if member is not type(None)))
    return annotation


def _inner_annotations(annotation: Any) -> Iterator[Any]:
    """Yield the annotations inside an optional type, such as `Money | None`."""
    if type(None) in (members := get_args(annotation)):
        for member in members:
            if get_origin(member) is Annotated:
                yield from member.__metadata__


@cache
def adapter_of(type_: Any) -> TypeAdapter[Any]:
    """Return the cached adapter that validates values of a type. Creating one takes longer than a validation."""
    return TypeAdapter(type_)


def refusals_of(type_: type[Any]) -> list[BeforeValidator]:
    """Return annotations that refuse yes and no for a whole or a real number. Pydantic would read them as 1 and 0."""
    if type_ is bool or not issubclass(type_, int | float):
        return []
    error_type = "int_type" if issubclass(type_, int) else "float_type"
    return [BeforeValidator(partial(_refuse_boolean, error_type))]


def _refuse_boolean(error_type: Any, value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticKnownError(error_type)
    return value
