"""The bill of materials of an image."""

from importlib.metadata import distributions

from opportune.contrib.deploy import sbom


def test_bill_of_materials_lists_packages_with_licenses() -> None:
    components = {part["name"]: part for part in sbom.components(distributions())}
    assert components["fastapi-users"]["purl"].startswith("pkg:pypi/fastapi-users@")
    assert components["fastapi"]["licenses"] == [{"expression": "MIT"}]
    assert components["jinja2"]["licenses"] == [{"license": {"name": "BSD License"}}]
