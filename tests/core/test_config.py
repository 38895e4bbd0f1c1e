"""Configs are frozen, checked when made, and survive JSON."""

import dataclasses
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.config import Presets, config_dataclass, replace, setting
from livepapers.core.errors import InputError


@config_dataclass
class Config(Presets):
    """A small config."""

    clip: float = setting(0.2, "table 2", gt=0, lt=1)
    steps: int = setting(10, "updates", ge=1)
    kind: Literal["a", "b"] = setting("a", "ours")
    hidden: tuple[int, ...] = setting((32, 32), "section 4; units")

    @classmethod
    def tiny(cls) -> "Config":
        return cls(steps=1)

    smoke = laptop = paper = tiny


@given(st.floats(0.01, 0.99), st.integers(1, 10**6), st.sampled_from("ab"), st.lists(st.integers(1, 512), max_size=4))
def test_json_round_trip_is_the_identity(clip: float, steps: int, kind: Literal["a", "b"], hidden: list[int]):
    config = Config(clip=clip, steps=steps, kind=kind, hidden=tuple(hidden))
    assert Config.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("clip", 1.5, "less than 1"),
        ("clip", float("nan"), "finite"),
        ("steps", 0, "greater than or equal to 1"),
        ("steps", 2.5, "integer"),
        ("kind", "c", "'a' or 'b'"),
        ("stesp", 3, "misspelt"),
    ],
)
def test_bad_values_are_refused_by_name_value_and_expectation(name: str, value: object, words: str):
    for make in (lambda: Config(**{name: value}), lambda: Config.from_json({name: value})):  # type: ignore[arg-type]
        with pytest.raises(InputError) as caught:
            make()
        assert name in str(caught.value)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_all_problems_are_told_in_one_line_without_an_internal_name():
    for make in (lambda: Config(clip=2, steps=0), lambda: Config.from_json({"clip": 2, "steps": 0})):
        with pytest.raises(InputError) as caught:
            make()
        assert str(caught.value) == (
            "clip: got 2, expected less than 1; steps: got 0, expected greater than or equal to 1"
        )
        assert [problem.field for problem in caught.value.problems] == ["clip", "steps"]
    with pytest.raises(InputError, match="steps: got 0") as caught:
        Config(steps=0)
    assert caught.value.field == "steps"


@config_dataclass
class Numbers:
    """A number in each place where one may stand, and a truth value beside them."""

    horizon: int = setting(1, "periods")
    most: float | None = setting(None, "units")
    past: tuple[int, ...] = setting((), "units")
    prices: dict[str, float] = setting({}, "by name")
    open: bool = setting(True, "ours")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"horizon": True}, "horizon: got True, expected a number"),
        ({"most": False}, "most: got False, expected a number"),
        ({"past": [3, True]}, "past.1: got True, expected a number"),
        ({"prices": {"a": True}}, "prices.a: got True, expected a number"),
    ],
)
def test_a_truth_value_is_no_number(given: dict[str, Any], said: str):
    with pytest.raises(InputError) as caught:
        Numbers(**given)
    assert str(caught.value) == said
    assert Numbers(open=False, most=None, past=(0, 1)).past == (0, 1)


def test_of_very_many_problems_the_first_are_told_and_the_others_counted():
    with pytest.raises(InputError, match=r"^n0: got 0, .*n7: got 0, expected no such field .*; and 12 more$"):
        Config(**{f"n{i}": 0 for i in range(20)})  # type: ignore[arg-type]


def test_a_config_cannot_be_changed_and_copies_are_checked():
    config = Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.steps = 3  # type: ignore[misc]
    assert replace(config, steps=3).steps == 3
    with pytest.raises(InputError, match="steps"):
        replace(config, steps=-1)


def test_an_unknown_preset_names_the_known_ones():
    assert Config.preset("tiny").steps == 1
    with pytest.raises(InputError, match="tiny, smoke, laptop, paper"):
        Config.preset("huge")
