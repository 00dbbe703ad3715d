"""Bill of materials of an image: `python -m opportune.contrib.deploy.sbom` (see Dockerfile)."""

import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from operator import itemgetter
from typing import Any

from opportune.project.layout import PROJECT


def bill_of_materials(packages: Iterable[Distribution]) -> dict[str, object]:
    """List the installed packages in the format of https://cyclonedx.org/docs/1.6/json/."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": {"type": "application", "name": PROJECT.name, "bom-ref": "site"},
        },
        "components": components(packages),
    }


def components(packages: Iterable[Distribution]) -> list[dict[str, Any]]:
    return sorted(map(_component, packages), key=itemgetter("name"))


def _component(package: Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", package.name).lower()
    purl = f"pkg:pypi/{name}@{package.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": package.version,
        "purl": purl,
        "licenses": _licenses(package),
    }


def _licenses(package: Distribution) -> list[dict[str, Any]]:
    metadata = package.metadata
    if expressions := metadata.get_all("License-Expression"):
        return [{"expression": expressions[0]}]
    classifiers = metadata.get_all("Classifier") or []
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    # Older packages have a name or the whole text of the license in this field.
    texts = [text.strip().partition("\n")[0] for text in metadata.get_all("License") or []]
    return [{"license": {"name": name}} for name in names or texts if name]


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(bill_of_materials(distributions()), indent=1)}\n")
