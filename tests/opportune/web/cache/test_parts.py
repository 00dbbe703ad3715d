"""Cached parts of pages: keys, tags, contents that are never cached, and other processes."""

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import DictLoader, StrictUndefined, TemplateSyntaxError

from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.i18n.languages import use_language
from opportune.web.cache import ALL_TAGS, Cache
from opportune.web.cache.store import MemoryStore, Store
from opportune.web.forms.hidden_fields import form_token
from opportune.web.rendering.environment import TemplateEnvironment
from opportune.web.rendering.flash import take_messages
from tests.opportune.waiting import wait_until
from tests.opportune.web.cache.conftest import in_shared_stores


class Page:
    """A page whose variable `number` counts its renderings."""

    def __init__(self, cache: Cache, source: str, **templates: str) -> None:
        loader = DictLoader({"page.html": source, **templates})
        self.environment = TemplateEnvironment(loader=loader, autoescape=True, undefined=StrictUndefined)
        self.environment.globals |= {"form_token": form_token, "take_messages": take_messages}
        self.cache = cache
        self.number = 0

    def render(self, name: str = "", *, permissions: Any = (), host: bytes = b"a", **values: Any) -> str:
        self.number += 1
        user = SimpleNamespace(id=name) if name else None
        state = {"user": user, "permissions": {*permissions}, **values.pop("state", {})}
        app = SimpleNamespace(state=SimpleNamespace(cache=self.cache))
        scope = {"type": "http", "app": app, "state": state, "scheme": "http", "headers": [(b"host", host)]}
        origin = values.pop("origin", None) or ChangeOrigin("page", scope)
        template = self.environment.get_template("page.html")
        with changes_come_from(origin):
            return template.render(number=self.number, user=state["user"], **values)


PART = '{% cache "a", seconds=60, tags=["books"] %}{{ number }}{% endcache %}'
SHARED = '{% cache "a", seconds=60, per="permissions" %}{% for user in [number] %}{{ user }}{% endfor %}{% endcache %}'


@pytest.fixture
async def cache() -> AsyncIterator[Cache]:
    cache = Cache(MemoryStore())
    yield cache
    await cache.close()


async def test_part_is_rendered_and_escaped_once(cache: Cache) -> None:
    page = Page(cache, f"<{PART}> {{{{ number }}}}")
    assert [page.render() for _ in range(2)] == ["<1> 1", "<1> 2"]
    page = Page(cache, '{% cache "b", seconds=60 %}{{ text }}<b>{% endcache %}')
    assert {page.render(text="<i>") for _ in range(2)} == {"&lt;i&gt;<b>"}


async def test_cleared_part_is_rendered_again(cache: Cache) -> None:
    page = Page(cache, PART)
    for tag in ("books", ALL_TAGS):
        page.render()
        await cache.clear(tag)
        assert page.render() == str(page.number)


VIEWERS: list[dict[str, Any]] = [
    {},
    {"name": "ada"},
    {"name": "bob"},
    {"name": "ada", "permissions": {("book", "list")}},
    {"name": "ada", "state": {"form_team": "7"}},
    {"host": b"b"},
]


@pytest.mark.parametrize(("source", "count"), [(PART, 6), (SHARED, 5)])
async def test_each_viewer_has_a_part(cache: Cache, source: str, count: int) -> None:
    page = Page(cache, source)
    parts = [page.render(**viewer) for viewer in VIEWERS]
    with use_language("de"):
        assert page.render() not in parts
    assert len({*parts}) == count
    assert [page.render(**viewer) for viewer in VIEWERS] == parts


async def test_values_after_the_name_are_in_the_key(cache: Cache) -> None:
    page = Page(cache, '{% cache "a", value, "x", seconds=60 %}{{ number }}{% endcache %}')
    assert [page.render(value=value) for value in (1, True, "1", None, 1)] == ["1", "2", "3", "4", "1"]
    with pytest.raises(TypeError, match=r"The cache does not store builtins.object"):
        page.render(value=object())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{{ form_token() }}", "form_token()"),
        ('<form method="post"></form>', "a form that posts"),
        ("{{ take_messages(request) }}", "messages"),
        (SHARED.replace('"a"', '"b"') + "{{ form_token() }}", "form_token()"),
        ('{% include "inner.html" %}', "the part 'inner', which is per user"),
        ('{% include "user.html" %}', "`user`"),
    ],
)
async def test_content_of_one_request_is_not_cached(
    cache: Cache, content: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = f'{{% cache "a", seconds=60, per="permissions" %}}{{{{ number }}}}{content}{{% endcache %}}'
    inner = '{% cache "inner", seconds=60 %}{{ user }}{% endcache %}'
    page = Page(cache, source, **{"inner.html": inner, "user.html": "{{ user }}"})
    request = SimpleNamespace(scope={"state": {"messages": SimpleNamespace(received=[])}})
    assert [page.render(request=request)[0] for _ in range(2)] == ["1", "2"]
    (line,) = [record.message for record in caplog.records]
    assert line == (f"The part 'a' of page.html is not cached: it contains {reason}. Move that out of {{% cache %}}")


async def test_inner_tag_clears_the_outer_part(cache: Cache) -> None:
    page = Page(cache, f'{{% cache "outer", seconds=60 %}}{{{{ number }}}}:{PART}{{% endcache %}}')
    page.render()
    await cache.clear("other")
    assert page.render() == "1:1"
    await cache.clear("books")
    assert page.render() == "3:3"


async def test_part_with_outdated_data_is_not_stored(cache: Cache) -> None:
    page = Page(cache, PART)
    app = SimpleNamespace(state=SimpleNamespace(cache=cache))
    earlier = ChangeOrigin("page", {"app": app, "scheme": "http", "headers": []})
    await cache.clear("books")
    assert page.render(origin=earlier) == "1"
    later = ChangeOrigin("page", {"app": app, "scheme": "http", "headers": []})
    assert [page.render(origin=later) for _ in range(2)] == ["2", "2"]


@pytest.mark.parametrize("state", [{"impersonator": SimpleNamespace(id="admin")}, {}], ids=["impersonated", "disabled"])
async def test_parts_are_rendered_each_time(cache: Cache, state: dict[str, object]) -> None:
    cache.is_enabled = bool(state)
    page = Page(cache, PART)
    assert [page.render("ada", state=state) for _ in range(2)] == ["1", "2"]


async def test_failed_part_is_not_stored(cache: Cache) -> None:
    page = Page(cache, '{% cache "a", seconds=60 %}{{ 1 // value }}{% endcache %}{{ form_token() }}')
    with pytest.raises(ZeroDivisionError):
        page.render(value=0)
    assert page.render(value=1).startswith("1")


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ('"a"', "needs a name and seconds"),
        ('"a", minutes=1', "has no option minutes, only seconds, tags, per"),
        ('"a", seconds=60, per="all"', 'Write per="user" or per="permissions"'),
        ('"a", seconds=60, per="permissions"', "Users share this part, but it contains `user`"),
    ],
)
async def test_wrong_tags_are_refused(cache: Cache, tag: str, message: str) -> None:
    page = Page(cache, f"{{% cache {tag} %}}{{{{ user }}}}{{% for user in [] %}}{{% endfor %}}{{% endcache %}}")
    with pytest.raises(TemplateSyntaxError) as error:
        page.render()
    assert message in str(error.value.message)


@in_shared_stores
async def test_part_follows_tags_without_a_bus(
    store: Store, open_other: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.web.cache.page_parts.TAG_CHECK_SECONDS", 0.001)
    cache, other = Cache(store), Cache(open_other())
    page = Page(cache, PART)
    await wait_until(lambda: page.render() == page.render())  # the versions of the tags are being read
    first = page.render()
    await other.clear("books")
    await wait_until(lambda: page.render() != first)
    await cache.close()
    await other.close()
