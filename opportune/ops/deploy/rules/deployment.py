"""A site with its settings on a host: what every rule looks at."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from opportune.checks import Finding
from opportune.config.hosts import Host
from opportune.config.settings import Settings
from opportune.db.url.database_url import DatabaseURL
from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.ops.deploy.recipes import Recipe
from opportune.storage.location import parse_storage_url

NO_LONGER: Mapping[str, object] = {"blocked_ports": (), "sleeps_after_seconds": None}
"""What fields of `Host` are on a plan that lifts them."""
WITHOUT_NEIGHBOURS = ("leapcell", "leapcell-persistent", "heroku", "huggingface")
"""Hosts without a private network: a short name there leads nowhere."""
LOOPBACK = ("localhost", "127.0.0.1", "::1", "host.docker.internal")


@dataclass(frozen=True)
class Answers:
    """What no setting tells. None: nobody was asked, and what depends on it is a warning."""

    is_paid: bool | None = None
    has_volume: bool | None = None
    has_pooler: bool | None = None
    may_lose_data: bool = False
    workers: int = 1
    domain: str | None = None
    """Empty: the host's own."""


@dataclass(frozen=True)
class Deployment:
    recipe: Recipe
    settings: Settings
    values: Mapping[str, str]
    """The settings that are given, by their variables."""
    answers: Answers = field(default_factory=Answers)

    @cached_property
    def host(self) -> Host:
        """The host on the plan that was told."""
        lifted = {name: NO_LONGER[name] for name in self.recipe.paid_lifts} if self.answers.is_paid else {}
        return replace(self.recipe.host, **lifted)  # type: ignore[arg-type]  # by their names

    @property
    def is_plan_known(self) -> bool:
        return self.answers.is_paid is not None or not self.recipe.paid_lifts

    @cached_property
    def database(self) -> DatabaseURL | None:
        """The address of the database; None where it cannot be read, which another rule tells."""
        try:
            return DatabaseURL.parse(self.settings.database_url.get_secret_value(), self.settings.database_pooled)
        except OperatorError:
            return None

    @cached_property
    def keeps_data(self) -> bool | None:
        """Whether what the site writes is there after the next deploy; None where nobody was asked."""
        if self.host.keeps_disk:
            return True
        return self.answers.has_volume if self.recipe.has_volumes else False

    @cached_property
    def uploads(self) -> Path | None:
        """The folder of uploads, where they are in one."""
        try:
            location = parse_storage_url(self.settings)
        except OperatorError:
            return None
        return location if isinstance(location, Path) else None

    def is_out_of_reach(self, url: str) -> bool:
        """Whether an address is one of this machine or its network, which the host cannot reach."""
        name = urlsplit(url).hostname or ""
        if self.host.name == "linux" or not name:
            return False
        return name in LOOPBACK or (self.host.name in WITHOUT_NEIGHBOURS and is_local(name))


Rule = Callable[[Deployment], Iterator[Finding]]


def warning(text: str) -> Finding:
    return Finding(text, is_error=False)
