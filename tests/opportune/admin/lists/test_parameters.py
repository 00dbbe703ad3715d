"""Lists refuse unknown query parameters, and no page of the admin sends any."""

import re
from html import unescape

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select
from sqlmodel import col

from tests.opportune.admin.gadget_feature import Gadget, gadgets, make_makers
from tests.opportune.admin.test_layout import ACCEPT_HTML, ADMIN_MENU
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import read_one

LIST = "/admin/gadget/list"
NAMES = [f"gadget {number}" for number in range(1, 61)]
app = site_fixture(gadgets, lambda: [*make_makers(), *(Gadget(name=name, maker_id=1) for name in NAMES)])


async def test_unknown_parameter_is_named_and_removed(admin: AsyncClient) -> None:
    page = await admin.get(f"{LIST}?stat=used&state=new&pageSize=50", headers=ACCEPT_HTML)
    assert (page.status_code, ADMIN_MENU in page.text) == (422, True)
    assert "<dt>stat</dt>" in page.text
    (link,) = re.findall(r'href="(\?[^"]*)"[^>]*>Open this page without it', page.text)
    assert unescape(link) == "?state=new&pageSize=50"
    assert (await admin.get(f"{LIST}?stat=&search=", follow_redirects=True)).status_code == 422


async def test_pages_that_do_not_exist_are_named(admin: AsyncClient) -> None:
    for query in ("page=abc", "position=abc", "position=after:999", "position=after:abc", "pageSize=-3"):
        page = await admin.get(f"{LIST}?{query}", headers=ACCEPT_HTML)
        assert (page.status_code, f"<dt>{query.partition('=')[0]}</dt>" in page.text) == (422, True), query
        assert page.text.count("Begin with the first page.") <= 1, "the sentence is not repeated"


async def test_action_on_all_rows_refuses_an_unknown_parameter(app: FastAPI, admin: AsyncClient) -> None:
    for action in ("action/polish", "delete"):
        response = await admin.post(f"/admin/gadget/{action}?stat=used", data={"all": "1", "confirmed": "yes"})
        assert response.status_code == 422, action
    assert await read_one(app, select(func.count()).select_from(Gadget).where(col(Gadget.notes) == "")) == 60


async def test_list_accepts_the_fields_of_its_form(admin: AsyncClient) -> None:
    page = (await admin.get(f"{LIST}?sortBy=name&sort=desc&pageSize=50")).text
    form = page.partition('<form method="get"')[2].partition("</form>")[0]
    names = {*re.findall(r'name="([^"]+)"', form)}
    assert names >= {"search", "sortBy", "sort", "pageSize", "state", "size__gte", "size__lte", "seen_at_op"}
    assert (await admin.get(LIST, params=dict.fromkeys(names, ""), follow_redirects=True)).status_code == 200


async def test_links_to_lists_have_valid_parameters(admin: AsyncClient) -> None:
    query = "search=gadget&state=new&size__gte=1&sortBy=name&sort=asc&page=2&pageSize=25"
    paths = ["list", "details/1", "edit/1", "import", "export/json", "create"]
    pages = [(await admin.get(f"/admin/gadget/{path}?{query}")).text for path in paths]
    pages += [(await admin.get(f"/admin/gadget/delete?pks=1&{query}")).text]
    pages += [(await admin.get(f"/admin/{path}")).text for path in ("maker/details/1", "job/list", "operations", "")]
    links = {unescape(link) for page in pages for link in re.findall(r'href="(/admin/\w+/list\?[^"]*)"', page)}
    assert {link.partition("?")[0] for link in links} >= {LIST, "/admin/job/list"}
    link_by_names = {re.sub("=[^&]*", "", link): link for link in links}
    assert [link for link in link_by_names.values() if (await admin.get(link)).status_code != 200] == []


async def test_too_many_values_of_a_filter_are_refused(admin: AsyncClient) -> None:
    values = [f"maker_id={number}" for number in range(1, 102)]
    assert (await admin.get(f"{LIST}?{'&'.join(values[:100])}")).status_code == 200
    page = await admin.get(f"{LIST}?{'&'.join(values)}", headers=ACCEPT_HTML)
    assert (page.status_code, ADMIN_MENU in page.text) == (422, True)
    assert "<dt>maker_id</dt>" in page.text
    assert len(page.content) < 50_000
