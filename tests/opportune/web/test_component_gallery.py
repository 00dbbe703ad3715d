"""Gallery of the components, which only developers see."""

import pytest
from httpx2 import ASGITransport, AsyncClient

from opportune.config.settings import Settings
from opportune.testing.app import create_test_app
from opportune.web.rendering.templates import templates

ADDRESS = "/_components"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"debug": True, "environment": "development", "jobs": "off"})


@pytest.mark.parametrize("update", [{"debug": False}, {"environment": "production"}])
async def test_gallery_and_welcome_exist_only_with_debug(settings: Settings, update: dict[str, object]) -> None:
    app = create_test_app(settings.model_copy(update=update))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client:
        assert [(await client.get(path)).status_code for path in (ADDRESS, "/welcome")] == [404, 404]


@pytest.mark.parametrize(
    ("call", "html"),
    [
        ('button("Save", form="book")', '<button class="btn" form="book">Save</button>'),
        ('button("<b>", href="/books")', '<a class="btn" href="/books">&lt;b&gt;</a>'),
        ('toast("Gone.", "danger")', 'role="alert"'),
        ('empty_state("No books", href="/books/new", label="Add")', 'href="/books/new">Add</a>'),
    ],
)
def test_macro_renders(call: str, html: str) -> None:
    name = call.partition("(")[0]
    source = f'{{% from "macros/components.html" import {name} %}}{{{{ {call} }}}}'
    assert html in templates.environment.from_string(source).render()
