"""The check that finds placeholders in the legal pages."""

from pathlib import Path

from app.home.checks import find_placeholders


def test_check_names_each_page_with_a_placeholder(tmp_path: Path) -> None:
    (tmp_path / "imprint.html").write_text('<mark>{{ _("E-mail address.") }}</mark> <mark>Fax.</mark>')
    (tmp_path / "privacy.html").write_text("<p>Edited</p>")
    (tmp_path / "terms.html").write_text("<mark>What users\nmay do</mark>, and what not.")
    assert [(finding.text, finding.is_error) for finding in find_placeholders(tmp_path)] == [
        ("Write your own text in templates/home/imprint.html instead of “E-mail address”.", False),
        ("Write your own text in templates/home/terms.html instead of “What users may do”.", False),
    ]
