"""Toolbox: runs tools with the permissions of the user, limited in time and size."""

import logging
from collections.abc import Collection, Iterable, Sequence
from copy import copy
from dataclasses import replace

from fastapi import FastAPI
from fastapi.exceptions import FastAPIError
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from opportune.accounts.models import ApiToken, User
from opportune.accounts.permissions import read_permissions
from opportune.accounts.sessions.lookup import PermissionSet
from opportune.accounts.tokens.scopes import has_scope, needed_scopes
from opportune.contrib.llm.providers.provider import ToolCall, ToolSchema
from opportune.contrib.tools.declaration import Tool, tools_of
from opportune.contrib.tools.endpoint import Function, job_context
from opportune.contrib.tools.results import TOOL_FAILED, ToolResult, read_sources
from opportune.contrib.tools.tool_app import Headers, ToolApp
from opportune.db.sessions.dependencies import get_database, write_session
from opportune.errors import OperatorError
from opportune.jobs import JobContext
from opportune.schemas import describe_errors
from opportune.services.tasks import run_with_timeout

MAX_STEPS = 8
"""Maximum number of rounds of tool calls per answer. After these, the model must answer without tools."""
WAITS_FOR_RESULT = "This tool works only in the answers of the site, which can wait for its result."
WRITES_ONCE = "takes a JobContext, so it runs again after a crash. Write with `run.write` instead of a WriteSession."
logger = logging.getLogger(__name__)


class Toolbox:
    """Tools of a site.

    Tools can use `CurrentUser`, `ReadSession`, `WriteSession`, `may(...)` and dependencies of features, as routes do.
    """

    max_steps = MAX_STEPS
    can_wait = False
    """True if results may come later: from jobs, and from forms that the user fills in."""

    def __init__(self, site: FastAPI, declared: Sequence[Function | Tool]) -> None:
        self._site = site
        self.tools = tools_of(declared)
        self._app = ToolApp(site, self.tools)
        self._selected: Collection[str] = ()

    def require_valid_tools(self) -> None:
        """Check all tools now instead of at the first call.

        Raises:
            OperatorError: An argument has no type, or a dependency is invalid.
        """
        for name, tool in self.tools.items():
            _ = tool.schema  # raises OperatorError if an argument has no type
            try:
                self.asks(name)
            except (FastAPIError, AssertionError) as error:
                raise OperatorError(f"The tool {name}: {str(error).splitlines()[0]}") from error
            if tool.is_job and write_session in self._app.dependency_calls(name):
                raise OperatorError(f"The tool {name} {WRITES_ONCE}")

    def require_search_functions(self) -> None:
        """Check that all tools can be used for `Llm(retrieval=…)`.

        Raises:
            OperatorError: A tool is invalid, changes data, or is not a search.
        """
        self.require_valid_tools()
        for name, tool in self.tools.items():
            _ = tool.query_parameter  # raises OperatorError if it is not a search
            if self.asks(name):
                raise OperatorError(f"The tool {name} changes data, so it cannot be used for retrieval.")

    def __bool__(self) -> bool:
        return bool(self.tools)

    def offered(self, steps: int) -> list[ToolSchema]:
        """Return descriptions for the model after this number of steps; none after the last step."""
        return [tool.schema for tool in self.tools.values()] if steps < self.max_steps else []

    @property
    def without_approval(self) -> "Toolbox":
        """Toolbox of the tools that need no approval."""
        return self._select(name for name in self.tools if not self.asks(name))

    @property
    def immediate(self) -> "Toolbox":
        """Toolbox of the tools that return their result within the call."""
        return self._select(name for name, tool in self.tools.items() if not tool.is_deferred)

    def for_answer(self, max_steps: int) -> "Toolbox":
        """Return the toolbox for an answer that can wait for results."""
        toolbox = copy(self)
        toolbox.max_steps = max_steps
        toolbox.can_wait = True
        return toolbox

    def allowed(self, scopes: str) -> "Toolbox":
        """Return the toolbox of the tools that a token with these scopes (separated by spaces) may call."""
        return self._select(name for name in self.tools if not self.missing_scopes(name, scopes))

    def named(self, names: Collection[str]) -> "Toolbox":
        """Return the toolbox of these tools. `*` stands for all that are not `on_request`."""
        bases = {name.partition(":")[0] for name in names}
        toolbox = self._select(
            name for name, tool in self.tools.items() if name in bases or ("*" in bases and not tool.on_request)
        )
        toolbox._selected = names
        return toolbox

    def _select(self, names: Iterable[str]) -> "Toolbox":
        toolbox = copy(self)  # shares the routes
        toolbox.tools = {name: self.tools[name] for name in names}
        return toolbox

    def asks(self, name: str) -> bool:
        """Return True if the tool needs an approval by the user."""
        tool = self.tools[name]
        return tool.asks if tool.asks is not None else self.writes(name)

    def writes(self, name: str) -> bool:
        """Return True if any dependency of the tool can write: a session, or a database or job unless `asks=False`."""
        calls = self._app.dependency_calls(name)
        if write_session in calls:
            return True
        return bool(calls & {get_database, job_context}) and self.tools[name].asks is not False

    def changes(self, name: str) -> bool:
        """Return True if the tool can write, needs an approval, or runs as a job."""
        return self.asks(name) or self.writes(name) or self.tools[name].is_job

    def needed_scopes(self, name: str) -> list[str]:
        """Return the scopes that a token needs, as for a route of the feature's API."""
        method = "POST" if self.changes(name) else "GET"
        return needed_scopes(self._app.route(name), method, self._site.state.features)

    def missing_scopes(self, name: str, scopes: str) -> list[str]:
        """Return the needed scopes that are missing in these scopes (separated by spaces)."""
        granted_scopes = scopes.split()
        return [scope for scope in self.needed_scopes(name) if not has_scope(granted_scopes, scope)]

    def refusal(self, call: ToolCall) -> str:
        """Return why a call is invalid, for the model; an empty string for a valid call."""
        if call.name not in self.tools:
            return f"There is no tool {call.name}. Available: {', '.join(self.tools)}."
        try:
            self.tools[call.name].parse(call.arguments)
        except ValidationError as error:
            return describe_errors(error)
        return ""

    def starts_job(self, call: ToolCall) -> bool:
        """Return True for a valid call of a tool that runs as a job."""
        return call.name in self.tools and self.tools[call.name].is_job and not self.refusal(call)

    async def call(
        self,
        call: ToolCall,
        user: User | None,
        *,
        token: ApiToken | None = None,
        headers: Headers = (),
        run: JobContext | None = None,
    ) -> ToolResult:
        """Call a tool as a user with the current permissions. Errors are returned as results.

        Args:
            call: The call that the model has requested.
            user: The user, or None for a visitor.
            token: API token that limits the permissions.
            headers: Headers of the original request to pass on.
            run: Context of the job, for tools that run as one.

        Raises:
            RetryLater: The tool runs as a job and wants to be repeated.
        """
        if call.name not in self.tools:
            return ToolResult(self.refusal(call), is_error=True)
        tool = self.tools[call.name]
        try:
            arguments = tool.parse(call.arguments)
            if tool.is_deferred and run is None:
                return ToolResult(WAITS_FOR_RESULT, is_error=True)
            response = self._send(tool, arguments, user, token, headers, run)
            result = await run_with_timeout(tool.seconds, response, awaits_cleanup=True)
            if tool.returns_sources and not result.is_error:
                result = replace(result, sources=read_sources(result.body))
            return result
        except ValidationError as error:
            return ToolResult(describe_errors(error), is_error=True)
        except TimeoutError:
            return ToolResult(f"The tool took longer than {tool.seconds:.0f} seconds.", is_error=True)
        except SQLAlchemyError:
            logger.exception("tool %s", call.name)
            return ToolResult(TOOL_FAILED, is_error=True)

    async def _send(
        self,
        tool: Tool,
        arguments: BaseModel,
        user: User | None,
        token: ApiToken | None,
        headers: Headers,
        run: JobContext | None,
    ) -> ToolResult:
        current_user, permissions = await self._read_user(user)
        state = {
            "user": current_user,
            "permissions": permissions,
            "token": token,
            "session": None,
            "impersonator": None,
            "job_context": run,
            "tool_arguments": arguments,
            "tool_parts": self._parts_of(tool.name),
        }
        return await self._app.send(tool.name, tool.request(arguments), headers, state)

    def _parts_of(self, name: str) -> Sequence[str] | None:
        """Return the parts to which the answer limits a tool, as in `tools=["search_knowledge:3"]`; None for all."""
        prefix = f"{name}:"
        return [selected.removeprefix(prefix) for selected in self._selected if selected.startswith(prefix)] or None

    async def _read_user(self, user: User | None) -> tuple[User | None, PermissionSet]:
        async with self._site.state.database.reader(fresh=True) as session:
            row = await session.get(User, user.id) if user else None
            row = row if row and row.is_active else None
            return row, await read_permissions(session, row)
