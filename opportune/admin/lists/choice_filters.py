"""Filters of a list by choices: an Enum, a Literal, yes and no, or a text with labelled values."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.admin.lists import filters
from opportune.crud.formats import yes_or_no
from opportune.db.models.choices import choice_label, choice_value
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.annotations import FieldOptions
from opportune.web.forms.controls import translated_choices

Choices = Mapping[str, tuple[Any, str]]
"""Values and labels by text in URLs."""
YES_NO: Choices = {"true": (True, _l("Yes")), "false": (False, _l("No"))}


class ChoiceFilter(filters.ValuesFilter):
    """A filter by values of an Enum, a Literal or a boolean."""

    def __init__(self, *args: Any, choices: Choices, can_exclude: bool = True) -> None:
        super().__init__(*args)
        self._choices = choices
        self.can_exclude = can_exclude

    @property
    def choices(self) -> Choices:
        return self._choices

    async def lookups(self, request: Request, model: Any, run_query: filters.RunQuery) -> list[tuple[str, str]]:
        labels = {text: label for text, (value, label) in self.choices.items() if value is not None}
        empty = [(text, label) for text, (value, label) in self.choices.items() if value is None]
        return [*translated_choices(labels).items(), *empty]

    def parse(self, texts: Sequence[str]) -> list[Any]:
        choices = self.choices
        if unknown := [text for text in texts if text not in choices]:
            raise ValueError(f"unknown choice: {unknown[0]}")
        return [choices[text][0] for text in texts]


class TextChoiceFilter(ChoiceFilter):
    """A filter by a text whose field labels values. The field returns its choices anew for each request."""

    def __init__(self, *args: Any, options: FieldOptions) -> None:
        super().__init__(*args, choices={})
        self.options = options
        self.text_filter = filters.TextFilter(*args)

    @property
    def choices(self) -> Choices:
        return {value: (value, label) for value, label in self.options.choices.items()}

    def for_query(self, query: QueryParams) -> filters.ListFilter:
        """Return the filter by a typed text if the query compares one, or its only value is not a choice."""
        operation = query.get(self.operation_name)
        texts = [text for text in query.getlist(self.parameter_name) if text]
        is_typed = not operation and len(texts) == 1 and texts[0] not in self.options.choices
        return self.text_filter if is_typed or operation in filters.TEXT_OPERATIONS else self

    def parse_condition(self, query: QueryParams) -> ColumnElement[bool] | None:
        filter_ = self.for_query(query)
        return super().parse_condition(query) if filter_ is self else filter_.parse_condition(query)


def choice_parameter(value: Any) -> str:
    """Return the text in URLs for a value of a column with choices."""
    if value is None:
        return filters.NULL_CHOICE
    return str(value).lower() if isinstance(value, bool) else choice_value(value)


def choice_text(value: Any) -> str:
    """Return the label of a value of a column with choices, or with yes and no."""
    if value is None:
        return filters.EMPTY
    if isinstance(value, bool):
        return yes_or_no(value)
    return choice_label(value)
