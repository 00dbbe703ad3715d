"""What a list of features may not hold."""

from typing import Any

import pytest

from opportune.accounts.models import User
from opportune.application import create_app
from opportune.config.project import feature_of_table, installed_features, require_distinct, require_needed
from opportune.db import Model
from opportune.errors import OperatorError
from opportune.feature import Feature, Metric
from opportune.testing.plugin import settings_for


def feature(name: str, *tables: str) -> Feature:
    return Feature(name=name, summary="", models=[model(table) for table in tables])


def model(table: str, owner: str = "shelf") -> Any:
    """What is looked at of one in app/shelf/models.py."""
    return type("Shelf", (), {"__tablename__": table, "__module__": f"app.{owner}.models"})


def test_a_chart_by_what_is_no_time_is_refused() -> None:
    assert Metric("Sign-ups", User.created_at)
    for column in (User.email, User.id, None):
        with pytest.raises(OperatorError, match=r"^Metric\('Sign-ups', …\) wants a column of times"):
            Metric("Sign-ups", column)


def test_one_that_is_listed_twice_is_one_line() -> None:
    with pytest.raises(OperatorError, match=r"^app/installed\.py lists books twice: take one of them out\.$"):
        require_distinct([books := feature("books"), feature("notes"), books])


def test_two_features_of_one_name_are_distinguished_from_one_listed_twice() -> None:
    with pytest.raises(OperatorError, match="two features that call themselves books: let the name=… in the feature"):
        require_distinct([feature("books"), feature("notes"), feature("books")])


def test_a_table_of_anothers_is_one_line_with_the_file() -> None:
    with pytest.raises(OperatorError) as caught:
        require_distinct([feature("books"), feature("notes", "notes_note", "books_shelf")])
    assert str(caught.value) == (
        "app/shelf/models.py: books_shelf would be a table of books: let the name begin with notes_."
    )


def test_a_model_of_another_feature_is_one_line_with_the_file_that_lists_it() -> None:
    notes = Feature(name="notes", summary="", models=[model("books_shelf", "books")])
    with pytest.raises(OperatorError) as caught:
        require_distinct([feature("books"), notes])
    assert str(caught.value) == (
        "app/notes/feature.py lists Shelf, which is a model of books: take it out of models=[…]."
    )


def test_a_table_that_two_models_claim_is_one_line_with_both() -> None:
    with pytest.raises(OperatorError) as caught:
        type("Shelf", (Model,), {"__tablename__": "accounts_user", "__module__": "app.shelf.models"}, table=True)
    assert str(caught.value) == (
        "opportune.accounts.models and app.shelf.models claim one table, accounts_user: "
        "let each name begin with its own feature's."
    )


def test_a_function_that_is_no_job_is_one_line_with_the_mend() -> None:
    def remind() -> None: ...

    jobs: Any = [remind]
    with pytest.raises(OperatorError) as caught:
        Feature(name="books", summary="", jobs=jobs)
    assert str(caught.value) == (
        "Feature('books', jobs=…) lists remind, which is no job: write @job(\"books.remind\") above it."
    )


def test_what_is_no_feature_is_one_line_with_the_file() -> None:
    odd: Any = [feature("books"), "notes"]
    with pytest.raises(OperatorError, match=r"^app/installed\.py lists 'notes', which is no Feature"):
        require_distinct(odd)


@pytest.mark.parametrize(
    ("missing", "place"),
    [("accounts", "opportune.features"), ("jobs", "opportune.features"), ("users", "app.users.feature")],
)
def test_one_that_every_site_needs_is_asked_for_in_one_line(missing: str, place: str) -> None:
    names = [name for name in ("accounts", "users", "admin", "jobs") if name != missing]
    with pytest.raises(OperatorError) as caught:
        require_needed(names)
    assert str(caught.value) == (
        f"app/installed.py lacks {missing}, which a site cannot be without: "
        f"from {place} import {missing}, and list it in INSTALLED."
    )


def test_a_file_without_the_list_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("app.installed.INSTALLED")
    with pytest.raises(OperatorError, match=r"^app/installed\.py has no INSTALLED: begin it with"):
        installed_features()


def test_no_site_is_made_of_such_a_list() -> None:
    with pytest.raises(OperatorError, match="lists books twice"):
        create_app(settings_for("sqlite:///unused.db"), [books := feature("books"), books])


def test_the_longest_name_owns_a_table() -> None:
    assert feature_of_table("book_reviews_review", ["book", "book_reviews"]) == "book_reviews"
    require_distinct([feature("book", "book_book"), feature("book_reviews", "book_reviews_review")])
