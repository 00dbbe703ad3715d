"""The documentation: its content, its pages at /docs, and the command `docs`."""

import pytest
from httpx2 import AsyncClient

from opportune.config.settings import Settings
from opportune.contrib.documentation import content
from opportune.project.modules import application
from opportune.web.routing.router import router_of
from tests.opportune.cli.conftest import Oppman


async def test_pages_are_listed_and_searched(client: AsyncClient) -> None:
    html = (await client.get("/docs")).text
    assert [name for name in content.page_names() if f'href="/docs/{name}"' not in html] == ["index"]
    assert html.index("Tutorial</h2>") < html.index('href="/docs/tutorial"') < html.index("How-to guide</h2>")
    html = (await client.get("/docs", params={"q": "many-to-many"})).text
    assert 'href="/docs/cookbook#' in html
    assert "<mark>" in html
    response = await client.get("/docs", params={"q": "schedu"}, headers={"HX-Request-Type": "partial"})
    assert response.text.lstrip().startswith('<section id="docs-results"')


async def test_existing_pages_are_shown(client: AsyncClient) -> None:
    responses = {name: await client.get(f"/docs/{name}") for name in ("index", "crud", "crud.md", "deploy/render")}
    assert {name for name, response in responses.items() if "<h1" not in response.text} == set()
    assert {name for name, response in responses.items() if response.status_code != 200} == set()
    for name in ("nope", "../README", "..%2F..%2Fpyproject", "deploy/nope"):
        assert (await client.get(f"/docs/{name}")).status_code == 404, name


@pytest.mark.parametrize("environment", ["production", "test"])
def test_other_environments_have_no_documentation(settings: Settings, environment: str) -> None:
    update = {"environment": environment, "debug": False}
    site = application(settings.model_copy(update=update))
    paths = {getattr(route, "path", "") for route in router_of(site).routes}
    assert not {path for path in paths if path.startswith("/docs")}


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("crud", "[jobs](jobs.md#schedules)", "[jobs](/docs/jobs#schedules)"),
        ("crud", "[here](#options)", "[here](#options)"),
        ("crud", "[file](../Dockerfile)", "file"),
        ("crud", "![A list](images/list.png)", "*A list*"),
        ("crud", "`list[str]()` of [`a`](jobs.md)", "`list[str]()` of [`a`](/docs/jobs)"),
        ("crud", "```py\nlist[str]()\n```\n[a](jobs.md)", "```py\nlist[str]()\n```\n[a](/docs/jobs)"),
        ("deploy/linux", "[mail](../mail.md)", "[mail](/docs/mail)"),
    ],
)
def test_links_lead_to_the_site(page: str, link: str, expected: str) -> None:
    assert content.with_site_links(content.Section(page, "Title", page=page, markdown=link)) == expected


@pytest.mark.parametrize("name", ["crud", "docs/crud.md", "deploy/render"])
def test_page_is_printed(oppman: Oppman, name: str) -> None:
    assert oppman("docs", name).out.startswith("# ")


def test_words_are_searched(oppman: Oppman) -> None:
    code, out, _ = oppman("docs", "association", "table")
    assert code == 0
    assert "A relationship, many-to-many" in out
    assert out.splitlines()[-1].startswith("Show a page: python3 oppman.py docs ")
