"""`deploy rehearse`: rehearse a deployment on this machine."""

import asyncio
import signal
import sys
from collections import Counter
from typing import Annotated

import typer

from opportune.cli.output import say
from opportune.cli.terminal import styled
from opportune.config.hosts import Host
from opportune.contrib.deploy.commands.host_names import find_recipe
from opportune.contrib.deploy.recipes import RECIPES
from opportune.contrib.deploy.rehearsal.host_rules import HostRules
from opportune.contrib.deploy.rehearsal.rehearse import Rehearsal, rehearsal_server
from opportune.contrib.deploy.rehearsal.stage import Outcome, find_question_endpoint
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT
from opportune.project.modules import site_application

COLOURS = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.SKIPPED: "dim"}


def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="HOST", help="Hosts whose rules to apply.")] = None,
    rehearse_all: Annotated[bool, typer.Option("--all", help="Rehearse for every host.")] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Use the real timeouts and processor limits of the host, which takes minutes. [default: seconds]",
        ),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the files of the rehearsal.")] = False,
) -> None:
    """Rehearse a deployment on this machine under the rules of a host."""
    if sys.platform == "win32":
        raise OperatorError("Rehearsals need Linux or macOS. On Windows, run them in WSL.")
    selected = list(RECIPES) if rehearse_all else names or []
    if not selected:
        raise typer.BadParameter(f"Enter a host ({', '.join(RECIPES)}) or --all.")
    try:
        with asyncio.Runner() as runner:
            failed = runner.run(_rehearse([find_recipe(name).host for name in selected], full=full, keep=keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)


async def _rehearse(hosts: list[Host], *, full: bool, keep: bool) -> int:
    if sys.platform != "win32" and (task := asyncio.current_task()):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    outcomes = Counter[Outcome]()
    questions = find_question_endpoint(site_application())
    with rehearsal_server() as server:
        for host in hosts:
            say(f"\n{host.title}")
            rehearsal = Rehearsal(HostRules.for_host(host, full=full), PROJECT, server, questions, keeps_files=keep)
            async for result in rehearsal.run(lambda line: say(f"  {line}")):
                outcomes[result.outcome] += 1
                word = styled(f"{result.outcome.value:<8}", COLOURS[result.outcome])
                print(f"  {word}  {result.step:<18} {result.text}", flush=True)
                if result.fix:
                    print(f"  {'':8}  {'':18} fix: {result.fix}", flush=True)
    passed, failed, skipped = (outcomes[outcome] for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED))
    note = "" if full else " (shortened timeouts; use --full for the real ones)"
    say(f"\n{passed} passed, {failed} failed, {skipped} skipped{note}.")
    return failed
