"""Code of a models.py: the model, its enums, its link tables and their imports."""

from collections.abc import Iterator, Sequence

from opportune.cli.scaffold.field_definitions import enum_member
from opportune.cli.scaffold.field_types import TIMESTAMPS, Field
from opportune.cli.scaffold.module_imports import with_imports
from opportune.cli.scaffold.words import camel, label, singular, snake
from opportune.project.layout import USER_TABLE

ACRONYMS = {"bic", "dns", "ean", "gps", "html", "iban", "ip", "isbn", "issn", "pdf", "rss", "sku", "url", "vat"}
"""Words written in capital letters in labels."""
SQLMODEL, FIELDS = "sqlmodel", "opportune.fields"


def models_module(
    feature: str, model: str, table: str, fields: Sequence[Field], mixins: Sequence[str], *, keeps_history: bool
) -> str:
    """Return the text of a `models.py` with this model, its enums and its link tables."""
    parts = [_enum_code(field) for field in fields if field.type == "enum"]
    parts += [_link_table_code(field, feature, model, table) for field in fields if field.type == "many"]
    parts.append(_model_code(model, table, fields, mixins, keeps_history=keeps_history))
    imports: dict[str, set[str]] = {"opportune.db": set(mixins)} if mixins else {}
    for module, name in _imports(fields):
        imports.setdefault(module, set()).add(name)
    return with_imports("", imports).rstrip() + "\n\n\n" + "\n\n\n".join(parts) + "\n"


def title_of(fields: Sequence[Field]) -> Field | None:
    """Return the field that `__str__` returns: the first `str` that is never None."""
    return next((field for field in fields if field.type == "str" and not _may_be_none(field)), None)


def link_name(model: str, field: Field) -> str:
    """Return the class name of a many-to-many link table: `PostTag` for the field `tags`."""
    return f"{model}{camel(singular(field.name))}"


def _enum_code(field: Field) -> str:
    members = "\n".join(f'    {enum_member(choice)} = "{choice}"' for choice in field.choices)
    return f"class {field.enum}(StrEnum):\n{members}"


def _link_table_code(field: Field, feature: str, model: str, table: str) -> str:
    assert field.target
    link = link_name(model, field)
    ends = ((snake(model), table, ""), (snake(field.target.name), field.target.table, ", index=True"))
    lines = [f"class {link}(ModelBase, table=True):", f'    __tablename__ = "{feature}_{snake(link)}"', ""]
    for name, target_table, index in ends:
        key = f'Field(foreign_key="{target_table}.id", primary_key=True, ondelete="CASCADE"{index})'
        lines.append(f"    {name}_id: int = {key}")
    return "\n".join(lines)


def _model_code(model: str, table: str, fields: Sequence[Field], mixins: Sequence[str], *, keeps_history: bool) -> str:
    bases = ", ".join((_base_class(fields)[1], *mixins))
    lines = [f"class {model}({bases}, table=True):", f'    __tablename__ = "{table}"']
    lines += ["    keeps_history = True", ""] if keeps_history else [""]
    lines += [_column_code(field, table) for field in fields if field.type not in ("many", "team")]
    relationships = [line for field in fields for line in _relationship_code(field, model, fields)]
    lines += ["", *relationships] if relationships else []
    if title := title_of(fields):
        lines += ["", "    def __str__(self) -> str:", f"        return self.{title.name}"]
    return "\n".join(lines)


def _base_class(fields: Sequence[Field]) -> tuple[str, str]:
    """Return the module and the name of the base class."""
    belongs_to_team = any(field.type == "team" for field in fields)
    return ("opportune.contrib.teams", "TeamOwned") if belongs_to_team else ("opportune.db", "Model")


def _relationship_code(field: Field, model: str, fields: Sequence[Field]) -> Iterator[str]:
    if field.type == "many" and field.target:
        link = link_name(model, field)
        yield f"    {field.name}: list[{field.target.name}] = Relationship(link_model={link})"
    elif field.type == "reference" and field.has_relationship and field.target:
        annotation = f"{field.target.name} | None" if field.is_optional else field.target.name
        is_ambiguous = [_referenced_table(other) for other in fields].count(field.target.table) > 1
        column = f'sa_relationship_kwargs={{"foreign_keys": "{model}.{field.column}"}}' if is_ambiguous else ""
        yield f"    {field.name}: {annotation} = Relationship({column})"


def _referenced_table(field: Field) -> str:
    """Return the table that a foreign key refers to; empty for other columns."""
    if field.type == "owner":
        return USER_TABLE
    return field.target.table if field.type == "reference" and field.target else ""


def _column_code(field: Field, table: str) -> str:
    annotation, value = annotation_code(field), _assigned_code(field, table)
    return f"    {field.column}: {annotation}{f' = {value}' if value else ''}"


def annotation_code(field: Field) -> str:
    name = field.enum if field.type == "enum" else field.spec.annotation
    name = f"Translated[{name}]" if field.is_translated else name
    return f"{name} | None" if _may_be_none(field) else name


def _may_be_none(field: Field) -> bool:
    return field.is_optional and _empty_default(field) == "None"


def _empty_default(field: Field) -> str:
    """Return the default of an optional field. It is None for unique texts, because two empty texts would be equal."""
    return "None" if "unique" in field.options else field.spec.empty


def _assigned_code(field: Field, table: str) -> str:
    """Return the code after the annotation: `Field(max_length=200)`, a plain default, or an empty text."""
    if field.type in TIMESTAMPS:
        changes = ', sa_column_kwargs={"onupdate": utc_now}' if field.type == "updated_at" else ""
        return f"Field(default_factory=utc_now{changes})"
    if field.type in ("json", "list"):
        return f"Field(default_factory={field.spec.empty})"
    default, options = default_code(field), [*_field_arguments(field, table)]
    if field.spec.field_function:
        arguments = [*_first_arguments(field, table), *_default_argument(default), *options]
        return f"{field.spec.field_function}({', '.join(arguments)})"
    if options or default.startswith(("lambda", "utc_now")):
        return f"Field({', '.join([*_default_argument(default), *options])})"
    return default


def _default_argument(default: str) -> list[str]:
    is_factory = default.startswith(("lambda", "utc_now"))
    return [f"default_factory={default}" if is_factory else f"default={default}"] if default else []


def default_code(field: Field) -> str:
    """Return the default as Python code; empty for required fields."""
    if field.default:
        return field.default
    if field.type in ("bool", "image", "file"):
        return field.spec.empty
    return _empty_default(field) if field.is_optional else ""


def _first_arguments(field: Field, table: str) -> list[str]:
    """Return the positional arguments of functions such as `slug_field`."""
    feature = table.partition("_")[0]
    return {
        "slug": [f'"{field.source}"'],
        "money": [f'"{field.currency}"'],
        "image": [f'"{feature}"', '{"thumb": 120}'],
        "file": [f'"{feature}_files"'],
    }[field.type]


def _field_arguments(field: Field, table: str) -> Iterator[str]:
    if field.target:
        yield f'foreign_key="{field.target.table or table}.id"'
        if field.on_delete:
            yield f'ondelete="{field.on_delete}"'
        if "unique" not in field.options:
            yield "index=True"
    yield from limit_arguments(field)
    yield from (f"{option}=True" for option in ("unique", "index") if option in field.options)
    yield from title_argument(field)


def limit_arguments(field: Field) -> Iterator[str]:
    """Yield the arguments of `Field` that validate the value."""
    if field.type == "decimal":
        yield f"max_digits={field.digits[0]}, decimal_places={field.digits[1]}"
    if field.spec.is_text and field.is_required and not field.is_translated:
        yield "min_length=1"
    if field.length:
        yield f"max_length={field.length}"
    yield from (f"{name}={value}" for name, value in (("ge", field.minimum), ("le", field.maximum)) if value)


def title_argument(field: Field) -> Iterator[str]:
    """Yield a `title` argument if the label contains acronyms."""
    words = label(field.name).split()
    if {word.lower() for word in words} & ACRONYMS:
        yield f'title="{" ".join(word.upper() if word.lower() in ACRONYMS else word for word in words)}"'


def _imports(fields: Sequence[Field]) -> Iterator[tuple[str, str]]:
    """Yield the modules and names that the code of the fields uses."""
    yield _base_class(fields)
    for field in fields:
        if field.type != "team":
            yield from _imports_of(field)


def _annotation_imports(field: Field) -> Iterator[tuple[str, str]]:
    if field.type == "enum":
        yield "enum", "StrEnum"
    elif field.spec.module:
        yield field.spec.module, field.spec.annotation
    if field.is_translated:
        yield FIELDS, "Translated"


def _imports_of(field: Field) -> Iterator[tuple[str, str]]:
    yield from _annotation_imports(field)
    if field.spec.field_function:
        yield FIELDS, field.spec.field_function
    if field.type == "many" or (field.type == "reference" and field.has_relationship):
        yield SQLMODEL, "Relationship"
    if field.is_account:
        yield "opportune.accounts", "User"
    if field.type == "many":
        yield "opportune.db", "ModelBase"
        yield SQLMODEL, "Field"
        return
    code = _assigned_code(field, "")
    if code.startswith("Field("):
        yield SQLMODEL, "Field"
    if "utc_now" in code:
        yield "opportune.db", "utc_now"
    if "Decimal(" in code:
        yield "decimal", "Decimal"
    yield from (("datetime", name) for name in ("date", "time") if code.startswith(f"{name}("))
