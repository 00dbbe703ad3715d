"""Names of hosts that users enter."""

from typing import Annotated

import typer

from opportune.contrib.deploy.recipes import RECIPES, Recipe
from opportune.errors.suggestions import did_you_mean

HostName = Annotated[
    str, typer.Argument(metavar="HOST", help=f"One of {', '.join(RECIPES)}.", autocompletion=lambda: [*RECIPES])
]
ALIASES = {
    **dict.fromkeys(("droplet", "digitalocean", "hetzner", "vps", "systemd", "debian", "ubuntu"), "linux"),
    **dict.fromkeys(("docker", "docker-compose"), "compose"),
    **dict.fromkeys(("procfile", "dokku"), "heroku"),
    **dict.fromkeys(("gcp", "google", "google-cloud-run"), "cloudrun"),
    **dict.fromkeys(("hf", "spaces"), "huggingface"),
    "k8s": "kubernetes",
}
"""Other names of hosts, which `did_you_mean` would not find."""


def find_recipe(name: str) -> Recipe:
    if recipe := RECIPES.get(name.lower()):
        return recipe
    alias = ALIASES.get(name.lower())
    hint = f" Did you mean {alias}?" if alias else did_you_mean(name, RECIPES)
    raise typer.BadParameter(f"There is no host {name[:40]!r}.{hint} Choose from {', '.join(RECIPES)}.")
