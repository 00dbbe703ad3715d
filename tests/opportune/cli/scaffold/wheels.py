"""Wheels of feature packages for tests."""

import base64
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

INFO = "opportune_journals-1.0.dist-info"
METADATA = ("Metadata-Version: 2.4", "Name: opportune-journals", "Version: 1.0")
FEATURE = "[opportune.features]\njournals = opportune_journals.feature:journals\n"


def write_wheel(folder: Path, entry_points: str = FEATURE, *requirements: str) -> Path:
    """Write the wheel `opportune-journals` 1.0 with these entry points and lines of metadata."""
    files = {
        "opportune_journals/__init__.py": "",
        f"{INFO}/METADATA": "\n".join([*METADATA, *requirements]),
        f"{INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{INFO}/entry_points.txt": entry_points,
    }
    digests = {name: base64.urlsafe_b64encode(sha256(text.encode()).digest()) for name, text in files.items()}
    lines = [f"{name},sha256={digest.decode().rstrip('=')},{len(files[name])}" for name, digest in digests.items()]
    files[f"{INFO}/RECORD"] = "\n".join([*lines, f"{INFO}/RECORD,,"])
    path = folder / "opportune_journals-1.0-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path
