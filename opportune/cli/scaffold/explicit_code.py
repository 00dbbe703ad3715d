"""Code of `--by-hand`: explicit schemas, routes and templates instead of CRUD classes."""

import re
from pathlib import Path

from opportune.cli.scaffold.fields import OWNERS, TIMESTAMPS, Field
from opportune.cli.scaffold.model import NewModel, render_skeleton
from opportune.cli.scaffold.model_code import annotation_code, default_code, limit_arguments, title_argument, title_of
from opportune.cli.scaffold.module_imports import with_imports
from opportune.cli.scaffold.words import label
from opportune.errors import OperatorError

TEMPLATES = ("list", "detail", "form", "delete")
READ_TYPES = {
    "str": "str",
    "text": "str",
    "markdown": "str",
    "email": "str",
    "url": "str",
    "phone": "str",
    "country": "str",
}
READ_TYPES |= {"slug": "str", "money": "Decimal", "list": "list[str]", "json": "dict[str, Any] | list[Any]"}
"""Types in API responses that differ from the model's."""
UPDATE_DEFAULTS = {"int": "0", "float": "0", "decimal": "Decimal(0)", "money": "Decimal(0)"}
UPDATE_DEFAULTS |= {"date": "date.min", "datetime": "datetime.min", "time": "time.min"}
"""Defaults of required fields in the update schema. Fields that the request omits are not written."""
TEMPLATE_FILTERS = {"markdown": " | markdown", "datetime": " | time", "created_at": " | time", "updated_at": " | time"}


def check_explicit_code_supported(model: NewModel) -> None:
    """Raise OperatorError for fields and access rules that `--by-hand` does not support."""
    for field in model.fields:
        if field.target or field.type in ("image", "file", "datetime"):
            raise OperatorError(
                f"{field.name}: --by-hand supports texts, numbers, dates and choices. References, files and times of "
                "day with a date need the CRUD layer (oppman.py docs crud). Omit --by-hand."
            )
        if field.is_translated:
            raise OperatorError(f"{field.name}: --by-hand has no translated fields. Omit one of both options.")
    if title_of(model.fields) is None:
        raise OperatorError("--by-hand needs a required str field as the title of a row. Add title:str.")
    if model.write == "owner" != model.read:
        raise OperatorError("--by-hand with an owner supports rows that only their owner reads. Omit --read.")


def explicit_modules(model: NewModel, router: str) -> dict[str, str]:
    """Return the modules that replace those of the CRUD layer, by file name."""
    placeholders = _placeholders(model, router)
    names = ("schemas.py", "dependencies.py", "pages.py", "api.py")
    placeholders |= _trash_code(model, placeholders)
    files = {name: render_skeleton(f"explicit_{name}", placeholders) for name in names}
    if not model.slug:
        for name in ("pages.py", "api.py"):
            files[name] = with_imports(files[name], {"opportune.db": {"RowId"}})
    files["pages.py"] = with_imports(files["pages.py"], {f"app.{model.feature}.models": {model.name}})
    files["schemas.py"] = with_imports(files["schemas.py"], _schema_imports(model))
    return files


def _trash_code(model: NewModel, placeholders: dict[str, str]) -> dict[str, str]:
    """Return the code of the pages and the API that deletes and restores rows."""
    if not model.has_trash:
        delete_row = f"    await {model.snake_plural}.delete({model.path_parameter})"
        return {"delete_row": delete_row, "api_restore": "", "page_restore": ""}
    files = {"delete_row": "trash_delete", "api_restore": "api_restore", "page_restore": "page_restore"}
    code = {name: render_skeleton(f"explicit_{file}.py", placeholders) for name, file in files.items()}
    return code | {"delete_row": code["delete_row"].rstrip()}


def with_schemas(service: str, model: NewModel) -> str:
    """Return the data layer with references to the explicit schemas."""
    names = {option: f"{model.name}{option.capitalize()}" for option in ("create", "update", "read", "filter")}
    lines = [line for line in service.rstrip().splitlines() if not line.startswith("    filters = ")]
    lines += [f"    {option}_schema = {name}" for option, name in names.items()]
    return with_imports("\n".join(lines) + "\n", {f"app.{model.feature}.schemas": names.values()})


def explicit_templates(model: NewModel, project: Path) -> dict[Path, str]:
    """Return the templates of the pages, by path."""
    placeholders, folder = _placeholders(model, "router"), project / "templates" / model.feature
    return {
        folder / f"{model.snake_name}_{name}.html": render_skeleton(f"explicit_{name}.html", placeholders)
        for name in TEMPLATES
    }


def _placeholders(model: NewModel, router: str) -> dict[str, str]:
    schemas = [field for field in model.fields if field.is_sent and field.type != "slug"]
    visible = [field for field in model.fields if field.type not in OWNERS]
    update_defaults = {
        field.name: _schema_field(field, _update_default(field)) for field in schemas if field.is_required
    }
    sorts = as_names([field.name for field in model.fields if field.spec.is_sortable])
    return model.placeholders | {
        "router": router,
        "item": model.snake_name,
        "items": model.snake_plural,
        "label_singular": label(model.snake_name).lower(),
        "path_parameter": model.path_parameter,
        "path_parameter_type": "str" if model.slug else "RowId",
        "list_signature": _list_signature(model),
        "delete_note": "It moves to the trash." if model.has_trash else "This cannot be undone.",
        "may_change": f'{model.snake_plural}.may("edit")',
        "get_row": f"{model.snake_plural}.get({model.path_parameter})",
        "create_fields": "\n".join(
            f"    {field.name}: {_schema_field(field, default_code(field))}" for field in schemas
        ),
        "update_fields": "\n".join(f"    {name}: {default}" for name, default in update_defaults.items()),
        "read_fields": "\n".join(f"    {field.name}: {_read_type(field)}" for field in visible),
        "sort_field": f'    sort: Annotated[str, SortBy({sorts})] = ""' if sorts else "",
        "heads": "\n".join(_head(model, name) for name in model.columns()),
        "cells": "\n".join(_cell(model, name) for name in model.columns()),
        "detail_rows": "\n".join(_detail_row(model, field) for field in visible if field.type != "slug"),
    }


def _list_signature(model: NewModel) -> str:
    service, query = f"{model.snake_plural}: Read{model.plural}", f"query: Annotated[{model.name}Filter, Query()]"
    return f"async def list_{model.snake_plural}(request: Request, {service}, {query}) -> Response:"


def as_names(names: list[str]) -> str:
    """Return the names as quoted strings, separated by commas."""
    return ", ".join(f'"{name}"' for name in names)


def _schema_field(field: Field, default: str) -> str:
    if field.type in ("json", "list"):
        return f"{field.spec.annotation} = Field(default_factory={field.spec.empty})"
    is_factory = default.startswith(("lambda", "utc_now"))
    default_arguments = [f"default_factory={default}" if is_factory else default] if default else []
    options = [*limit_arguments(field), *title_argument(field)]
    annotation = annotation_code(field)
    if options or is_factory:
        return f"{annotation} = Field({', '.join([*default_arguments, *options])})"
    return f"{annotation} = {default}" if default else annotation


def _update_default(field: Field) -> str:
    return f"next(iter({field.enum}))" if field.type == "enum" else UPDATE_DEFAULTS.get(field.type, '""')


def _read_type(field: Field) -> str:
    if field.type in TIMESTAMPS:
        return "datetime"
    annotation = annotation_code(field)
    plain = READ_TYPES.get(field.type, annotation.removesuffix(" | None"))
    return f"{plain} | None" if annotation.endswith(" | None") else plain


def _schema_imports(model: NewModel) -> dict[str, set[str]]:
    imports: dict[str, set[str]] = {"typing": {"Annotated"}, "pydantic": {"Field"}}
    code = render_skeleton("explicit_schemas.py", _placeholders(model, "router"))
    for field in model.fields:
        if field.type == "enum":
            imports.setdefault(f"app.{model.feature}.models", set()).add(field.enum)
        elif (
            field.is_sent
            and field.type != "slug"
            and field.spec.module
            and field.spec.annotation not in ("Line", "Text")
        ):
            imports.setdefault(field.spec.module, set()).add(field.spec.annotation)
    optional = {"datetime": ("date", "datetime", "time"), "decimal": ("Decimal",), "typing": ("Any",)}
    optional |= {"opportune.text": ("Text",), "opportune.pagination": ("SortBy",), "opportune.db": ("utc_now",)}
    for module, names in optional.items():
        imports.setdefault(module, set()).update(name for name in names if re.search(rf"[:=\[ (]{name}\b(?!=)", code))
    return {module: names for module, names in imports.items() if names}


def _field(model: NewModel, name: str) -> Field:
    return next(field for field in model.fields if field.name == name)


def _label(field: Field) -> str:
    return next(title_argument(field), "").removeprefix('title="').removesuffix('"') or field.label


def _value(model: NewModel, field: Field) -> str:
    value = f"{model.snake_name}.{field.name}"
    if field.type == "bool":
        return f'{{{{ "Yes" if {value} else "No" }}}}'
    if field.type == "list":
        return f'{{{{ {value} | join(", ") }}}}'
    if field.type == "json":
        return f"{{{{ {value} | tojson }}}}"
    filters = f'| money("{field.currency}")' if field.type == "money" else TEMPLATE_FILTERS.get(field.type, "").strip()
    if annotation_code(field).endswith("None"):
        return f'{{{{ {value} {filters} if {value} is not none else "" }}}}'.replace("  ", " ")
    return f"{{{{ {value} {filters} }}}}".replace("  ", " ")


def _head(model: NewModel, name: str) -> str:
    field = _field(model, name)
    if field.spec.is_sortable:
        return f'          {{{{ sort_head(query, "{name}", "{_label(field)}", request.url) }}}}'
    return f'          <th scope="col">{_label(field)}</th>'


def _cell(model: NewModel, name: str) -> str:
    field = _field(model, name)
    value = _value(model, field)
    if name != model.columns()[0]:
        return f'          <td data-label="{_label(field)}">{value}</td>'
    address = f"{model.path}/{{{{ {model.snake_name}.{model.placeholders['key_column']} }}}}"
    return f'          <td class="leads" data-label="{_label(field)}"><a href="{address}">{value}</a></td>'


def _detail_row(model: NewModel, field: Field) -> str:
    value = f'<dd class="col-sm-9 text-break">{_value(model, field)}</dd>'
    return f'    <dt class="col-sm-3">{_label(field)}</dt>\n    {value}'
