"""Write the files of a host, check production settings, or rehearse a deployment."""

import typer

from opportune.contrib.deploy.commands import check, init, rehearse

command = typer.Typer()
command.command("init")(init.command)
command.command("check")(check.command)
command.command("rehearse")(rehearse.command)
