"""The base of every model's pages in the admin."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from sqladmin.filters import get_parameter_name
from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import INVALID, AdminForm, validate_model
from opportune.admin.forms.files import file_field_for
from opportune.admin.forms.foreign_keys import ForeignKeyLookup
from opportune.admin.forms.inlines import Inline
from opportune.admin.forms.many_to_many import ManyToManyLookup
from opportune.admin.forms.model_fields import AdminConverter
from opportune.admin.forms.row_fields import RowField
from opportune.admin.lists.active_filters import list_context
from opportune.admin.lists.filters import filter_for
from opportune.admin.lists.formatters import FORMATTERS
from opportune.admin.lists.row_queries import RowQueriesMixin
from opportune.admin.options import option_faults
from opportune.admin.protocols import Site
from opportune.admin.sqladmin_adapter import property_name
from opportune.db.columns import (
    choices_of,
    foreign_keys_of,
    incomplete_links_of,
    is_json,
    is_long,
    is_secret,
    is_text,
    is_wordy,
    many_to_many_of,
    natural_key_of,
)
from opportune.db.paths import column_of_relation, relation_of_column
from opportune.errors import OperatorError
from opportune.fields.files import file_columns_of


class AdminView(RowQueriesMixin):
    """The pages of one model: list, details, form, deletion, export. It works with nothing but a model:

        class BookAdmin(AdminView, model=Book):
            column_list = ["id", "title", "owner_id", "published_on"]
            column_searchable_list = ["title", "notes"]
            column_filters = ["owner_id", "published_on"]
            readonly_columns = ["owner_id", "created_at"]
            icon, category = "ti ti-book", "Books"

    It stands in the module that the feature names: `Feature(admin="app.books.admin")`. All options of SQLAdmin's
    ModelView hold, but:

    - What is left out is chosen by type: short columns are listed and sort, short texts are searched, and choices,
      times, numbers and references are filters.
    - Foreign keys are looked up while typing, and shown as what they point at. So are many-to-many relationships
      (`Relationship(link_model=…)`); others are not in forms.
    - Names such as `hashed_password` or `token_hash` are never shown, searched or exported.
    - Texts of more than 255 characters have a box. `form_args = {"email": {"lines": False}}` asks for a line.
    - Fields with a type of `opportune.fields` bring their own: `Image`, `Slug`, `Markdown`, `Country` and so on.
    - Other files are columns with the name of a stored one: `file_columns = {"photo": ImageColumn("books")}`.
    - Rows that point at a row are shown with it; `inlines` are edited with it.
    - Forms obey the model's own rules, and what the database refuses becomes a sentence.
    - Each change is one transaction, in which hooks run, and may raise `ValidationRefused`: `before_save`,
      `after_save`, `before_delete`, `after_delete`.
    - What `list_query` leaves out is not found by its number either, nor looked up, counted or changed.
    - `crud = Books` has the rules on rows of that data layer hold here too.
    """

    column_filters: ClassVar[Sequence[Any]] = ()
    """Names of columns, or filters of SQLAdmin."""

    readonly_columns: ClassVar[Sequence[Any]] = ("created_at", "updated_at")
    """Shown beside the form; what somebody sends for them is not read."""

    readonly_after_create: ClassVar[Sequence[str]] = ()
    """As those, but for a new row, which may choose."""

    inlines: ClassVar[Sequence[Inline]] = ()
    """Rows of other models that are edited with this one."""

    prepopulated: ClassVar[Mapping[str, str]] = {}
    """A slug and the column that it is made of while somebody types: `{"slug": "title"}`."""

    has_history: ClassVar[bool] = True
    """Whether there is a page that tells what was done to a row here."""

    max_import_file_size = 1_000_000
    import_max_rows = 2_000
    """Of a file, where a view says `can_import = True`: a new row each, all or none."""

    page_size = 25
    page_size_options: ClassVar[Sequence[int]] = [25, 50, 100]
    column_type_formatters = FORMATTERS
    column_type_formatters_detail = FORMATTERS
    form_base_class = AdminForm
    form_converter = AdminConverter
    form_include_pk = True  # also foreign keys, which SQLAdmin leaves to relationships that models need not have
    list_template = "admin/list.html"
    create_template = "admin/form.html"
    edit_template = "admin/form.html"
    details_template = "admin/details.html"
    icon = "ti ti-table"

    site: ClassVar[Site]

    def __init__(self) -> None:
        if fault := next(option_faults(self, AdminView), ""):
            raise OperatorError(fault)
        super().__init__()
        columns = self.mapper.columns
        self.labels = self.default_labels() | self.labels
        self.references = {
            name: ForeignKeyLookup(name, model, self) for name, model in foreign_keys_of(self.mapper).items()
        }
        linked = many_to_many_of(self.mapper)
        self.many_to_many = {name: ManyToManyLookup(name, model, self) for name, model in linked.items()}
        self.lookups = {**self.references, **self.many_to_many}
        self.files = {**file_columns_of(self.model), **self.file_columns}
        files = {name: file_field_for(column) for name, column in self.files.items()}
        pickers = dict.fromkeys(self.lookups, RowField)
        self.search_names = [name for name in self.search_names or self._texts() if not is_secret(name)]
        sortable = self.sort_names or [*self._sortable()]
        self.sort_names = [name for name in sortable if not is_secret(name)]
        self.configure(dict(self.lookups), {**pickers, **files})
        wishes = self.column_filters or self._filterable()
        self._filters = [filter_for(self, wish) for wish in wishes if not is_secret(_parameter(wish))]
        self.wordy = {name for name, column in columns.items() if is_wordy(column) and not choices_of(self.model, name)}
        self.wordy |= {name for name in self.list_names if name in linked or "." in name}
        fixed = dict.fromkeys((*map(self.name_of, self.readonly_columns), *incomplete_links_of(self.mapper)))
        self.readonly_names = [name for name in fixed if self._is_shown(name)]

    # Which columns

    @classmethod
    def option_faults(cls) -> Iterator[str]:
        """A line for each name in the options that nothing has."""
        return option_faults(cls, AdminView)

    def name_of(self, wish: Any) -> str:
        """A relationship to one row goes by the name of its column."""
        return column_of_relation(self.mapper, property_name(wish))

    def _is_shown(self, name: str) -> bool:
        """Whether it is shown without being named: of relationships those alone that forms have a picker for."""
        return name in self.mapper.columns or name in many_to_many_of(self.mapper)

    def _texts(self) -> list[str]:
        short = [name for name, column in self.mapper.columns.items() if is_text(column) and not is_long(column)]
        return [name for name in short if name not in self.files]

    def _filterable(self) -> list[str]:
        """Columns whose values are few, or ask for a range. Not texts: these are searched."""
        keys = {column.key for column in self.pk_columns}
        columns = [
            name
            for name, column in self.mapper.columns.items()
            if name not in keys and (choices_of(self.model, name) or not (is_text(column) or is_json(column)))
        ]
        return [*columns, *self.many_to_many]

    def _sortable(self) -> Iterator[str]:
        """By default each column of the list: one that points at a row also by what that row is called."""
        for name in self.list_names:
            if name in self.mapper.columns and is_json(self.mapper.columns[name]):
                continue  # it has no order
            path = self.sort_path(name)
            yield from (each for each in dict.fromkeys((path, name)) if each and name in self.mapper.columns)

    def sort_path(self, name: str) -> str:
        """What a click on the head of a column sorts by: its own, or what the row that it points at is called."""
        relation = relation_of_column(self.mapper, name) if name in self.mapper.columns else ""
        declared = [each for each in self.sort_names if each == name or (relation and each.startswith(f"{relation}."))]
        if declared or not relation:
            return declared[0] if declared else name
        key = natural_key_of(self.mapper.relationships[relation].mapper.class_)
        return f"{relation}.{key}" if key else name

    def choose_names(self, defaults: list[str], include: Any = None, exclude: Any = None) -> list[str]:
        names = super().choose_names(defaults, include, exclude)
        if include is None or include in ([], "__all__"):  # not named one by one: no relationship, which loads its rows
            names = sorted(filter(self._is_shown, names), key=lambda name: name not in self.mapper.columns)
        return [name for name in names if not is_secret(name)]

    def get_list_columns(self) -> list[str]:
        short = [name for name, column in self.mapper.columns.items() if not is_long(column)]
        return self.choose_names(short, self.column_list, self.column_exclude_list)

    def get_form_columns(self) -> list[str]:
        fixed = (
            {column.key for column in self.pk_columns if column.key not in foreign_keys_of(self.mapper)}
            | {self.name_of(wish) for wish in self.readonly_columns}
            | {*incomplete_links_of(self.mapper)}
        )
        return [name for name in super().get_form_columns() if self._is_shown(name) and name not in fixed]

    def get_export_columns(self) -> list[str]:
        """What the list shows; where there is an import, with the rest of what that reads."""
        if self.column_export_list or self.column_export_exclude_list or not self.can_import:
            return super().get_export_columns()
        files = {*file_columns_of(self.model), *self.file_columns}
        rest = [name for name in self.get_form_columns() if name not in files]
        return list(dict.fromkeys((*self.get_list_columns(), *rest)))

    def get_filters(self) -> list[Any]:
        return [each for each in self._filters if not self.hides(_parameter(each))]

    def search_placeholder(self) -> str:
        return ", ".join(self.labels.get(name, name) for name in self.search_names)

    async def list_context(self, request: Request) -> dict[str, Any]:
        return await list_context(request, self)

    # Changing

    def readonly(self, request: Request, row: Any) -> Sequence[str]:
        """Columns that this person may see and not change; `row` is None for a new one."""
        return () if row is None else self.readonly_after_create

    def fixed(self, request: Request, row: Any) -> list[str]:
        """Columns that the form of this user leaves out: by `readonly`, and by the rules of `crud`."""
        return list(dict.fromkeys((*self.readonly(request, row), *self.locked_names)))

    async def form_class(self, request: Request, *, creating: bool) -> type[AdminForm]:
        if not self.form_names:
            return AdminForm
        rules = self.form_rules or (self.form_create_rules if creating else self.form_edit_rules)
        form: type[AdminForm] = await self.scaffold_form(rules)
        return form

    async def get_form_data_for_edit(self, obj: Any) -> dict[str, Any]:
        linked = {name: await self.linked_rows(obj, name) for name in self.form_names if name in self.many_to_many}
        return {
            name: [other.id for other in linked[name]] if name in linked else getattr(obj, name)
            for name in self.form_names
        }

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        """What a form holds, as it is to be stored; `row` is None for a new one.

        Raises:
            ValidationRefused: something is not valid. What belongs to fields stands beside them.
        """
        if not form.validate():
            raise ValidationRefused(INVALID)
        columns = self.mapper.columns
        values = {
            name: None if value == "" and name in columns and columns[name].nullable else value
            for name, value in self.site.plain_names(form.data, self.model).items()
        }
        linked = {name: values.pop(name) for name in self.many_to_many if name in values}
        # A field that holds files by its type looks at what was sent, and takes what is stored.
        sent = {
            name: form[name].upload or form[name].data or "" for name in file_columns_of(self.model) if name in form
        }
        valid = validate_model(self.model, form, values | sent, row) | linked
        return {name: value for name, value in valid.items() if name not in self.files}


def _parameter(wish: Any) -> str:
    return str(getattr(wish, "parameter_name", None) or get_parameter_name(wish))
