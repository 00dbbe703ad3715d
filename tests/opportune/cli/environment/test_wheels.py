"""Platforms without some wheels, simulated by their properties."""

import platform
import re
import sys
import sysconfig
from pathlib import Path

import pytest

from opportune.cli.environment import entry as environment
from opportune.cli.environment import wheels
from opportune.cli.environment.entry import BASE, MODEL
from opportune.project.layout import PROJECT

INTEL, ARM_WINDOWS = "Intel Macs", "Windows on ARM"


@pytest.mark.parametrize(
    ("system", "machine", "target", "libc", "bits", "expected"),
    [
        ("linux", "x86_64", "linux-x86_64", "x86_64-pc-linux-gnu", 64, ""),
        ("linux", "aarch64", "linux-aarch64", "aarch64-unknown-linux-gnu", 64, ""),
        ("linux", "x86_64", "linux-x86_64", "x86_64-pc-linux-musl", 64, "Alpine"),
        ("linux", "armv7l", "linux-armv7l", "arm-linux-gnueabihf", 32, "32-bit ARM"),
        ("linux", "aarch64", "linux-aarch64", "arm-linux-gnueabihf", 32, "32-bit ARM"),
        ("darwin", "x86_64", "macosx-11.0-universal2", None, 64, "Intel Macs"),
        ("darwin", "arm64", "macosx-11.0-universal2", None, 64, ""),
        ("win32", "AMD64", "win-amd64", None, 64, ""),
        ("win32", "ARM64", "win-arm64", None, 64, "Windows on ARM"),
        ("win32", "ARM64", "win-amd64", None, 64, ""),
        ("win32", "AMD64", "win32", None, 32, "32-bit Windows"),
    ],
)
def test_platform_of_this_python(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, target: str, libc: str | None, bits: int, expected: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys, "maxsize", 2 ** (bits - 1) - 1)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sysconfig, "get_platform", lambda: target)
    monkeypatch.setattr(sysconfig, "get_config_var", {"HOST_GNU_TYPE": libc}.get)
    assert wheels.current_platform() == expected
    assert expected in {"", *wheels.MISSING_WHEELS}


def test_platform_with_all_wheels_gets_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    environment.report_missing_wheels([BASE])
    assert capsys.readouterr().err == ""


def test_packages_to_build_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(wheels, "current_platform", lambda: INTEL)
    environment.report_missing_wheels([BASE])
    message = "There are no wheels of argon2-cffi-bindings, cryptography for Intel Macs, so they are compiled now."
    assert capsys.readouterr().err.startswith(message)


def test_unbuildable_packages_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(wheels, "current_platform", lambda: ARM_WINDOWS)
    environment.report_missing_wheels([BASE])
    error = capsys.readouterr().err
    assert error.startswith("psycopg-binary cannot be installed on Windows on ARM. Install the Python for x64")
    assert error.count("\n") == 1


def test_missing_model_wheel_is_skipped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(wheels, "current_platform", lambda: ARM_WINDOWS)
    monkeypatch.setattr(environment, "install", lambda lock: pytest.fail(f"{lock} would be built for an hour"))
    environment.install_if_possible(MODEL)
    assert "Continuing without a local model" in capsys.readouterr().err


def test_table_names_only_locked_packages(tmp_path: Path) -> None:
    for locks in wheels.MISSING_WHEELS.values():
        for name, packages in locks.items():
            missing = [
                wheels.packages_without_wheel(PROJECT, name, platform_name) for platform_name in wheels.MISSING_WHEELS
            ]
            assert {package for row in missing for package in row} >= set(packages)
    (tmp_path / BASE).write_text("uvloop-is-gone==1.0\n", encoding="utf-8")
    assert wheels.packages_without_wheel(tmp_path, BASE, "32-bit ARM") == []


def test_docs_have_the_table() -> None:
    guide = (PROJECT / "docs/platforms.md").read_text(encoding="utf-8")
    for platform_name, locks in wheels.MISSING_WHEELS.items():
        row = next(line for line in guide.splitlines() if line.startswith(f"| {platform_name} |"))
        assert set(re.findall(r"`([\w-]+)`", row)) == {name for names in locks.values() for name in names}
