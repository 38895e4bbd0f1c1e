"""Figures read as people write them, the same everywhere."""

import pytest

from livepapers.lab.words import asked, coded, count, duration, estimate, last_line, ratio_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.04 s"),
        (0.4, "0.4 s"),
        (9.94, "9.9 s"),
        (42.0, "42 s"),
        (59.9, "1 min 0 s"),
        (125, "2 min 5 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_read_like_speech(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(("amount", "text"), [(9_999, "9,999"), (12_000, "12 k"), (3.5e6, "3.5 M"), (2e9, "2 G")])
def test_amounts_take_a_unit_when_they_are_large(amount: float, text: str):
    assert count(amount).replace("\N{NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(
    ("value", "interval", "texts"),
    [
        (0.16612, (0.1221, 0.2153), ("0.166", "[0.122, 0.215]")),
        (38.949761, (38.949741, 38.949772), ("38.9498", "[38.9497, 38.9498]")),
        (-0.31, (-17.2, 10.1), ("0", "[-17, 10]")),
        (0.0, (-0.0021, 0.0019), ("0.0000", "[-0.0021, 0.0019]")),
        (12345.6, (12000.0, 12900.0), ("12,346", "[12,000, 12,900]")),
    ],
)
def test_estimates_have_no_more_digits_than_anybody_knows(value: float, interval: tuple[float, float], texts: object):
    assert estimate(value, interval) == texts


def test_the_last_line_of_a_traceback_says_what_went_wrong():
    assert last_line("Traceback\n  File\nValueError: no\n\n") == "ValueError: no"
    assert last_line("") == last_line(None) == "no message"


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (("less", 1.0, 0.0), "less than 1"),
        (("greater", 0.0, 3.0), "greater than 0 by 3"),
        (("equal", 0.5, 0.06), "within 0.06 of 0.5"),
    ],
)
def test_what_a_claim_asks_is_said_in_words(claim: tuple[str, float, float], text: str) -> None:
    assert asked(*claim) == text


def test_backticks_become_code_and_markup_stays_text():
    assert coded("`a<b` is <b>") == "<code>a&lt;b</code> is &lt;b&gt;"
    assert coded("one ` alone") == "one ` alone"


@pytest.mark.parametrize(
    ("value", "text"), [(0.14159, "0.142"), (6.8372, "6.84"), (99.96, "100"), (2467.2, "2,470"), (1.0, "1")]
)
def test_ratios_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert ratio_text(value) == text
