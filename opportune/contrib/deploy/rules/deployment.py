"""Deployment of a site to a host, the input of all rules."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from opportune.checks import Finding
from opportune.config.hosts import Host
from opportune.config.settings import Settings
from opportune.contrib.deploy.recipes import Recipe
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.storage.location import parse_storage_url

UNLIMITED: Mapping[str, object] = {"blocked_ports": (), "sleeps_after_seconds": None}
"""Values of the fields in `free_limits` on a plan without these limits."""
WITHOUT_PRIVATE_NETWORK = ("leapcell", "leapcell-persistent", "heroku", "huggingface")
"""Hosts on which short names do not resolve."""
LOOPBACK = ("localhost", "127.0.0.1", "::1", "host.docker.internal")


@dataclass(frozen=True)
class DeploymentOptions:
    """Facts that are not in the settings. None: unknown, so the findings that depend on it are warnings."""

    is_paid: bool | None = None
    has_volume: bool | None = None
    has_pooler: bool | None = None
    may_lose_data: bool = False
    workers: int = 1
    machines: int = 1
    domain: str | None = None
    """Custom domain. Empty: the host's domain."""


@dataclass(frozen=True)
class Deployment:
    recipe: Recipe
    settings: Settings
    values: Mapping[str, str]
    """Environment variables that are set."""
    options: DeploymentOptions = field(default_factory=DeploymentOptions)

    @cached_property
    def host(self) -> Host:
        """Host with the limits of the selected plan."""
        removed_limits = {name: UNLIMITED[name] for name in self.recipe.free_limits} if self.options.is_paid else {}
        return replace(self.recipe.host, **removed_limits)  # type: ignore[arg-type]  # fields by name

    @cached_property
    def database(self) -> DatabaseUrl | None:
        """Database URL, or None if it is invalid, which another rule reports."""
        try:
            return DatabaseUrl.parse(self.settings.database_url.get_secret_value(), self.settings.database_pooled)
        except OperatorError:
            return None

    @property
    def postgresql(self) -> DatabaseUrl | None:
        """Database URL if it is of PostgreSQL."""
        return self.database if self.database and self.database.kind == "postgresql" else None

    @cached_property
    def keeps_data(self) -> bool | None:
        """Files remain after a deploy. None if it depends on an unknown volume."""
        if self.host.keeps_disk:
            return True
        return self.options.has_volume if self.recipe.has_volumes else False

    @cached_property
    def uploads(self) -> Path | None:
        """Folder of uploads, or None for other storage."""
        try:
            location = parse_storage_url(self.settings)
        except OperatorError:
            return None
        return location if isinstance(location, Path) else None

    @property
    def machines(self) -> int:
        """Number of machines. A host with several processes runs each on its own."""
        return max(self.recipe.processes, self.options.machines)

    @property
    def processes(self) -> int:
        return max(self.recipe.processes, self.options.workers * self.options.machines)

    def is_out_of_reach(self, url: str) -> bool:
        """Return True for a URL in this machine or its network, which the host cannot reach."""
        name = urlsplit(url).hostname or ""
        if self.host.name == "linux" or not name:
            return False
        return name in LOOPBACK or (self.host.name in WITHOUT_PRIVATE_NETWORK and is_local(name))


Rule = Callable[[Deployment], Iterator[Finding]]
