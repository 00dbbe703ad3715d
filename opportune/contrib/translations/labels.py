"""Labels that pages show without a mark: of models, fields, choices, lists, admin views and features.

They are read from the imported project, so a label has the same rules here and on the pages.
"""

import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import inspect
from sqlmodel import SQLModel
from typing_extensions import Format, get_annotations

from opportune.admin.forms.field_converter import FIELD_TEXTS
from opportune.admin.options import DISPLAY_OPTIONS, SEARCH_OPTIONS
from opportune.admin.sqladmin_adapter import action_texts, property_name
from opportune.admin.view_classes import menu_label, view_classes
from opportune.contrib.tools.declaration import tools_of
from opportune.crud.filters import LANGUAGES, RESERVED, TRASH_PARAMETER
from opportune.crud.page_options import declared_pages
from opportune.crud.registry import crud_classes
from opportune.db.models.choices import choice_label, choice_value, choices_of
from opportune.db.models.columns import many_to_many_of
from opportune.db.models.labels import label_of, label_of_class, label_of_field
from opportune.db.models.sensitive_names import is_secret
from opportune.feature import Feature
from opportune.features.core import all_features
from opportune.i18n import LazyText
from opportune.i18n.translation import DerivedLabel
from opportune.pagination import Paging
from opportune.project.feature_packages import PREFIX
from opportune.project.installed import installed_features
from opportune.project.layout import FRAMEWORK, PACKAGE
from opportune.project.modules import application
from opportune.schemas.annotations import options_of
from opportune.web.forms.controls import default_label

Label = tuple[str, str]
"""The module that declares a label, and its English text, which is a `DerivedLabel` if it is made of a name."""

FRAMEWORK_PARAMETERS = {*RESERVED, TRASH_PARAMETER, LANGUAGES}
"""Parameters of lists whose labels are in the catalogues of the framework."""

FORM = re.compile(r"\b(?:read_form\(\s*[\w.]+,|Form\()\s*(\w+)")
"""A schema of a form in the code of a page."""


@cache
def site_labels() -> Mapping[Path, list[str]]:
    """Return the labels of the project and its features by the file that declares them."""
    application()  # imports the modules that features name
    labels: dict[Path, list[str]] = {}
    # The type is compared also, because a derived label is equal to its text and has a separate translation.
    unique_labels = dict.fromkeys(
        (module, text, type(text)) for module, text in _untranslated_texts(_declared_labels())
    )
    for module, text, _type in unique_labels:
        if text and (file := getattr(sys.modules[module], "__file__", None)):
            labels.setdefault(Path(file), []).append(text)
    return labels


def _declared_labels() -> Iterator[Label]:
    features = all_features(installed_features())
    for feature in features:
        yield from _feature_labels(feature)
    for view, feature_name in view_classes(features):
        yield from _view_labels(view, feature_name)
    for model in _subclasses(SQLModel):
        if hasattr(model, "__mapper__") and _is_searched(model.__module__):
            yield model.__module__, label_of_class(model)
            if _is_of_project(model):
                yield from _model_labels(model)
    for crud_class in chain.from_iterable(crud_classes.values()):
        if _is_searched(crud_class.__module__):
            yield from _crud_labels(crud_class)
    for schema in _form_schemas():
        names = [name for name in schema.model_fields if name not in Paging.model_fields]
        yield from _field_labels(schema, default_label, names)


def _untranslated_texts(labels: Iterable[Label]) -> Iterator[Label]:
    """Yield English texts. A text that is made of others, such as "Price is empty", is replaced by its parts."""
    for module, text in labels:
        if not isinstance(text, LazyText):
            yield module, text
        elif text.template:
            yield from _untranslated_texts((module, value) for value in text.values.values() if isinstance(value, str))
        elif isinstance(text, DerivedLabel):
            yield module, text
        elif type(text) is LazyText and not text.context:  # others are marked, or translate without catalogues
            yield module, str.__str__(text)


def _subclasses(base: type[Any]) -> Iterator[type[Any]]:
    for class_ in base.__subclasses__():
        yield class_
        yield from _subclasses(class_)


def _is_searched(module: str) -> bool:
    """Return whether a module belongs to the project, a feature package or the framework."""
    return module.startswith((f"{PACKAGE}.", PREFIX, f"{FRAMEWORK.name}."))


def _is_of_project(model: type[Any]) -> bool:
    """Return whether the project declares a table. The views of the framework name the columns that they show."""
    return model.__module__.startswith((f"{PACKAGE}.", PREFIX))


def _model_labels(model: type[Any]) -> Iterator[Label]:
    yield from ((model.__module__, label_of(name)) for name in many_to_many_of(inspect(model)))
    yield from _field_labels(model, lambda name, _: label_of_field(model, name))


def _field_labels(
    model: type[Any], make_label: Callable[[str, FieldInfo], str], names: Collection[str] = ()
) -> Iterator[Label]:
    """Yield the texts of visible fields, by default of all, with the module of the class that declares them."""
    for name, info in model.model_fields.items():
        if (names and name not in names) or _is_hidden(model, name, info):
            continue
        options = options_of(info)
        texts = [make_label(name, info), info.description or ""]
        texts += [text for text in info.examples or () if str(text)[:1].isupper()]
        choices = {choice_value(choice): choice_label(choice) for choice in choices_of(model, name)}
        texts += {**choices, **options.choices}.values()
        if not options.suffix.isupper():  # codes of currencies are not translated
            texts.append(options.suffix)
        module = _declaring_module(model, name)
        yield from ((module, text) for text in texts)


def _is_hidden(model: type[Any], name: str, info: FieldInfo) -> bool:
    is_secret_column = is_secret(name) and not info.title and hasattr(model, "__table__")
    return options_of(info).type == "hidden" or is_secret_column


def _declaring_module(model: type[Any], name: str) -> str:
    # Python 3.14 evaluates annotations lazily, and they may name what only type checkers import.
    classes = (class_ for class_ in model.__mro__ if name in get_annotations(class_, format=Format.FORWARDREF))
    return next(classes).__module__


def _crud_labels(crud: Any) -> Iterator[Label]:
    fields = {**crud.Create.model_fields, **crud.Filter.model_fields}
    texts = [default_label(name, info) for name, info in fields.items() if name not in FRAMEWORK_PARAMETERS]
    texts += map(label_of, crud.definition.annotations)
    for pages in declared_pages.get(crud.model, ()):
        if pages.crud_class is crud:
            texts += [pages.name, pages.plural, *(title for title, _ in pages.sections)]
            texts += [column.label for column in pages.list_columns]
    yield from ((crud.__module__, text) for text in texts)


def _view_labels(view: Any, feature: str) -> Iterator[Label]:
    for option, values in _texts_of_view(view):
        yield from ((_module_of_option(view, option), text) for text in values if isinstance(text, str))
    yield from ((view.__module__, text) for text in action_texts(view))
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
    if _is_of_project(view.model):
        return
    names = names if view.column_details_list else [*fields]

    def make_label(name: str, _info: FieldInfo) -> str:
        return "" if name in view.column_labels else label_of_field(view.model, name)

    yield from _field_labels(view.model, make_label, names)


def _module_of_option(view: Any, option: str) -> str:
    classes = (class_ for class_ in view.__mro__ if option in vars(class_))
    return str(next(classes, view).__module__)


def _feature_labels(feature: Feature) -> Iterator[Label]:
    admin, site = feature.admin, feature.site
    texts = [feature.summary, feature.accounts.personal_data.summary if feature.accounts.personal_data else ""]
    for parts in (admin.metrics, site.navigation, site.searches, admin.user_columns, admin.setup_steps):
        texts += [part.label for part in parts]
    texts += [*(link.summary for link in site.navigation), *admin.operations, *feature.monitoring.status]
    if module := _module_of_feature(feature):
        yield from ((module, text) for text in texts)
    for functions in (feature.llm.tools, [*feature.llm.resources.values()], feature.llm.prompts):
        yield from ((tool.function.__module__, tool.status) for tool in tools_of(functions).values())


def _module_of_feature(feature: Feature) -> str:
    """Return the module that declares a feature; empty if it is not a `feature.py`."""
    modules = {name: module for name, module in sys.modules.items() if name.endswith(".feature")}
    names = (name for name, module in modules.items() if any(value is feature for value in vars(module).values()))
    return next(names, "")


def _form_schemas() -> Iterator[type[BaseModel]]:
    """Yield the schemas that pages pass to `Form` and `read_form`."""
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None) if _is_searched(name) else None
        text = Path(file).read_text(encoding="utf-8") if file else ""
        for schema in (getattr(module, match, None) for match in FORM.findall(text)):
            if isinstance(schema, type) and issubclass(schema, BaseModel):
                yield schema
