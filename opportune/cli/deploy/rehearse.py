"""`oppman.py deploy rehearse`: a deployment tried on this machine, under a host's rules."""

import asyncio
import contextlib
import signal
import sys
from typing import Annotated

import typer

from opportune.cli.output import say
from opportune.cli.terminal import styled
from opportune.config.hosts import HOSTS, Host
from opportune.config.project import PROJECT, application
from opportune.errors import OperatorError
from opportune.ops.deploy.rehearsal.questions import find_question_endpoint
from opportune.ops.deploy.rehearsal.rehearse import Rehearsal
from opportune.ops.deploy.rehearsal.rules import Rules
from opportune.ops.deploy.rehearsal.services import postgresql
from opportune.ops.deploy.rehearsal.stage import Outcome
from opportune.runtime.suggestions import did_you_mean

ALSO_CALLED = {
    **dict.fromkeys(("droplet", "digitalocean", "hetzner", "vps", "systemd", "debian", "ubuntu"), "linux"),
    **dict.fromkeys(("docker", "docker-compose"), "compose"),
    **dict.fromkeys(("procfile", "dokku"), "heroku"),
    **dict.fromkeys(("gcp", "google", "google-cloud-run"), "cloudrun"),
    **dict.fromkeys(("hf", "spaces"), "huggingface"),
    "k8s": "kubernetes",
}
"""Other words for hosts, by which no likeness leads to them."""
COLOURS = {"PASSED": "green", "FAILED": "red", "SKIPPED": "dim"}


def rehearse(
    names: Annotated[list[str] | None, typer.Argument(metavar="HOST", help="Whose rules to keep.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Those of every host, one after the other.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="With the host's own clocks and processor: minutes. [default: seconds]")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the files of the rehearsal, to look around.")] = False,
) -> None:
    """Go through a deployment on this machine, under a host's rules."""
    if sys.platform == "win32":
        raise OperatorError("Rehearsals need Linux or macOS: on Windows run them in WSL.")
    hosts = chosen(names or [], every=every)
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError), asyncio.Runner() as loop:
        raise typer.Exit(1 if loop.run(_rehearse(hosts, full=full, keep=keep)) else 0)
    raise typer.Exit(130)  # by whom or what it was ended, nothing is left behind


def chosen(names: list[str], *, every: bool) -> list[Host]:
    """The hosts of these names.

    Raises:
        BadParameter: there is no such host, or none is named.
    """
    if every:
        return list(HOSTS.values())
    if not names:
        raise typer.BadParameter(f"name a host ({', '.join(HOSTS)}), or --all.")
    for name in names:
        if name not in HOSTS:
            known = host_meant(name) or f" Known are {', '.join(HOSTS)}."
            raise typer.BadParameter(f"There is no host {name[:40]!r}.{known}")
    return [HOSTS[name] for name in names]


def host_meant(name: str) -> str:
    """` Did you mean fly?`, or nothing."""
    other = ALSO_CALLED.get(name.lower())
    return f" Did you mean {other}?" if other else did_you_mean(name, HOSTS)


async def _rehearse(hosts: list[Host], *, full: bool, keep: bool) -> int:
    if sys.platform != "win32" and (task := asyncio.current_task()):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    outcomes: list[Outcome] = []
    endpoint = find_question_endpoint(application())
    with postgresql() as server:
        for host in hosts:
            say(f"\n{host.title}")
            rehearsal = Rehearsal(Rules.of(host, full=full), PROJECT, server, endpoint, keeps_files=keep)
            async for result in rehearsal.run(lambda line: say(f"  {line}")):
                outcomes.append(result.outcome)
                word = styled(f"{result.outcome.value:<8}", COLOURS[result.outcome.name])
                print(f"  {word}  {result.step:<18} {result.text}", flush=True)
                if result.fix:
                    print(f"  {'':8}  {'':18} fix: {result.fix}", flush=True)
    counts = {outcome: outcomes.count(outcome) for outcome in Outcome}
    words = f"{counts[Outcome.PASSED]} passed, {counts[Outcome.FAILED]} failed, {counts[Outcome.SKIPPED]} skipped"
    say(f"\n{words}{'' if full else ' (clocks scaled down; --full has their own)'}.")
    return counts[Outcome.FAILED]
