"""Labels of admin views and their columns."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic.fields import FieldInfo

from opportune.admin.forms.field_converter import FIELD_TEXTS
from opportune.admin.options import DISPLAY_OPTIONS, SEARCH_OPTIONS
from opportune.admin.sqladmin_adapter import action_texts, property_name
from opportune.admin.view_classes import menu_label
from opportune.contrib.translations.field_labels import Label, field_labels, is_of_project
from opportune.db.models.labels import label_of, label_of_field


def view_labels(view: Any, feature: str) -> Iterator[Label]:
    for option, values in _texts_of_view(view):
        yield from ((_module_of_option(view, option), text) for text in values if isinstance(text, str))
    yield from action_texts(view)
    if not view.category:
        yield view.__module__, menu_label(view, feature)
    if hasattr(view, "model"):
        yield from _column_labels(view)


def _texts_of_view(view: Any) -> Iterator[tuple[str, Iterable[Any]]]:
    """Yield the options of an admin view that have texts, with these."""
    yield from ((option, [getattr(view, option, "")]) for option in ("name", "name_plural", "category"))
    if hasattr(view, "model"):
        yield "column_labels", view.column_labels.values()
        yield "fieldsets", [title for title, _ in view.fieldsets]
        yield "form_args", [options.get(name, "") for options in view.form_args.values() for name in FIELD_TEXTS]
        yield "column_filters", [getattr(filter_, "title", "") for filter_ in view.column_filters]


def _column_labels(view: Any) -> Iterator[Label]:
    """Yield the labels of columns without an entry in `column_labels`. Details show all columns by default."""
    values = [getattr(view, option) for option in (*DISPLAY_OPTIONS, *SEARCH_OPTIONS, "form_columns")]
    names = [property_name(name) for value in values if value != "__all__" for name in value]
    fields = view.model.model_fields
    yield from ((view.__module__, label_of(name)) for name in names if name not in {*fields, *view.column_labels})
    if is_of_project(view.model):
        return
    names = names if view.column_details_list else [*fields]

    def make_label(name: str, _info: FieldInfo) -> str:
        return "" if name in view.column_labels else label_of_field(view.model, name)

    yield from field_labels(view.model, make_label, names)


def _module_of_option(view: Any, option: str) -> str:
    classes = (class_ for class_ in view.__mro__ if option in vars(class_))
    return str(next(classes, view).__module__)
