"""Which proxies are believed, and what of X-Forwarded-For."""

from typing import Any

import uvicorn

from opportune.server.connections.acceptor import Acceptor

ANY_PROXY = "*"


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration, where `*` believes whoever connects, and the last entry of X-Forwarded-For.

    uvicorn would believe the first, which a visitor may have written. Proxies named beside `*` are passed over.
    """

    acceptor: Acceptor | None = None
    """Accepts what the event loop leaves for its next turns; None where that leaves nothing."""

    def load(self) -> None:
        names = [name.strip() for name in str(self.forwarded_allow_ips).split(",")]
        named = [name for name in names if name != ANY_PROXY]
        self.forwarded_allow_ips = named
        super().load()
        if self.proxy_headers and named != names:
            app: Any = self.loaded_app
            app.trusted_hosts = AnyProxy(app.trusted_hosts)


class AnyProxy:
    """A set of trusted proxies that has everybody who connects."""

    def __init__(self, named: Any) -> None:
        self._named = named

    def __contains__(self, _host: object) -> bool:
        return True

    def get_trusted_client_address(self, forwarded_for: str) -> tuple[str, int]:
        address: tuple[str, int] = self._named.get_trusted_client_address(forwarded_for)
        return address
