"""Names in the options of a view: what is not there is one line before the site starts, and never left out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from opportune.admin.forms.inlines import Inline
from opportune.admin.options import ANY, COLUMNS, FILTERED, FORM, SEARCHED, SHOWN, SORTED
from opportune.admin.view_classes import views_of
from opportune.admin.views import AdminView
from opportune.cli.development.check import check_admin
from opportune.config.settings import get_settings
from opportune.errors import OperatorError
from opportune.fields import FileColumn
from tests.opportune.admin.bookshelf_feature import Author, Book, Review, bookshelf
from tests.opportune.admin.gadget_feature import Maker

MAPPINGS = {
    "column_formatters": lambda row, name: "",
    "column_formatters_detail": lambda row, name: "",
    "column_labels": "Writer",
    "form_ajax_refs": {},
    "form_args": {},
    "form_overrides": object,
    "form_widget_args": {},
    "file_columns": FileColumn("books"),
    "prepopulated": "title",
}
"""Options that give each name something, and what."""


def view_of(model: type[Any], options: Mapping[str, Any]) -> type[AdminView]:
    kind: Any = type(AdminView)
    view: type[AdminView] = kind("BookAdmin", (AdminView,), dict(options), model=model)
    return view


def faults(model: type[Any] = Book, **options: Any) -> list[str]:
    return list(view_of(model, options).option_faults())


def naming(option: str, name: str) -> Any:
    if option == "fieldsets":
        return (("All", (name,)),)
    return {name: MAPPINGS[option]} if option in MAPPINGS else (name,)


@pytest.mark.parametrize("option", [*SHOWN, *ANY, *SORTED, *SEARCHED, *FILTERED, *FORM, *COLUMNS])
def test_a_name_that_the_model_does_not_have_is_a_line_with_the_nearest_right_one(option: str) -> None:
    value = naming(option, "pricce")
    is_made_by_it = option.startswith("column_formatters")  # such a name has what it shows from the formatter
    line = f'BookAdmin: {option} names "pricce", but Book has no "pricce". Did you mean price?'
    assert faults(**{option: value}) == ([] if is_made_by_it else [line])
    assert faults(**{option: naming(option, "price")}) == []
    if not is_made_by_it:
        with pytest.raises(OperatorError, match="Did you mean"):
            view_of(Book, {option: value})()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"column_list": ("author.nmae",)}, '"author.nmae", but Author has no "nmae". Did you mean name?'),
        ({"column_filters": ("autor.name",)}, 'but Book has no "autor". Did you mean author?'),
        ({"column_list": (Author.name,)}, '"name", but Book has no "name".'),
        ({"column_searchable_list": ("author",)}, "a row and not its words. Name a column of it, such as"),
        ({"column_sortable_list": ("tags",)}, "of which a row has many: nothing is sorted by these."),
        ({"column_default_sort": [("tags.name", True)]}, "of which a row has many"),
        ({"form_columns": ("author.name",)}, "forms hold what is the row's own."),
        ({"prepopulated": {"slug": "titel"}}, "Did you mean title?"),
        ({"inlines": (Inline(Review, "bok_id", ()),)}, "does not point at Book. Did you mean book_id?"),
        ({"inlines": (Inline(Review, "critic_id", ()),)}, "does not point at Book. Did you mean book_id?"),
        ({"inlines": (Inline(Review, "book_id", ("starrs",)),)}, 'of Review names "starrs", but'),
        ({"column_filter": ("price",)}, "has no option column_filter. Did you mean column_filters?"),
    ],
)
def test_what_an_option_cannot_do_with_a_name_is_a_line(options: dict[str, Any], line: str) -> None:
    (found,) = faults(**options)
    assert line in found
    assert found.startswith("BookAdmin")


@pytest.mark.parametrize("option", [*SHOWN, *SORTED, *SEARCHED, *FILTERED, "form_columns"])
def test_a_secret_that_is_named_is_a_line_and_not_left_out_in_silence(option: str) -> None:
    (line,) = faults(Maker, **{option: ("api_key",)})
    assert (
        line == f'BookAdmin: {option} names "api_key", which the admin shows nobody: its name says that it is a secret.'
    )


def test_relationships_paths_and_what_the_class_computes_may_be_named() -> None:
    paths = ("author", "author.name", "author.country", "tags")
    assert faults(column_list=(*paths, "model_extra"), column_details_list=paths, column_export_list=paths) == []
    assert faults(column_sortable_list=("author", "author.country.name"), column_filters=paths) == []
    assert [line for view in views_of(bookshelf) for line in view.option_faults()] == []


def test_what_the_class_computes_has_a_heading_as_a_column_has() -> None:
    view = view_of(Book, {"column_list": ("price", "model_extra", "model_computed_fields")})
    view.column_labels = {"model_computed_fields": "Sums"}
    labels = view().labels
    assert [labels[name] for name in ("price", "model_extra", "model_computed_fields")] == [
        "Price",
        "Model extra",
        "Sums",
    ]


def test_an_inline_of_a_model_without_a_view_is_a_line_and_check_tells_all(monkeypatch: pytest.MonkeyPatch) -> None:
    lonely = view_of(Book, {"inlines": (Inline(Review, "book_id", ()),), "column_list": ("pricce",)})
    broken = replace(bookshelf, admin=(lonely,))
    monkeypatch.setattr("opportune.cli.development.check.installed_features", lambda: [broken])
    told = [finding.text for finding in check_admin(get_settings())]
    assert told == [
        'BookAdmin: column_list names "pricce", but Book has no "pricce". Did you mean price?',
        "BookAdmin: inlines names Review, which has no view. Add ReviewAdmin(AdminView, model=Review).",
    ]
