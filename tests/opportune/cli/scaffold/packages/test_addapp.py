"""`addapp`: sources that are refused. test_installed_project.py adds and removes a package."""

from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.main import main
from opportune.cli.scaffold import addapp
from opportune.cli.scaffold.packages.source import FeaturePackage, find_wheel, read_installed, read_wheel
from opportune.errors import OperatorError
from tests.opportune.cli.scaffold.packages.wheels import FEATURE, write_wheel


def refusal(*arguments: str) -> str:
    """Return the message about a wheel with this entry point and these lines of metadata, in the current folder."""
    with pytest.raises(OperatorError) as caught:
        read_wheel(write_wheel(Path.cwd(), *arguments), Path.cwd())
    return str(caught.value)


@pytest.fixture(autouse=True)
def scratch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_wheel_names_its_feature(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, FEATURE, f"Requires-Dist: opportune=={__version__}")
    package = read_wheel(wheel, tmp_path)
    assert (package.name, package.version, package.feature) == ("opportune-journals", "1.0", "journals")


@pytest.mark.parametrize("source", ["../nowhere", "nowhere.whl", "./nowhere/journals-1.0-py3-none-any.whl"])
def test_missing_path_is_refused(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["addapp", source]) == 1
    message = f"{source} does not exist. Enter a folder, a wheel or the name of a package.\n"
    assert capsys.readouterr().err == message


def test_folder_without_pyproject_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"has no pyproject\.toml, so it is not a package\."):
        find_wheel(str(tmp_path), tmp_path)


def test_folder_that_cannot_be_built_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(OperatorError, match="cannot be built: "):
        find_wheel(str(tmp_path), tmp_path)


def test_truncated_wheel_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    wheel.write_bytes(wheel.read_bytes()[:-30])
    with pytest.raises(OperatorError, match=r"^opportune_journals-1.0-py3-none-any.whl cannot be installed \(.*\)\.$"):
        read_wheel(wheel, tmp_path)


def test_package_without_entry_point_is_refused() -> None:
    assert "has no entry point in the group opportune.features, so it cannot be added." in refusal("")
    with pytest.raises(OperatorError, match="httpx2 has no entry point in the group"):
        read_installed("httpx2")


def test_entry_point_elsewhere_is_refused() -> None:
    message = refusal("[opportune.features]\njournals = journals:feature\n")
    assert 'the entry point journals = "journals:feature" must be' in message


def test_package_for_another_version_of_opportune_is_refused() -> None:
    message = refusal(FEATURE, "Requires-Dist: opportune>=77")
    assert f"needs opportune>=77, but this project has {__version__}." in message


def test_package_for_another_python_is_refused() -> None:
    assert "cannot be installed (" in refusal(FEATURE, "Requires-Python: >=4")


@pytest.mark.parametrize(("name", "problem"), [("users", "app/users already exists."), ("teams", "is reserved by")])
def test_taken_name_is_refused(name: str, problem: str) -> None:
    package = FeaturePackage("opportune-other", "1.0", name, [])
    with pytest.raises(OperatorError, match=f"has the feature {name}, which cannot be added: .*{problem}"):
        addapp.require_free_name(package)


def test_clone_of_the_starter_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["addapp", str(write_wheel(tmp_path))]) == 1
    assert capsys.readouterr().err.startswith("This is a clone of the starter.")


def test_unknown_package_is_not_installed() -> None:
    assert read_installed("opportune-nowhere") is None
