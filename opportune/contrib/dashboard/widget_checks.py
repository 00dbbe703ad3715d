"""Checks of the widgets that features declare, when the admin starts and in `check`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Boolean, inspect

from opportune.admin.lists.filters import NULL_CHOICE
from opportune.admin.options import filter_fault, list_column_fault
from opportune.db.models.choices import choice_value, choices_of
from opportune.db.models.columns import is_json
from opportune.feature import Feature, Metric, Number, Table
from opportune.feature.admin import Widget


def find_widget_errors(features: Sequence[Feature], views: Iterable[Any]) -> Iterator[str]:
    """Yield a line for each unknown name in a widget, and for each label that is not unique."""
    views_by_model = {view.model: view for view in views if hasattr(view, "model")}
    for feature in features:
        labels: set[str] = set()
        for widget in feature.admin.metrics:
            faults = [*_faults(widget, views_by_model.get(widget.model))]
            if widget.label in labels:
                faults.append("another widget of the feature has this label.")
            labels.add(widget.label)
            name = f"{type(widget).__name__}({widget.label!r})"
            yield from (f"Feature({feature.name!r}): {name}: {fault}" for fault in faults)


def _faults(widget: Widget, view: Any) -> Iterator[str]:
    if isinstance(widget, Metric):
        yield from _choice_faults(widget)
    elif view is None:
        name = widget.model.__name__
        yield f"{name} has no view. Add {name}Admin(AdminView, model={name})."
    else:
        faults = [filter_fault(view, name) or _value_fault(widget, name) for name in widget.filters]
        if isinstance(widget, Table):
            faults += [list_column_fault(view, name) for name in widget.columns]
        yield from filter(None, faults)


def _value_fault(widget: Number | Table, name: str) -> str:
    """Return a message if a filter has a value that its column cannot have."""
    column = inspect(widget.model).columns.get(name)
    if column is None or is_json(column):  # lists of choices are filtered as text
        return ""
    choices = [choice_value(choice) for choice in choices_of(widget.model, name)]
    value = widget.filters[name]
    if not choices or value in choices or (column.nullable and value == NULL_CHOICE):
        return ""
    return f"{name!r} is not {value!r}. Choose one of {', '.join(choices)}."


def _choice_faults(metric: Metric) -> Iterator[str]:
    if metric.by is None:
        return
    column = inspect(metric.model).columns.get(metric.by.key)
    has_choices = bool(choices_of(metric.model, metric.by.key))
    if column is None or is_json(column) or not (has_choices or isinstance(column.type, Boolean)):
        yield f"by={metric.by.key!r} needs a column with choices: an Enum, a Literal or a bool."
