"""Labels of fields: those of models, of lists and of forms."""

import re
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import inspect
from typing_extensions import Format, get_annotations

from opportune.crud.page_options import declared_pages
from opportune.crud.query_schema import LANGUAGES, RESERVED, TRASH_PARAMETER
from opportune.db.models.choices import choice_label, choice_value, choices_of
from opportune.db.models.columns import many_to_many_of
from opportune.db.models.labels import label_of, label_of_field
from opportune.db.models.sensitive_names import is_secret
from opportune.project.feature_packages import PREFIX
from opportune.project.layout import FRAMEWORK, PACKAGE
from opportune.schemas.annotations import options_of
from opportune.web.forms.controls import default_label

Label = tuple[str, str]
"""The module that declares a label, and its English text, which is a `DerivedLabel` if it is made of a name."""

FRAMEWORK_PARAMETERS = {*RESERVED, TRASH_PARAMETER, LANGUAGES}
"""Parameters of lists whose labels are in the catalogues of the framework."""

FORM_SCHEMA = re.compile(r"\b(?:read_form\(\s*[\w.]+,|Form\()\s*(\w+)")
"""A schema of a form in the code of a page."""


def is_searched(module: str) -> bool:
    """Return whether a module belongs to the project, a feature package or the framework."""
    return module.startswith((f"{PACKAGE}.", PREFIX, f"{FRAMEWORK.name}."))


def is_of_project(model: type[Any]) -> bool:
    """Return whether the project declares a table. The views of the framework name the columns that they show."""
    return model.__module__.startswith((f"{PACKAGE}.", PREFIX))


def model_labels(model: type[Any]) -> Iterator[Label]:
    yield from ((model.__module__, label_of(name)) for name in many_to_many_of(inspect(model)))
    yield from field_labels(model, lambda name, _: label_of_field(model, name))


def field_labels(
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


def crud_labels(crud: Any) -> Iterator[Label]:
    fields = {**crud.Create.model_fields, **crud.Filter.model_fields}
    texts = [default_label(name, info) for name, info in fields.items() if name not in FRAMEWORK_PARAMETERS]
    texts += map(label_of, crud.definition.annotations)
    for pages in declared_pages.get(crud.model, ()):
        if pages.crud_class is crud:
            texts += [pages.name, pages.plural, *(title for title, _ in pages.sections)]
            texts += [column.label for column in pages.list_columns]
    yield from ((crud.__module__, text) for text in texts)


def form_schemas() -> Iterator[type[BaseModel]]:
    """Yield the schemas that pages pass to `Form` and `read_form`."""
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None) if is_searched(name) else None
        text = Path(file).read_text(encoding="utf-8") if file else ""
        for schema in (getattr(module, match, None) for match in FORM_SCHEMA.findall(text)):
            if isinstance(schema, type) and issubclass(schema, BaseModel):
                yield schema
