"""Labels and values on the page of one row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from opportune.crud.columns import Format, format_file, format_for, name_of
from opportune.crud.crud import Crud
from opportune.crud.declaration import Shape
from opportune.db.models.columns import label_of_field
from opportune.fields import File
from opportune.schemas.annotations import options_of
from opportune.storage import Storage
from opportune.storage.public_folders import is_public
from opportune.web import markdown, url

LINK = Markup('<a href="{}">{}</a>')
BADGE = Markup('<span class="badge bg-secondary-lt me-1">{}</span>')

UrlOf = Callable[[Any], str]
"""Return the URL of a row's page, or an empty text."""


def default_fields(crud_class: type[Crud[Any]]) -> list[str]:
    """Return the fields of the API's response, without the id and the owner."""
    definition = crud_class.definition
    return [name for name in definition.serializer.names if name not in ("id", *definition.owners)]


async def read_labelled_fields(
    crud: Crud[Any],
    row: Any,
    names: Sequence[str],
    formats: Mapping[str, Format],
    url_of: UrlOf,
    storage: Storage,
) -> list[tuple[str, str]]:
    """Return labels and values. Empty fields are left out. By default, so is the field that is the page's title."""
    if not names:
        names = await crud.session.run_sync(lambda _: _without_title(row, default_fields(type(crud))))
    values = await read_field_texts(crud, row, names, formats, url_of, storage)
    return [(label, text) for label, text in values.values() if text != ""]


async def read_field_texts(
    crud: Crud[Any],
    row: Any,
    names: Iterable[str],
    formats: Mapping[str, Format],
    url_of: UrlOf,
    storage: Storage,
) -> dict[str, tuple[str, str]]:
    """Return label and text of each field that is not hidden from the user."""
    shape = type(crud).definition.shape
    visible = [name for name in names if not crud.hides(name)]

    def render(_: object) -> dict[str, str]:
        return {name: _field_text(shape, row, name, formats.get(name), url_of) for name in visible}

    values = await crud.session.run_sync(render)  # the title of a row may load related rows
    for name in values:
        value = getattr(row, name)
        if name in formats or not value:
            continue
        if isinstance(value, File):
            values[name] = format_file(value, value.url() if is_public(value) else await storage.url(value))
        elif _is_markdown(shape, name):
            await markdown.rendered(value)  # rendered in a thread, because a long text may take long
            values[name] = markdown.render_cached(value)
    return {name: (label_of_field(shape.model, name), text) for name, text in values.items()}


def _without_title(row: Any, names: Sequence[str]) -> list[str]:
    """Return the fields whose value is not the title of the page."""
    title = name_of(row)
    return [name for name in names if getattr(row, name) != title]


def _is_markdown(shape: Shape, name: str) -> bool:
    info = shape.model.model_fields.get(name)
    return info is not None and options_of(info).type == "markdown"


def _field_text(shape: Shape, row: Any, name: str, format_: Format | None, url_of: UrlOf) -> str:
    relation = shape.relation_of(name)
    value = getattr(row, relation or name)
    if format_:
        return format_(value)
    if relation:
        return "" if value is None else _link_to(value, url_of)
    if name in shape.links:
        return Markup("").join(BADGE.format(_link_to(related, url_of)) for related in value)
    return format_for(shape.model.model_fields.get(name))(value)


def _link_to(row: Any, url_of: UrlOf) -> str:
    row_url = url_of(row)
    return LINK.format(url(row_url), name_of(row)) if row_url else name_of(row)
