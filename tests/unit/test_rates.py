import pytest

from keys.rates import MOST, Rate, parse


@pytest.mark.parametrize(
    ("text", "rate", "seconds"),
    [
        ("1/second", Rate(1, "second"), 1),
        ("100/minute", Rate(100, "minute"), 60),
        ("5000/hour", Rate(5000, "hour"), 3600),
        (f"{MOST}/day", Rate(MOST, "day"), 86400),
    ],
)
def test_a_rate_is_a_number_in_a_window(text: str, rate: Rate, seconds: int) -> None:
    assert parse(text) == rate
    assert rate.seconds == seconds
    assert str(rate) == text


def test_nothing_is_no_limit() -> None:
    assert parse("") is None


@pytest.mark.parametrize(
    "text",
    [
        "0/minute",
        "-1/minute",
        "1.5/minute",
        "100",
        "100/week",
        f"{MOST + 1}/day",
        "１/minute",
        " 1/minute",
        "1/minute\n",
        "1" * 500,
    ],
)  # fmt: skip
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 100/minute"):
        parse(text)
