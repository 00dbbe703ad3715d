"""Foreign key fields of forms."""

from typing import Annotated

import pytest
from pydantic import BaseModel
from starlette.datastructures import FormData

from opportune.accounts.models import Group, User
from opportune.db import Reference
from opportune.web import Form, templates
from opportune.web.forms.controls import MAX_CHECKBOXES, RowChoices

TWO_ROWS = RowChoices({1: "Ada <b>", 2: "Grace"})
MANY_ROWS = RowChoices({1: "Ada"}, lookup_url="/books/choices", add_url="/people/new", add_label="Add a person")
TOO_MANY_CHECKBOXES = RowChoices({number: f"Group {number}" for number in range(1, MAX_CHECKBOXES + 2)})


class Loan(BaseModel):
    reader_id: Annotated[int, Reference(User)]
    helper_id: Annotated[int | None, Reference(User)] = None
    groups: Annotated[list[int], Reference(Group)] = []


def render_field(form: Form[Loan], name: str) -> str:
    template = '{% from "macros/forms.html" import field %}{{ field(form, name) }}'
    return templates.environment.from_string(template).render(form=form, name=name)


async def filled_form(*fields: tuple[str, str], **choices: RowChoices) -> Form[Loan]:
    form = Form(Loan, choices=choices)
    await form.fill(FormData(list(fields)))
    return form


def test_few_rows_are_a_select() -> None:
    html = render_field(Form(Loan, {"reader_id": 2}, choices={"reader_id": TWO_ROWS}), "reader_id")
    assert '<option value="1">Ada &lt;b&gt;</option>' in html
    assert '<option value="2" selected>Grace</option>' in html
    assert "row-picker" not in html


def test_many_rows_are_a_picker() -> None:
    html = render_field(Form(Loan, {"reader_id": 1}, choices={"reader_id": MANY_ROWS}), "reader_id")
    assert '<row-picker data-url="/books/choices">' in html
    assert 'href="/people/new?_dialog=1"' in html
    assert 'aria-label="Add a person"' in html
    assert 'name="reader_id.search"' in html


@pytest.mark.parametrize(
    ("rows", "type"),
    [(TWO_ROWS, "checkboxes"), (TOO_MANY_CHECKBOXES, "picker"), (MANY_ROWS, "picker"), (RowChoices({}), "picker")],
)
def test_multiple_rows_are_checkboxes_or_picker(rows: RowChoices, type: str) -> None:
    assert Form(Loan, choices={"groups": rows}).field("groups").type == type


def test_initial_values_are_related_rows() -> None:
    class Row:
        reader_id = 3
        groups = [Group(id=5, name="five"), Group(id=6, name="six")]

    form = Form(Loan, Row())
    selected = {name: form.selected_ids(name) for name in ("reader_id", "helper_id", "groups")}
    assert selected == {"reader_id": [3], "helper_id": [], "groups": [5, 6]}


async def test_selected_rows_become_ids() -> None:
    form = await filled_form(("reader_id", "2"), ("helper_id", ""), ("groups", "1"), ("groups", "2"))
    assert form.data == Loan(reader_id=2, groups=[1, 2])


@pytest.mark.parametrize("number", ["-1", "words", str(2**63)])
async def test_invalid_row_id_is_refused(number: str) -> None:
    form = await filled_form(("reader_id", number), ("groups", number))
    assert form.data is None
    assert set(form.errors) == {"reader_id", "groups"}


@pytest.mark.parametrize(("rows", "is_accepted"), [(TWO_ROWS, False), (RowChoices({}), False), (MANY_ROWS, True)])
async def test_only_a_picker_accepts_unlisted_rows(rows: RowChoices, *, is_accepted: bool) -> None:
    form = await filled_form(("reader_id", "7"), reader_id=rows)
    assert ("reader_id" not in form.errors) is is_accepted
