"""Open an async Python shell with the models imported.

Uses IPython if it is installed. You can also pipe code to standard input.
"""

import ast
import asyncio
import builtins
import contextlib
import inspect
import sys
import traceback
from code import InteractiveConsole
from contextlib import AsyncExitStack
from importlib.util import find_spec
from types import CodeType, FunctionType
from typing import Annotated, Any

import typer
from sqlalchemy import func, select

from opportune.cli.development import startup
from opportune.cli.loop import open_event_loop
from opportune.cli.transaction import open_job_queue
from opportune.config.settings import get_settings
from opportune.project.installed import installed_features

BANNER = """\
You can await: (await session.scalars(select({example}))).all()
Available names: {names}
Changes are saved by `await session.commit()`. On SQLite, unsaved changes block other writers.\
"""


def command(
    code: Annotated[str | None, typer.Option("-c", help="Run this code, which may await, and exit.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Use Python's prompt even if IPython is installed.")] = False,
) -> None:
    if code is None and not sys.stdin.isatty():
        code = sys.stdin.read()
    with open_event_loop() as loop:
        stack = AsyncExitStack()
        try:
            console = AsyncConsole(loop, loop.run(_open_names(stack)))
            if code is None:
                console.start(with_ipython=not plain and find_spec("IPython") is not None)
            elif not console.execute(code):
                raise typer.Exit(1)
        finally:
            loop.run(stack.aclose())


async def _open_names(stack: AsyncExitStack) -> dict[str, Any]:
    """Return the names for the shell. The stack closes their resources."""
    settings = get_settings()
    jobs = await stack.enter_async_context(open_job_queue(settings))
    startup.require_file(jobs.database.url)
    await jobs.database.setup()
    await jobs.database.ping(reader=False)
    stack.push_async_callback(jobs.drain)
    session = await stack.enter_async_context(jobs.database.writer())
    stack.push_async_callback(session.rollback)  # discard unsaved changes before writer() commits
    models = {model.__name__: model for feature in installed_features() for model in feature.models}
    tools = {"asyncio": asyncio, "func": func, "select": select}
    site = {"settings": settings, "database": jobs.database, "session": session}
    return {"__name__": "__main__", **tools, **site, **models}


class AsyncConsole(InteractiveConsole):
    """Python console that runs each statement on the event loop, which is blocked while the prompt waits."""

    def __init__(self, runner: asyncio.Runner, names: dict[str, Any]) -> None:
        super().__init__(names, filename="<shell>")
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self.runner = runner
        self.names = names
        names["__builtins__"] = builtins  # as in `exec`; C code such as `date.today` imports with it

    def start(self, *, with_ipython: bool) -> None:
        names = sorted(name for name in self.names if not name.startswith("__"))
        example = next((name for name in names if name[0].isupper()), "Model")
        banner = BANNER.format(example=example, names=", ".join(names))
        if with_ipython:
            _start_ipython(self.names, self.runner, banner)
            return
        with contextlib.suppress(ImportError):  # Windows has no readline
            _complete_with_tab(self.names)
        self.interact(banner, exitmsg="")

    def execute(self, source: str) -> bool:
        """Run Python code. Print its error and return False if it fails."""
        try:
            code = compile(source, self.filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except (SyntaxError, ValueError) as error:
            traceback.print_exception(error, limit=0)
            return False
        return self._run_code(code)

    def runcode(self, code: CodeType) -> None:
        self._run_code(code)

    def _run_code(self, code: CodeType) -> bool:
        try:
            self.runner.run(self._evaluate(code))
        except Exception as error:  # noqa: BLE001 - code of the user can raise anything
            _print_traceback(error, self.filename)
            return False
        return True

    async def _evaluate(self, code: CodeType) -> None:
        result = FunctionType(code, self.names)()
        if inspect.isawaitable(result):
            await result


def _start_ipython(names: dict[str, Any], runner: asyncio.Runner, banner: str) -> None:
    from IPython.terminal.embed import InteractiveShellEmbed

    ipython = InteractiveShellEmbed(banner1=f"{banner}\n", exit_msg="", loop_runner=runner.run)
    ipython(local_ns=names)


def _complete_with_tab(names: dict[str, Any]) -> None:
    if sys.platform == "win32":
        return
    import readline
    import rlcompleter

    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")


def _print_traceback(error: Exception, filename: str) -> None:
    """Print the traceback without the frames of the shell."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename != filename:
        frames = frames.tb_next
    traceback.print_exception(error.with_traceback(frames))
