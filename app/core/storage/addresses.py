"""Addresses of ours that show one file for a while to whoever has them."""

import hmac
import time
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, urlencode

from app.core.keys import derived_key
from app.core.settings import Settings

PATH = "/files"


@dataclass(frozen=True)
class Signer:
    """Signs the name, the time until which it may be seen, and the name for keeping it."""

    key: str

    @classmethod
    def of(cls, settings: Settings) -> "Signer":
        return cls(derived_key(settings, "files"))

    def address(self, name: str, seconds: int, download_as: str = "") -> str:
        until = str(int(time.time()) + seconds)
        query = {"until": until, "signature": self.signature(name, until, download_as)}
        if download_as:
            query["as"] = download_as
        return f"{PATH}/{quote(name)}?{urlencode(query)}"

    def signature(self, name: str, until: str, download_as: str) -> str:
        message = f"{until}\n{name}\n{download_as}".encode(errors="surrogatepass")
        return hmac.new(self.key.encode(), message, sha256).hexdigest()

    def knows(self, signature: str, name: str, until: str, download_as: str) -> bool:
        """Whether the address is one of ours, which may have ended."""
        return hmac.compare_digest(
            signature.encode(errors="replace"), self.signature(name, until, download_as).encode()
        )
