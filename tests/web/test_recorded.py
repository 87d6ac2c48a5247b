"""What was written down in English is known again by the template it was made of."""

import pytest

from web.language import speaking
from web.recorded import recorded


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("It gave no reason.", "Il n\u2019a pas donné de raison."),
        ("It went offline before it answered.", "Il est devenu offline avant de répondre."),
        ("12 of 340 bytes were sent.", "12 octets sur 340 ont été envoyés."),
        # Several sentences, and one within another.
        ("Assigned by léa. An admin insists.", "Assignée par léa. Un administrateur insiste."),
        ("The module: It gave no reason.", "Le module\u00a0: Il n\u2019a pas donné de raison."),
        # What a module says of itself is nobody's template.
        ("flash write failed at 0x1000", "flash write failed at 0x1000"),
        ("The module: <b>out of %(v1)s memory</b>", "Le module\u00a0: <b>out of %(v1)s memory</b>"),
        ("", ""),
    ],
)
def test_a_sentence_is_said_in_the_readers_language(english: str, french: str) -> None:
    with speaking("fr"):
        assert recorded(english) == french
    with speaking("en"):
        assert recorded(english) == english


def test_a_long_text_takes_no_long_time() -> None:
    with speaking("fr"):
        text = "It was " + "x with y of z " * 10_000
        assert recorded(text) == text
        assert recorded(text[:500]) == text[:500]
