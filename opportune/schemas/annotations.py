"""What the annotation of a field says of it besides its type: how forms ask for it, and how it is stored."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic.fields import FieldInfo

T = TypeVar("T")

UNBOUNDED = "text"
"""The type of a column for text that has no `max_length`."""

Attribute = str | int | float | bool | None
"""True stands for an attribute without a value; None and False leave it out."""

Choices = Mapping[str, str]


class FieldOptions:
    """HTML attributes, choices or the kind of a form field: `Annotated[Line, FieldOptions(autocomplete="name")]`.

    `choices` are words for values, or a function that gives them when a form is made; `suffix` is a unit, shown after
    the box. The others are attributes of the element, with `type` for another kind: `radio`, `search`, `hidden`,
    `textarea`, `lines`, `markdown`, `json`. On a model it holds for pages, API and admin.
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
    def choices(self) -> Choices:
        return self._choices() if callable(self._choices) else self._choices

    def __or__(self, later: "FieldOptions") -> "FieldOptions":
        """Both of them; where they differ the later one counts."""
        return FieldOptions(
            later._choices or self._choices,
            type=later.type or self.type,
            suffix=later.suffix or self.suffix,
            **{**self.attributes, **later.attributes},
        )


class Stored:
    """The type of the column of a field: `Annotated[Decimal, Stored(Numeric(8, 3))]`, a type of one's own."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


class Attached:
    """What does something for the rows of each model that has it in a field, such as a slug that is filled."""

    def attach(self, model: type[Any], name: str) -> None:
        raise NotImplementedError


def options_of(info: FieldInfo) -> FieldOptions:
    """All that a field says of its form."""
    options = FieldOptions()
    for each in marks_of(info, FieldOptions):
        options |= each
    return options


def marks_of(info: FieldInfo, kind: type[T]) -> Iterator[T]:
    """What of this kind stands in a field's annotation, also in that of `Money | None`."""
    for mark in (*_marks_within(info.annotation), *info.metadata):
        if isinstance(mark, kind):
            yield mark


def plain_type(annotation: Any) -> Any:
    """A type without its annotations, and without None."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    kinds = get_args(annotation)
    if type(None) in kinds:
        return plain_type(next(kind for kind in kinds if kind is not type(None)))
    return annotation


def _marks_within(annotation: Any) -> Iterator[Any]:
    """Those of a type that may also be None."""
    if type(None) in (kinds := get_args(annotation)):
        for kind in kinds:
            if get_origin(kind) is Annotated:
                yield from kind.__metadata__
