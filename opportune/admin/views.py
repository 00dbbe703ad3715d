"""Base class for the admin pages of a model."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

from annotated_types import MinLen
from pydantic import PositiveInt, StringConstraints
from starlette.requests import Request

from opportune.admin.base import Inline, parameter_name
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import INVALID, AdminForm, validate_model
from opportune.admin.forms.field_converter import AdminConverter
from opportune.admin.forms.files import FileField
from opportune.admin.forms.foreign_keys import ForeignKeyLookup, ManyToManyLookup
from opportune.admin.forms.row_field import RowField
from opportune.admin.lists.active_filters import list_context
from opportune.admin.lists.columns import further_columns, listed_columns, ordered_choices
from opportune.admin.lists.date_hierarchy import DateHierarchy
from opportune.admin.lists.display import FORMATTERS
from opportune.admin.lists.order import sortable_paths
from opportune.admin.lists.parameters import refuse_unknown_parameters
from opportune.admin.lists.row_queries import RowQueriesMixin
from opportune.admin.lists.view_filters import filter_for
from opportune.admin.model_icons import GuessedIcon
from opportune.admin.options import names_of_hook, option_faults
from opportune.admin.sqladmin_adapter import name_in_option, property_name, short_name
from opportune.db.models import columns
from opportune.db.models.sensitive_names import is_secret
from opportune.db.models.soft_delete import is_trash_column
from opportune.errors import OperatorError
from opportune.errors.option_names import find_mismatches
from opportune.fields.files import file_columns_of
from opportune.i18n import gettext_lazy
from opportune.schemas.annotations import options_of

ExportType = Annotated[str, StringConstraints(pattern="^(csv|xlsx|json)$")]


class AdminView(RowQueriesMixin):
    """The admin pages of one model: list, details, form, deletion and export. Only `model` is required:

        class BookAdmin(AdminView, model=Book):
            columns = ("id", "title", "owner_id", "published_on")
            search = ("title", "notes")
            filters = ("owner_id", "published_on")
            readonly = ("owner_id", "created_at")
            icon, category = "ti ti-book", "Books"

    Name the module of the view in the feature: `Feature(admin=Admin("app.books.admin"))`. The names of
    SQLAdmin's options (`column_list`) are aliases. All options of its ModelView apply, with these differences:

    - Defaults depend on the column types. Lists show short columns, which are sortable, and search short texts.
      Choices, times, numbers and references are filters.
    - Foreign keys and many-to-many relationships (`Relationship(link_model=…)`) are searched while the user types, and
      shown with the titles of their rows. Forms have no other relationships.
    - Names such as `hashed_password` or `token_hash` are never shown, searched or exported.
    - Texts of more than 255 characters have several lines, unless `form_args = {"email": {"lines": False}}`.
    - Types of `opportune.fields` such as `Image`, `Slug`, `Markdown` and `Country` have matching form fields.
    - `file_columns = {"photo": ImageColumn("books")}` adds uploads to a text column with the name of a stored file.
    - Rows that refer to a row are shown below it. Rows of `inlines` are edited in its form.
    - Forms apply the model's validators, and constraint violations become messages.
    - Each change is one transaction with the hooks `before_save`, `after_save`, `before_delete` and `after_delete`,
      which may raise `ValidationRefused`.
    - Rows that `list_query` leaves out are not found by id, searched, counted or changed either.
    - With `crud = Books`, the row rules of that data layer apply.
    """

    columns: ClassVar[Any] = short_name("columns")
    """Columns of the list: columns, relationships and paths such as `author.name`."""

    fields: ClassVar[Any] = short_name("fields")
    """Fields on the page of one row."""

    write_fields: ClassVar[Any] = short_name("write_fields")
    """Fields of the form."""

    search: ClassVar[Any] = short_name("search")
    """Texts that the search looks in, also of related rows."""

    filters: ClassVar[Any] = short_name("filters")
    """Names of columns, or filters of SQLAdmin."""
    column_filters: ClassVar[Sequence[Any]] = ()

    sort: ClassVar[Any] = short_name("sort")
    """Columns and paths by which the list can be sorted."""

    order: ClassVar[Any] = short_name("order")
    """Default order of the list, with `-` for descending: `("-published_on", "title")`."""

    plural: ClassVar[Any] = short_name("plural")
    """Name of several rows, such as "Books". `name` is that of one."""

    date_hierarchy: ClassVar[str] = ""
    """A date or time whose years, months and days are links above the list."""

    editable: ClassVar[Sequence[Any]] = ()
    """Columns of the list that are edited in their cells."""

    can_edit_selected: ClassVar[bool] = True
    """Whether users who may edit rows can change fields of all selected rows together."""

    readonly: ClassVar[Sequence[Any]] = ("created_at", "updated_at")
    """Columns that the form shows as text and never reads."""

    readonly_after_create: ClassVar[Sequence[str]] = ()
    """Columns that are read-only once the row exists."""

    inlines: ClassVar[Sequence[Inline] | None] = None
    """Rows of other models that are edited in the form of this one. By default those that only exist with it."""

    tabs: ClassVar[bool] = False
    """Whether the form shows each of `fieldsets` and `inlines` in a tab."""

    show_when: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Fields that appear only for some values of others: `{"tracking_code": {"state": ("sent", "delivered")}}`."""

    prepopulated: ClassVar[Mapping[str, str]] = {}
    """A slug and the column from which a script fills it: `{"slug": "title"}`."""

    export_types: ClassVar[list[ExportType]] = ["csv", "xlsx", "json"]
    max_import_file_size: ClassVar[PositiveInt] = 10_000_000
    import_max_rows: ClassVar[PositiveInt] = 5_000
    """Maximum rows of an imported file, for views with `can_import = True`. More rows have no Undo."""

    page_size: ClassVar[PositiveInt] = 25
    page_size_options: ClassVar[Annotated[Sequence[PositiveInt], MinLen(1)]] = [25, 50, 100]
    column_type_formatters = FORMATTERS
    column_type_formatters_detail = FORMATTERS
    form_base_class = AdminForm
    form_converter = AdminConverter
    form_include_pk = True  # also foreign keys, which SQLAdmin leaves to relationships that models need not have
    list_template = "admin/list.html"
    create_template = "admin/form.html"
    edit_template = "admin/form.html"
    details_template = "admin/details.html"
    icon: ClassVar[Any] = GuessedIcon()
    """The icon in the menu, such as `"ti ti-book"`. By default guessed from the name of the model."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "site" in vars(cls):  # the subclass for a site, whose base has been checked
            return
        if callable(cls.readonly):
            raise OperatorError(f"{cls.__name__}.readonly is now get_readonly_fields. Rename it.")
        if message := next(find_mismatches(cls, AdminView), ""):
            raise OperatorError(message)

    def __init__(self) -> None:
        if fault := next(option_faults(self, AdminView), ""):
            raise OperatorError(fault)
        super().__init__()
        for option in ("form_args", "form_widget_args"):  # SQLAdmin expects the names of columns
            setattr(self, option, {self.names.of(name): value for name, value in getattr(self, option).items()})
        column_labels = {name: gettext_lazy(label) for name, label in self.labels.items()}
        self.labels = self._default_labels() | column_labels
        self._set_fields()
        self._set_search_and_sort()
        uploads = {name: type("FileField", (FileField,), {"column": column}) for name, column in self.files.items()}
        # Filters add lookups, which forms do not have.
        self._configure(dict(self.lookups), {**dict.fromkeys(self.lookups, RowField), **uploads})
        self._set_filters()
        self._set_cells()

    def _set_fields(self) -> None:
        """Set the form fields with pickers of rows or with uploads, and those that are text."""
        references = columns.references_of(self.mapper)
        linked = columns.many_to_many_of(self.mapper)
        self.references = {name: ForeignKeyLookup(name, model, self) for name, model in references.items()}
        self.many_to_many = {name: ManyToManyLookup(name, model, self) for name, model in linked.items()}
        self.lookups = {**self.references, **self.many_to_many}
        self.typed_keys = [*columns.typed_keys_of(self.mapper)]
        self.files = {**file_columns_of(self.model), **self.file_columns}
        readonly = dict.fromkeys((*map(self.names.of, self.readonly), *columns.incomplete_links_of(self.mapper)))
        self.readonly_names = [name for name in readonly if self._is_default_field(name)]

    def _set_search_and_sort(self) -> None:
        searchable = self.all_search_names or self._short_texts()
        self.all_search_names = [name for name in searchable if not is_secret(name)]
        sortable = self.all_sort_names or [*sortable_paths(self, self.names.in_list)]
        self.all_sort_names = [name for name in sortable if not is_secret(name)]

    def _set_filters(self) -> None:
        filters = self.column_filters or self._default_filters()
        self._filters = [filter_for(self, value) for value in filters if not is_secret(parameter_name(value))]
        self.hierarchy = DateHierarchy(self, property_name(self.date_hierarchy)) if self.date_hierarchy else None

    def _set_cells(self) -> None:
        """Set the columns whose cells are cut, and those of times."""
        unchosen = {name: column for name, column in self.mapper.columns.items() if name not in self.choice_names}
        long_columns = {name for name, column in unchosen.items() if columns.may_truncate(column)}
        self.time_columns = {name for name, column in unchosen.items() if columns.python_type_of(column) is datetime}
        choices = (*self.names.in_list, *further_columns(self))
        texts = {*self.column_formatters, *self.many_to_many} - {*self.mapper.columns.keys()}
        labelled = {name for name, field in self.formatted_fields.items() if options_of(field).has_choices}
        self.truncated_columns = long_columns | labelled | {name for name in choices if name in texts or "." in name}

    def _is_default_field(self, name: str) -> bool:
        """Return whether pages show this by default: a column, or a relationship that forms can edit."""
        is_shown = name in self.mapper.columns or name in columns.many_to_many_of(self.mapper)
        return is_shown and not is_trash_column(self.model, name)

    def _short_texts(self) -> list[str]:
        names = [
            name
            for name, column in self.mapper.columns.items()
            if columns.is_text(column) and not columns.is_long(column)
        ]
        return [name for name in names if name not in self.files and name not in self.choice_names]

    def _default_filters(self) -> list[str]:
        """Return the columns to filter by default. Texts are searched instead."""
        keys = columns.key_names_of(self.mapper)
        names = []
        for name, column in self.mapper.columns.items():
            is_searched = columns.is_text(column) and name not in self.choice_names and name not in self.references
            if not (is_searched or columns.is_json(column) or name in keys) and self._is_default_field(name):
                names.append(name)
        return [*names, *self.many_to_many]

    def _choose_names(self, defaults: list[str], include: Any = None, exclude: Any = None) -> list[str]:
        names = super()._choose_names(defaults, include, exclude)
        if include is None or include in ([], "__all__"):  # by default no relationships, which load rows
            names = sorted(filter(self._is_default_field, names), key=lambda name: name not in self.mapper.columns)
        return [name for name in names if not is_secret(name)]

    def get_list_columns(self) -> list[str]:
        short_columns = [name for name, column in self.mapper.columns.items() if not columns.is_long(column)]
        return self._choose_names(short_columns, self.column_list, self.column_exclude_list)

    def get_form_columns(self) -> list[str]:
        kept_keys = columns.references_of(self.mapper).keys() | {*columns.typed_keys_of(self.mapper)}
        generated_keys = {*columns.key_names_of(self.mapper)} - kept_keys
        readonly = {name_in_option(self, value) for value in self.readonly}
        without_input = {name for name, column in self.mapper.columns.items() if columns.has_no_input(column)}
        without_input -= {*self.form_overrides}
        excluded = generated_keys | readonly | {*columns.incomplete_links_of(self.mapper)} | without_input
        return [name for name in super().get_form_columns() if self._is_default_field(name) and name not in excluded]

    def get_export_columns(self) -> list[str]:
        """Return the columns of the list, and also all columns that an import reads."""
        if self.column_export_list or self.column_export_exclude_list or not self.can_import:
            return super().get_export_columns()
        files = {*file_columns_of(self.model), *self.file_columns}
        importable = [name for name in self.get_form_columns() if name not in files]
        return list(dict.fromkeys((*self.get_list_columns(), *importable)))

    def search_placeholder(self) -> str:
        return ", ".join(str(self.labels.get(name, name)) for name in self.names.searched)

    async def list_context(self, request: Request) -> dict[str, Any]:
        refuse_unknown_parameters(request, self)  # before thousands of filters are rendered
        names = {"columns": listed_columns(request, self), "column_choices": ordered_choices(request, self)}
        return {**await list_context(request, self), **names}

    # Forms

    def get_fields(self, request: Request, row: Any) -> Sequence[str]:
        """Return the fields of the form, in order. `row` is None for a new row.

        Fields left out are neither shown nor read. Fields that the user may not change are shown as text.
        """
        readonly = self.get_readonly_fields(request, row)
        return list(dict.fromkeys((*self.names.in_form, *self.form_extension.names, *self.readonly_names, *readonly)))

    def get_readonly_fields(self, request: Request, row: Any) -> Sequence[str]:
        """Return the fields that the user sees and may not change. `row` is None for a new row."""
        return () if row is None else (*self.typed_keys, *self.readonly_after_create)

    async def get_form_data_for_edit(self, obj: Any) -> dict[str, Any]:
        values = {name: getattr(obj, name) for name in self.names.in_form if name not in self.many_to_many}
        for name in self.many_to_many.keys() & {*self.names.in_form}:
            values[name] = list(map(self.many_to_many[name].key_of, await self._linked_rows(obj, name)))
        return values

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        """Return the values of a form to store. `row` is None for a new row.

        Raises:
            ValidationRefused: A value is not valid. Messages of single fields are already set in the form.
        """
        if not form.validate():
            raise ValidationRefused(INVALID)
        nullable = {name for name, column in self.mapper.columns.items() if column.nullable}
        sent_values = {field.short_name: field.data for field in form}
        values = {name: None if value == "" and name in nullable else value for name, value in sent_values.items()}
        linked = {name: values.pop(name) for name in self.many_to_many if name in values}
        # A field of a file type validates the upload, or the stored name.
        fields = {name: form[name] for name in file_columns_of(self.model) if name in form}
        sent = {name: field.upload or field.data or "" for name, field in fields.items()}
        valid = validate_model(self.model, form, values | sent, row) | linked
        return {name: value for name, value in valid.items() if name not in self.files}


async def build_form_class(request: Request, view: AdminView, *, creating: bool) -> type[AdminForm]:
    form: type[AdminForm] = AdminForm
    if view.names.in_form:
        rules = view.form_rules or (view.form_create_rules if creating else view.form_edit_rules)
        form = await view.scaffold_form([view.names.of(name) for name in rules])
    return await view.form_extension.extend(form, request, creating=creating)


def has_field_hooks(view: AdminView) -> bool:
    """Return whether the fields of a view may differ from row to row."""
    hooks = type(view).get_fields, type(view).get_readonly_fields
    return hooks != (AdminView.get_fields, AdminView.get_readonly_fields)


def shown_fields(request: Request, view: AdminView, row: Any) -> list[str]:
    """Return the names of `get_fields`, without those that are hidden from the user."""
    names = names_of_hook(view, "get_fields", view.get_fields(request, row))
    return [name for name in names if not view.names.hides(name)]


def unwritable_columns(request: Request, view: AdminView, row: Any) -> list[str]:
    """Return the names that this user may not change, because of the view's hooks or the rules of `crud`."""
    readonly = names_of_hook(view, "get_readonly_fields", view.get_readonly_fields(request, row))
    shown = names_of_hook(view, "get_fields", view.get_fields(request, row))
    fields = (*view.names.in_form, *view.form_extension.names)
    omitted = [name for name in fields if name not in shown]
    return list(dict.fromkeys((*readonly, *view.rules.locked, *omitted)))


def has_changed(view: AdminView, name: str, before: Any, after: Any) -> bool:
    """Return whether the value of a form field differs from the stored one. Linked rows have no order."""
    if name in view.many_to_many or name in view.form_extension.names:
        return sorted(map(str, before or ())) != sorted(map(str, after or ()))
    return bool(before != after)
