"""Build hook of the wheel: compiled catalogues, documentation and the files of new projects."""

import sys
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelContent(BuildHookInterface[Any]):
    """Adds files that the package does not contain in the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del version  # "standard", or "editable" for an installation that uses the repository
        sys.path.insert(0, self.root)
        from opportune.cli.project.shared_files import STARTER, starter_files  # of the clone

        # Only Babel is installed: the package `opportune.i18n` needs more.
        compile_catalogue = run_path(f"{self.root}/opportune/i18n/catalogue_compiler.py")["compile_catalogue"]
        self.compiled = TemporaryDirectory()
        root = Path(self.root)
        files = {root / path: f"{STARTER}/{path}" for path in starter_files(root)}
        files |= {path: path.relative_to(root).as_posix() for path in sorted((root / "docs").rglob("*.md"))}
        files[root / "CHANGELOG.md"] = "docs/changelog.md"
        for catalogue in sorted((root / "opportune/locale").glob("*/LC_MESSAGES/messages.po")):
            name = catalogue.relative_to(root / "opportune").with_suffix(".mo")
            compiled = Path(self.compiled.name, name.parts[1])
            compiled.write_bytes(compile_catalogue(catalogue))
            files[compiled] = name.as_posix()
        build_data["force_include"] = {str(path): f"opportune/{name}" for path, name in files.items()}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        del version, build_data, artifact_path
        self.compiled.cleanup()
