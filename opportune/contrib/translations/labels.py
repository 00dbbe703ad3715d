"""Labels that pages show without a mark: of models, fields, choices, lists, admin views and features.

They are read from the imported project, so a label has the same rules here and on the pages.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path

from sqlmodel import SQLModel

from opportune.admin.view_classes import view_classes
from opportune.contrib.tools.declaration import tools_of
from opportune.contrib.translations import field_labels
from opportune.contrib.translations.view_labels import view_labels
from opportune.crud.registry import crud_classes
from opportune.db.models.labels import label_of_class
from opportune.db.models.model import subclasses_of
from opportune.feature import Feature
from opportune.features.core import all_features
from opportune.i18n import LazyText
from opportune.i18n.translation import DerivedLabel
from opportune.pagination import Paging
from opportune.project.installed import installed_features
from opportune.project.modules import application
from opportune.web.forms.controls import default_label


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


def _declared_labels() -> Iterator[field_labels.Label]:
    features = all_features(installed_features())
    for feature in features:
        yield from _feature_labels(feature)
    for view, feature_name in view_classes(features):
        yield from view_labels(view, feature_name)
    for model in subclasses_of(SQLModel):
        if hasattr(model, "__mapper__") and field_labels.is_searched(model.__module__):
            yield model.__module__, label_of_class(model)
            if field_labels.is_of_project(model):
                yield from field_labels.model_labels(model)
    for crud_class in chain.from_iterable(crud_classes.values()):
        if field_labels.is_searched(crud_class.__module__):
            yield from field_labels.crud_labels(crud_class)
    for schema in field_labels.form_schemas():
        names = [name for name in schema.model_fields if name not in Paging.model_fields]
        yield from field_labels.field_labels(schema, default_label, names)


def _untranslated_texts(labels: Iterable[field_labels.Label]) -> Iterator[field_labels.Label]:
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


def _feature_labels(feature: Feature) -> Iterator[field_labels.Label]:
    if module := _module_of_feature(feature):
        yield from ((module, text) for text in _texts_of_feature(feature))
    for functions in (feature.llm.tools, [*feature.llm.resources.values()], feature.llm.prompts):
        yield from ((tool.function.__module__, tool.status) for tool in tools_of(functions).values())


def _texts_of_feature(feature: Feature) -> Iterator[str]:
    admin = feature.admin
    site = feature.site
    yield feature.summary
    if feature.accounts.personal_data:
        yield feature.accounts.personal_data.summary
    for parts in (admin.metrics, site.navigation, site.searches, admin.user_columns, admin.setup_steps):
        yield from (part.label for part in parts)
    yield from (link.summary for link in site.navigation)
    yield from (*admin.operations, *feature.monitoring.status)


def _module_of_feature(feature: Feature) -> str:
    """Return the module that declares a feature; empty if it is not a `feature.py`."""
    modules = {name: module for name, module in sys.modules.items() if name.endswith(".feature")}
    names = (name for name, module in modules.items() if any(value is feature for value in vars(module).values()))
    return next(names, "")
