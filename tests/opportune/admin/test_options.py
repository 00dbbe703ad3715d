"""Checks of the names in view options."""

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from opportune.admin import AdminView, FileColumn, Inline
from opportune.admin.options import (
    COLUMN_OPTIONS,
    DISPLAY_OPTIONS,
    FILTER_OPTIONS,
    FORM_OPTIONS,
    LOOSE_OPTIONS,
    SEARCH_OPTIONS,
    SORT_OPTIONS,
    option_faults,
)
from opportune.admin.view_classes import views_of, views_without_model
from opportune.cli.development.feature_checks import check_admin
from opportune.config.settings import get_settings
from opportune.errors import OperatorError
from tests.opportune.admin.bookshelf_feature import Book, Review, bookshelf
from tests.opportune.admin.gadget_feature import Maker

MAPPING_OPTIONS = {
    "column_formatters": lambda row, name: "",
    "column_formatters_detail": lambda row, name: "",
    "column_labels": "Writer",
    "form_ajax_refs": {},
    "form_args": {},
    "form_overrides": object,
    "form_widget_args": {},
    "file_columns": FileColumn("books"),
    "prepopulated": "title",
    "show_when": {},
}
"""Options that map each name to a value, with an example value."""


def make_view(model: type[Any], options: Mapping[str, Any]) -> type[AdminView]:
    metaclass: Any = type(AdminView)
    view: type[AdminView] = metaclass("BookAdmin", (AdminView,), dict(options), model=model)
    return view


def find_faults(model: type[Any] = Book, **options: Any) -> list[str]:
    return list(option_faults(make_view(model, options), AdminView))


def option_value(option: str, name: str) -> Any:
    if option == "fieldsets":
        return (("All", (name,)),)
    return {name: MAPPING_OPTIONS[option]} if option in MAPPING_OPTIONS else (name,)


@pytest.mark.parametrize(
    "option",
    [*DISPLAY_OPTIONS, *LOOSE_OPTIONS, *SORT_OPTIONS, *SEARCH_OPTIONS, *FILTER_OPTIONS, *FORM_OPTIONS, *COLUMN_OPTIONS],
)
def test_unknown_name_is_reported_with_suggestion(option: str) -> None:
    value = option_value(option, "pricce")
    is_computed = option.startswith("column_formatters")  # a formatter may compute a column
    line = f"BookAdmin.{option}: Book has no 'pricce'. Did you mean price?"
    assert find_faults(**{option: value}) == ([] if is_computed else [line])
    assert find_faults(**{option: option_value(option, "price")}) == []
    if not is_computed:
        with pytest.raises(OperatorError, match="Did you mean"):
            make_view(Book, {option: value})()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column_list": ("author.nmae",)}, "Author has no 'nmae'. Did you mean name?"),
        ({"column_filters": ("autor.name",)}, "Book has no 'autor'. Did you mean author?"),
        ({"column_searchable_list": ("author",)}, "is a relationship. Name a column of it, such as 'author.name'."),
        ({"column_sortable_list": ("tags",)}, "lists cannot be sorted by it."),
        ({"column_default_sort": [("tags.name", True)]}, "has several values in a row"),
        ({"form_columns": ("author.name",)}, "is a column of a related row, which forms cannot edit."),
        ({"prepopulated": {"slug": "titel"}}, "Did you mean title?"),
        ({"inlines": (Inline(Review, "critic_id", ()),)}, "does not refer to Book. Did you mean book_id?"),
        ({"inlines": (Inline(Review, "book_id", ("starrs",)),)}, "Review has no 'starrs'."),
        ({"inlines": (Inline(Review, "book_id", (), sortable="star"),)}, "Review has no 'star'. Did you mean stars?"),
        ({"inlines": (Inline(Review, "book_id", (), sortable="mood"),)}, "has no whole numbers"),
        ({"editable": ("tags",)}, "'tags' is a file or several rows. Edit it in the form."),
        ({"editable": ("cover",), "file_columns": {"cover": FileColumn("books")}}, "'cover' is a file"),
        ({"editable": ("price",), "column_list": ("title",)}, "'price' is not in column_list."),
        ({"editable": ("price",), "readonly": ("price",)}, "'price' is read-only."),
        ({"column_filter": ("price",)}, "has no option column_filter. Did you mean column_filters?"),
        ({"has_add_permission": False}, "has no option has_add_permission. Did you mean can_create?"),
        ({"order": ("-pricce",)}, "BookAdmin.order: Book has no 'pricce'. Did you mean price?"),
        ({"search": "title"}, "BookAdmin.search is a text. Write a tuple: ('title',)"),
        ({"search": 5}, "BookAdmin.search needs Sequence[Any], not 5"),
        ({"columns": ("title", "price", "title")}, "BookAdmin.columns names title twice. Remove one"),
        ({"form_class": lambda _view: None}, "overrides no method form_class. Did you mean _form_extension?"),
    ],
)
def test_unusable_name_is_reported(options: dict[str, Any], message: str) -> None:
    (line,) = find_faults(**options)
    assert message in line
    assert line.startswith("BookAdmin")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"page_size": "many"}, "BookAdmin.page_size needs int, not 'many'"),
        ({"page_size": -1}, "BookAdmin.page_size must be greater than 0, not -1."),
        ({"page_size_options": (25, 0)}, "BookAdmin.page_size_options must be greater than 0, not 0."),
        ({"export_types": ("nope",)}, "BookAdmin.export_types must match pattern '^(csv|xlsx|json)$', not 'nope'."),
        ({"date_hierarchy": ("price",)}, "BookAdmin.date_hierarchy needs str, not ('price',)"),
        ({"inlines": (Review,)}, "BookAdmin.inlines needs Sequence[Inline] | None, not (<class"),
        ({"fieldsets": (("All", "title"),)}, "BookAdmin.fieldsets needs Sequence["),
        ({"show_when": {"price": "title"}}, "BookAdmin.show_when needs Mapping[str, Mapping[str, Any]], not {"),
    ],
)
def test_value_of_another_type_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OperatorError, match=f"^{re.escape(message)}"):
        make_view(Book, options)


@pytest.mark.parametrize("option", [*DISPLAY_OPTIONS, *SORT_OPTIONS, *SEARCH_OPTIONS, *FILTER_OPTIONS, "form_columns"])
def test_secret_is_reported(option: str) -> None:
    (line,) = find_faults(Maker, **{option: ("api_key",)})
    assert line.startswith(f"BookAdmin.{option}: 'api_key' is a secret by its name")


def test_relationships_paths_and_properties_are_accepted() -> None:
    paths = ("author", "author.name", "author.country", "tags")
    assert find_faults(column_list=(*paths, "model_extra"), column_details_list=paths, column_export_list=paths) == []
    assert find_faults(column_sortable_list=("author", "author.country.name"), column_filters=paths) == []
    assert [line for view in views_of(bookshelf) for line in option_faults(view, AdminView)] == []


def test_check_reports_all_faults_and_inlines_without_view(monkeypatch: pytest.MonkeyPatch) -> None:
    view = make_view(Book, {"inlines": (Inline(Review, "book_id", ()),), "column_list": ("pricce",)})
    feature = replace(bookshelf, admin=replace(bookshelf.admin, views=(view,)))
    monkeypatch.setattr("opportune.cli.development.feature_checks.installed_features", lambda: [feature])
    assert [finding.text for finding in check_admin(get_settings())] == [
        "BookAdmin.column_list: Book has no 'pricce'. Did you mean price?",
        "BookAdmin.inlines: Review has no view. Add ReviewAdmin(AdminView, model=Review).",
    ]


def test_view_without_model_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    module, options = ModuleType("app.shop.admin"), {"__module__": "app.shop.admin"}
    base = type("ShopAdmin", (AdminView,), options)
    vars(module).update(base=base, book=make_view(Book, options), forgotten=type("NoteAdmin", (base,), options))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    (line,) = views_without_model(replace(bookshelf, admin=replace(bookshelf.admin, views="app.shop.admin")))
    assert line.startswith("app.shop.admin: NoteAdmin has no model and is not shown.")


def test_short_names_set_the_options_of_sqladmin() -> None:
    base: Any = make_view(Book, {"columns": ("title",), "order": ("-price", "title"), "plural": "Tomes"})
    assert (base.column_list, base.name_plural) == (("title",), "Tomes")
    assert base.column_default_sort == [("price", True), ("title", False)]
    view: Any = type("NovelAdmin", (base,), {"column_list": ("price",), "column_default_sort": ("id", True)})
    assert (view.columns, view.order, view.column_list) == (("price",), ("-id",), ("price",))
    mixin = type("Mixin", (), {"search": ("summary",)})
    assert type("MixedAdmin", (mixin, view), {}).column_searchable_list == ("summary",)  # type: ignore[attr-defined]
