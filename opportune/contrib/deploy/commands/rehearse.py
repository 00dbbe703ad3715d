"""`oppman.py deploy rehearse`: simulates a deployment on this machine under the rules of a host."""

import asyncio
import contextlib
import signal
import sys
from typing import Annotated

import typer

from opportune.cli.output import say
from opportune.cli.terminal import styled
from opportune.config.hosts import HOSTS, Host
from opportune.contrib.deploy.rehearsal.rehearse import Rehearsal, postgresql
from opportune.contrib.deploy.rehearsal.rules import Rules
from opportune.contrib.deploy.rehearsal.stage import Outcome, find_question_endpoint
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.layout import PROJECT, application

ALIASES = {
    **dict.fromkeys(("droplet", "digitalocean", "hetzner", "vps", "systemd", "debian", "ubuntu"), "linux"),
    **dict.fromkeys(("docker", "docker-compose"), "compose"),
    **dict.fromkeys(("procfile", "dokku"), "heroku"),
    **dict.fromkeys(("gcp", "google", "google-cloud-run"), "cloudrun"),
    **dict.fromkeys(("hf", "spaces"), "huggingface"),
    "k8s": "kubernetes",
}
"""Other names of hosts, which `did_you_mean` would not find."""
COLOURS = {"PASSED": "green", "FAILED": "red", "SKIPPED": "dim"}


def rehearse(
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
    hosts = selected_hosts(names or [], rehearse_all=rehearse_all)
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError), asyncio.Runner() as runner:
        raise typer.Exit(1 if runner.run(_rehearse(hosts, full=full, keep=keep)) else 0)
    raise typer.Exit(130)


def selected_hosts(names: list[str], *, rehearse_all: bool) -> list[Host]:
    """Return the hosts with these names.

    Raises:
        BadParameter: a host is unknown, or there are no names.
    """
    if rehearse_all:
        return list(HOSTS.values())
    if not names:
        raise typer.BadParameter(f"Enter a host ({', '.join(HOSTS)}) or --all.")
    for name in names:
        if name not in HOSTS:
            hint = suggestion(name) or f" Choose from {', '.join(HOSTS)}."
            raise typer.BadParameter(f"There is no host {name[:40]!r}.{hint}")
    return [HOSTS[name] for name in names]


def suggestion(name: str) -> str:
    """Return a hint such as ` Did you mean fly?`; empty if no host is similar."""
    host = ALIASES.get(name.lower())
    return f" Did you mean {host}?" if host else did_you_mean(name, HOSTS)


async def _rehearse(hosts: list[Host], *, full: bool, keep: bool) -> int:
    if sys.platform != "win32" and (task := asyncio.current_task()):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    outcomes: list[Outcome] = []
    questions = find_question_endpoint(application())
    with postgresql() as server:
        for host in hosts:
            say(f"\n{host.title}")
            rehearsal = Rehearsal(Rules.for_host(host, full=full), PROJECT, server, questions, keeps_files=keep)
            async for result in rehearsal.run(lambda line: say(f"  {line}")):
                outcomes.append(result.outcome)
                word = styled(f"{result.outcome.value:<8}", COLOURS[result.outcome.name])
                print(f"  {word}  {result.step:<18} {result.text}", flush=True)
                if result.fix:
                    print(f"  {'':8}  {'':18} fix: {result.fix}", flush=True)
    counts = {outcome: outcomes.count(outcome) for outcome in Outcome}
    summary = f"{counts[Outcome.PASSED]} passed, {counts[Outcome.FAILED]} failed, {counts[Outcome.SKIPPED]} skipped"
    say(f"\n{summary}{'' if full else ' (shortened timeouts; use --full for the real ones)'}.")
    return counts[Outcome.FAILED]
