"""Calls tools as the person who asks: with their rights, in sessions of their own, bounded in time and size."""

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Message

from opportune.accounts.groups.permissions import read_grants
from opportune.accounts.models import ApiToken, User
from opportune.accounts.sessions.lookup import Grants
from opportune.accounts.tokens.scopes import has_scope, needed_scopes
from opportune.db.database import Database
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.db.sessions.dependencies import get_database, write_session
from opportune.errors import OperatorError
from opportune.llm.providers.provider import ToolCall, ToolSchema
from opportune.llm.tools.source import Source
from opportune.llm.tools.tool import Function, Tool, tools_of
from opportune.schemas import faults_in_words
from opportune.web.errors.handlers import add_error_handlers

Headers = Sequence[tuple[bytes, bytes]]
TIMEOUT_SECONDS = 30.0
MAX_RESULT_LENGTH = 20_000
"""Characters of a result that a model reads."""
FAILED = "The tool failed."
REFUSALS = {
    401: "The person has to sign in before.",
    403: "The person may not do this.",
    404: "There is nothing like that, or not for this person.",
}
"""What pages say at more length, and of addresses."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ToolResult:
    """What a call came to, as the model reads it."""

    text: str
    is_error: bool = False
    sources: tuple[Source, ...] = ()
    """What an answer may cite of it, in the same words."""
    data: Any = field(default=None, compare=False)
    """What the tool returned, as JSON values."""


class Toolbox:
    """The tools of a site. Each is a route of an application of their own, which nothing but this can reach.

    So a tool has what a route has: `CurrentUser`, `ReadSession`, `WriteSession`, a feature's dependencies, `may(…)`.
    """

    def __init__(self, site: FastAPI, declared: Sequence[Function | Tool]) -> None:
        self._site = site
        self.tools = tools_of(declared)

    def require_whole(self) -> None:
        """Look at all of them now, and not when a model asks for one.

        Raises:
            OperatorError: one has no type for an argument, or FastAPI does not understand what it depends on.
        """
        for name, each in self.tools.items():
            assert each.schema
            try:
                self.asks(name)
            except (FastAPIError, AssertionError) as error:
                raise OperatorError(f"The tool {name}: {str(error).splitlines()[0]}") from error

    def require_searching(self) -> None:
        """Look whether all of them can be asked for a question.

        Raises:
            OperatorError: one is none for `Feature(retrieval=…)`, or is not whole.
        """
        self.require_whole()
        for name, each in self.tools.items():
            if self.asks(name) or not each.searched:
                raise OperatorError(f"The tool {name} changes something: it cannot be asked first (retrieval).")

    def __bool__(self) -> bool:
        return bool(self.tools)

    @property
    def schemas(self) -> list[ToolSchema]:
        """What a model is told of them."""
        return [each.schema for each in self.tools.values()]

    @property
    def without_asking(self) -> "Toolbox":
        """Those that run without asking anybody."""
        return self._only(name for name in self.tools if not self.asks(name))

    def allowed(self, scopes: str) -> "Toolbox":
        """Those that a token with these scopes, with spaces, is good for."""
        return self._only(name for name in self.tools if not self.missing_scopes(name, scopes))

    def _only(self, names: Iterable[str]) -> "Toolbox":
        tools = {name: self.tools[name] for name in names}  # looks at the routes
        some = copy(self)  # and takes them along: they are made once
        some.tools = tools
        return some

    def asks(self, name: str) -> bool:
        """Whether the person is to be asked before this one runs."""
        each = self.tools[name]
        return each.asks if each.asks is not None else self.writes(name)

    def writes(self, name: str) -> bool:
        """Whether this one can write, however deep: in a session, or a database where it does not say `asks=False`."""
        calls = {*_calls(self._routes[name].dependant)}
        return write_session in calls or (get_database in calls and self.tools[name].asks is not False)

    def changes(self, name: str) -> bool:
        """Whether this one does more than read: it can write, or the person is asked before."""
        return self.asks(name) or self.writes(name)

    def needed_scopes(self, name: str) -> list[str]:
        """What a token needs for this one, as for a route of its feature's API."""
        method = "POST" if self.changes(name) else "GET"
        return needed_scopes(self._routes[name], method, self._site.state.features)

    def missing_scopes(self, name: str, scopes: str) -> list[str]:
        """What a token with these scopes, with spaces, lacks for this one."""
        held = scopes.split()
        return [each for each in self.needed_scopes(name) if not has_scope(held, each)]

    def refusal(self, call: ToolCall) -> str:
        """What is wrong with a call before anything runs, in words for the model; empty if nothing is."""
        if call.name not in self.tools:
            return f"There is no tool {call.name}. There are: {', '.join(self.tools)}."
        try:
            self.tools[call.name].parse(call.arguments)
        except ValidationError as error:
            return faults_in_words(error)
        return ""

    async def call(
        self, call: ToolCall, user: User | None, *, token: ApiToken | None = None, headers: Headers = ()
    ) -> ToolResult:
        """Have a tool called by somebody, whose rights are read afresh. Whatever goes wrong is a result.

        `token`: of the program that asks for them; `headers`: those of its request that say what it is about.
        """
        if call.name not in self.tools:
            return ToolResult(self.refusal(call), is_error=True)
        try:
            arguments = self.tools[call.name].parse(call.arguments)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                person, grants = await self._read_person(user)
                status, body = await self._post(call.name, arguments, person, grants, token, headers)
        except ValidationError as error:
            return ToolResult(faults_in_words(error), is_error=True)
        except TimeoutError:
            return ToolResult(f"The tool took longer than {TIMEOUT_SECONDS:.0f} seconds.", is_error=True)
        except SQLAlchemyError:
            logger.exception("tool %s", call.name)
            return ToolResult(FAILED, is_error=True)
        result = _result(status, body)
        if result.is_error or not self.tools[call.name].gives_sources:
            return result
        return replace(result, sources=_sources(body))

    async def _read_person(self, user: User | None) -> tuple[User | None, Grants]:
        database: Database = self._site.state.database
        async with database.reader(fresh=True) as session:
            person = await session.get(User, user.id) if user else None
            person = person if person and person.is_active else None
            return person, await read_grants(session, person)

    @cached_property
    def _site_of_tools(self) -> tuple[FastAPI, dict[str, APIRoute]]:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.state = self._site.state
        app.dependency_overrides = self._site.dependency_overrides
        add_error_handlers(app, self._site.state.features)
        return app, {name: each.add_to(app) for name, each in self.tools.items()}

    @property
    def _routes(self) -> dict[str, APIRoute]:
        return self._site_of_tools[1]

    async def _post(
        self,
        name: str,
        arguments: BaseModel,
        person: User | None,
        grants: Grants,
        token: ApiToken | None,
        headers: Headers,
    ) -> tuple[int, bytes]:
        """One request to the tools' own application; a crash in a tool is logged there, and a 500 here."""
        sent: list[Message] = []
        asked = self.tools[name].request(arguments)

        async def receive() -> Message:
            return {"type": "http.request", "body": asked.body}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": asked.method,
            "scheme": "http",
            "path": asked.path,
            "raw_path": quote(asked.path).encode(),
            "query_string": asked.query,
            "root_path": "",
            "headers": [(b"content-type", b"application/json"), (b"accept", b"application/json"), *headers],
            "client": None,
            "server": None,
            "state": {
                "user": person,
                "grants": grants,
                "session": None,
                "token": token,
                "impersonator": None,
                "tool_arguments": arguments,
            },
        }
        try:
            with changes_come_from(ChangeOrigin(f"tool {name}", scope)):
                await self._site_of_tools[0](scope, receive, send)
        except Exception:
            logger.exception("tool %s", name)
            return 500, b""
        body = b"".join(each.get("body", b"") for each in sent if each["type"] == "http.response.body")
        return sent[0]["status"], body


def toolbox_of(site: FastAPI) -> Toolbox:
    """The tools of the site's features, put together when somebody first asks for them."""
    if not hasattr(site.state, "toolbox"):
        site.state.toolbox = Toolbox(site, [each for feature in site.state.features for each in feature.tools])
    toolbox: Toolbox = site.state.toolbox
    return toolbox


def offer(site: FastAPI, by: str, tools: Sequence[Tool]) -> None:
    """Let answers use these too, in the place of what the same one offered before.

    The site's own come first: no name of theirs is taken by others.
    """
    site.state.offered_tools = getattr(site.state, "offered_tools", {}) | {by: tools}
    known = dict(toolbox_of(site).tools)
    for tool in chain.from_iterable(site.state.offered_tools.values()):
        known.setdefault(tool.name, tool)
    site.state.full_toolbox = Toolbox(site, [*known.values()])


def full_toolbox_of(site: FastAPI) -> Toolbox:
    """Those, a search of the web and what servers of others offer, where settings name some: for the site's answers."""
    toolbox: Toolbox = getattr(site.state, "full_toolbox", None) or toolbox_of(site)
    return toolbox


def retrieval_of(site: FastAPI) -> Toolbox:
    """The functions of the site's features that look for what a question is about."""
    if not hasattr(site.state, "retrieval"):
        site.state.retrieval = Toolbox(site, [each for feature in site.state.features for each in feature.retrieval])
    toolbox: Toolbox = site.state.retrieval
    return toolbox


def _calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from _calls(each)


def _result(status: int, body: bytes) -> ToolResult:
    try:
        answer = from_json(body) if body else None
    except ValueError:
        answer = body.decode(errors="replace")
    if status >= 500 and status != 503:  # which says what is away, in words for people
        return ToolResult(FAILED, is_error=True)
    if status >= 400:
        if words := REFUSALS.get(status):
            return ToolResult(words, is_error=True)
        detail = answer.get("errors") or answer.get("detail", answer) if isinstance(answer, dict) else answer
        return ToolResult(_short(_as_text(detail)), is_error=True)
    return ToolResult(_short(_as_text(answer)), data=answer)


def _sources(body: bytes) -> tuple[Source, ...]:
    answer = from_json(body)
    return tuple(map(Source.model_validate, answer if isinstance(answer, list) else [answer] if answer else ()))


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= MAX_RESULT_LENGTH else f"{text[:MAX_RESULT_LENGTH]}… (cut)"
