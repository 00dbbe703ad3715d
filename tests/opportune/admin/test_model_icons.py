"""Icons of models that name none."""

import pytest

from opportune.admin.model_icons import ICON_BY_WORD, guess_icon
from opportune.web.static.icons import unknown_icon_message


@pytest.mark.parametrize(
    ("model", "icon"),
    [
        ("Book", "book"),
        ("OrderItem", "package"),
        ("BookReview", "star"),
        ("Wombat", "square-letter-w"),
        ("\u00dcbung", "table"),
        ("ISBNBook", "book"),
    ],
)
def test_icon_is_guessed_from_the_name_of_a_model(model: str, icon: str) -> None:
    assert guess_icon(model) == icon


def test_tabler_has_all_guessed_icons() -> None:
    assert [icon for icon in ICON_BY_WORD.values() if unknown_icon_message(icon)] == []
