"""Fields of forms that point at rows."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from starlette.datastructures import FormData

from opportune.accounts.models import Group, User
from opportune.db import Reference
from opportune.web.forms.fields import RowChoices
from opportune.web.forms.forms import Form
from opportune.web.rendering.templates import templates

FEW = RowChoices({1: "Ada <b>", 2: "Grace"})
MANY = RowChoices({1: "Ada"}, lookup_url="/books/choices", add_url="/people/new", add_label="Add a person")
LETTERS = RowChoices({number: f"Group {number}" for number in range(1, 12)})


class Loan(BaseModel):
    reader_id: Annotated[int, Reference(User)]
    helper_id: Annotated[int | None, Reference(User)] = None
    groups: Annotated[list[int], Reference(Group)] = []


def shown(form: Form[Loan], name: str) -> str:
    template = '{% from "macros/forms.html" import field %}{{ field(form, name) }}'
    return templates.environment.from_string(template).render(form=form, name=name)


async def sent(*fields: tuple[str, str], **choices: RowChoices) -> Form[Loan]:
    form = Form(Loan, choices=choices)
    await form.take(FormData(list(fields)))
    return form


def test_few_rows_are_a_select_by_their_names() -> None:
    html = shown(Form(Loan, {"reader_id": 2}, choices={"reader_id": FEW}), "reader_id")
    assert '<option value="1">Ada &lt;b&gt;</option>' in html
    assert '<option value="2" selected>Grace</option>' in html
    assert "row-picker" not in html


def test_many_rows_are_searched_and_one_may_be_added() -> None:
    html = shown(Form(Loan, {"reader_id": 1}, choices={"reader_id": MANY}), "reader_id")
    assert '<row-picker data-url="/books/choices" data-name="reader_id">' in html
    assert 'href="/people/new?_dialog=1"' in html
    assert 'aria-label="Add a person"' in html
    assert 'name="reader_id.search"' in html


def test_none_is_offered_where_a_field_may_be_empty() -> None:
    form = Form(Loan, choices={"reader_id": MANY, "helper_id": FEW})
    assert '<option value="" selected>None</option>' in shown(form, "helper_id")
    assert '<option value="" selected>Choose</option>' in shown(form, "reader_id")


@pytest.mark.parametrize(
    ("rows", "type"), [(FEW, "checkboxes"), (LETTERS, "picker"), (MANY, "picker"), (RowChoices({}), "picker")]
)
def test_several_of_few_rows_are_boxes_to_tick_and_of_more_a_picker(rows: RowChoices, type: str) -> None:
    assert Form(Loan, choices={"groups": rows}).field("groups").type == type


def test_a_row_of_a_table_begins_with_the_rows_that_it_points_at() -> None:
    class Row:
        reader_id = 3
        groups = [Group(id=5, name="five"), Group(id=6, name="six")]

    form = Form(Loan, Row())
    assert (form.chosen_ids("reader_id"), form.chosen_ids("helper_id"), form.chosen_ids("groups")) == ([3], [], [5, 6])


async def test_what_is_chosen_becomes_numbers() -> None:
    form = await sent(("reader_id", "2"), ("helper_id", ""), ("groups", "1"), ("groups", "2"))
    assert form.data == Loan(reader_id=2, groups=[1, 2])


@pytest.mark.parametrize("number", ["0", "-1", "words", str(2**63), "1.5"])
async def test_what_no_row_can_be_is_refused_in_words(number: str) -> None:
    form = await sent(("reader_id", number), ("groups", number))
    assert form.data is None
    assert set(form.errors) == {"reader_id", "groups"}


async def test_nothing_chosen_is_asked_for() -> None:
    assert (await sent()).errors == {"reader_id": "Please choose one."}


@pytest.mark.parametrize(("rows", "is_taken"), [(FEW, False), (RowChoices({}), False), (MANY, True)])
async def test_of_few_rows_no_other_is_taken(rows: RowChoices, *, is_taken: bool) -> None:
    form = await sent(("reader_id", "7"), reader_id=rows)
    assert ("reader_id" not in form.errors) is is_taken


async def test_a_form_that_is_shown_again_learns_what_can_be_chosen_then() -> None:
    form = await sent(("reader_id", "2"), ("groups", "x"))
    form.offer({"reader_id": FEW, "groups": LETTERS})
    assert '<option value="2" selected>Grace</option>' in shown(form, "reader_id")


def test_a_field_without_choices_says_what_is_missing() -> None:
    with pytest.raises(TypeError, match=r"Loan\.reader_id is a foreign key.*choices="):
        Form[Any](Loan).field("reader_id")
