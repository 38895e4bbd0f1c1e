"""Worlds by name: what a file may ask for, and what only a person may."""

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.tasks import worlds


@pytest.mark.parametrize(
    "world",
    [
        {"name": "cart-pole", "arguments": {"horizon": 7}},
        {"name": "gymnasium:CartPole-v1", "arguments": {}},
        {"name": "atari:freeway", "arguments": {}},
    ],
)
def test_a_file_names_registered_worlds_and_ids(world: dict[str, Any]):
    assert worlds.of_file(world, field="artifact") == (world["name"], world["arguments"])
    assert worlds.of_file({"name": world["name"]}, field="artifact") == (world["name"], {})


@pytest.mark.parametrize(
    ("world", "says"),
    [
        ("cart-pole", "artifact: got the world None, expected one of cart-pole"),
        ({"name": 3}, "artifact: got the world 3, expected one of cart-pole"),
        ({"name": "os:system", "arguments": {}}, "artifact: got the world os:system, expected one of cart-pole"),
        ({"name": "CartPole-v1"}, "expected one of cart-pole"),
        ({"name": "gymnasium:this:Foo-v0"}, r"\(a file may not name a module to import; say --env if you trust it\)$"),
        ({"name": "atari:this:freeway"}, "may not name a module"),
        ({"name": "cart-pole", "arguments": [1]}, r"artifact: got \[1\], expected arguments of the world cart-pole"),
    ],
)
def test_anything_else_in_a_file_is_refused(world: Any, says: str):
    with pytest.raises(InputError, match=says):
        worlds.of_file(world, field="artifact", option="--env")


def test_an_option_is_named_only_where_there_is_one():
    with pytest.raises(InputError, match=r"\(a file may not name a module to import\)$"):
        worlds.of_file({"name": "gymnasium:this:Foo-v0"}, field="archive")


@pytest.mark.parametrize("name", ["cls", "env_id", "lanes"])
def test_arguments_of_a_file_reach_the_environment_only(name: str):
    with pytest.raises(InputError, match=f"world gymnasium:CartPole-v1: got {name}, expected arguments of the env"):
        worlds.make("gymnasium:CartPole-v1", {name: "this:Foo-v0"})


def test_a_person_may_name_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "named_by_a_person_lp.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="Foo"):
        worlds.make(*worlds.named("named_by_a_person_lp:Foo-v0"))
    assert "named_by_a_person_lp" in sys.modules


def test_who_asks_for_a_policys_own_world_by_name_gets_it_with_its_arguments():
    told = {"name": "cart-pole", "arguments": {"horizon": 7}}
    assert worlds.asked_for(None, told, field="artifact") == ("cart-pole", {"horizon": 7})
    assert worlds.asked_for("cart-pole", told, field="artifact") == ("cart-pole", {"horizon": 7})
    assert worlds.asked_for("CartPole-v1", told, field="artifact") == ("gymnasium:CartPole-v1", {})
    with pytest.raises(InputError, match="env: got nothing"):
        worlds.asked_for("", None, field="artifact")


@pytest.mark.parametrize("name", ["lot-sizing", "inventory", "stacked", "ride-pooling", "ecosystem", "slippery-lake"])
def test_a_world_that_needs_arguments_says_where_it_comes_from(name: str):
    with pytest.raises(InputError) as caught:
        worlds.make(name, {})
    expected = "a world that is whole without arguments (this one comes with a policy's artifact only)"
    assert str(caught.value) == f"world: got {name}, expected {expected}"


@pytest.mark.parametrize(("typed", "meant"), [("cart_pole", "cart-pole"), ("MountainCar-v9", "mountain-car")])
def test_a_misspelt_world_of_livepapers_is_named(typed: str, meant: str):
    with pytest.raises(InputError, match=rf"^env: got {typed}, .*; or is {meant}, a world of livepapers, meant\?$"):
        worlds.make(*worlds.named(typed))


@pytest.mark.parametrize(
    ("typed", "name", "arguments"),
    [
        ("cart-pole", "cart-pole", {}),
        ("cart-pole?horizon=7", "cart-pole", {"horizon": 7}),
        ("CartPole-v1", "gymnasium:CartPole-v1", {}),
        ("gymnasium:Pendulum-v1?g=9.81", "gymnasium:Pendulum-v1", {"g": 9.81}),
        ("mine:My-v0?a=true&b=True&c=null", "gymnasium:mine:My-v0", {"a": True, "b": True, "c": None}),
        ("X-v0?a=8x8&b='8'&c=[1, 2]&d=(1,)", "gymnasium:X-v0", {"a": "8x8", "b": "8", "c": [1, 2], "d": (1,)}),
        ("X-v0?a={1, 2}&b=b'1'&c=1+2j&d=", "gymnasium:X-v0", {"a": "{1, 2}", "b": "b'1'", "c": "1+2j", "d": ""}),
        ("X-v0?a=this%26that%3D5", "gymnasium:X-v0", {"a": "this&that=5"}),
    ],
)  # fmt: skip
def test_arguments_follow_a_name_as_in_an_address(typed: str, name: str, arguments: dict[str, Any]):
    assert worlds.named(typed) == (name, arguments)
    values = [worlds.named(typed)[1][key] for key in arguments]
    assert [type(value) for value in values] == [type(value) for value in arguments.values()]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5,
)  # fmt: skip


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), values, max_size=4))
def test_what_is_typed_is_what_is_meant(arguments: dict[str, Any]):
    assert worlds.named(worlds.typed("gymnasium:X-v0", arguments)) == ("gymnasium:X-v0", arguments)


@pytest.mark.parametrize("typed", ["X-v0?a", "X-v0?a=1&a=2", "X-v0?=1", "X-v0?a=1&", "X-v0?my name=1", "X-v0?a=1&&b=2"])
def test_arguments_that_are_none_are_refused_in_one_line(typed: str):
    with pytest.raises(
        InputError, match=r"^env: got X-v0\?.*: argument .*, expected name=value, names once each"
    ) as caught:
        worlds.named(typed)
    assert "\n" not in str(caught.value)


def test_named_arguments_go_before_a_files():
    told = {"name": "cart-pole", "arguments": {"horizon": 7}}
    assert worlds.asked_for("cart-pole?horizon=9", told, field="artifact") == ("cart-pole", {"horizon": 9})
    assert worlds.asked_for("CartPole-v1?render_mode=None", told, field="artifact") == (
        "gymnasium:CartPole-v1", {"render_mode": None},
    )  # fmt: skip


def test_arguments_reach_simulators_and_environments():
    assert worlds.make(*worlds.named("cart-pole?horizon=7")).simulator.horizon == 7  # type: ignore[attr-defined]
    with worlds.opened(*worlds.named("Pendulum-v1?g=0.5")) as task:
        assert task.env.envs[0].unwrapped.g == 0.5  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"env: Pendulum-v1 raised TypeError: .*weight"):
        worlds.make(*worlds.named("Pendulum-v1?weight=0.5"))


@pytest.mark.parametrize("name", ["num_envs", "vectorization_mode", "wrappers"])
def test_arguments_that_are_gymnasiums_own_are_refused_by_name(name: str):
    with pytest.raises(InputError, match=f"got {name}, expected arguments of the environment"):
        worlds.make(*worlds.named(f"CartPole-v1?{name}=1"))


@pytest.mark.parametrize("name", ["cart-pole", "minatar-breakout", "hard-maze", "point-omni"])
@pytest.mark.parametrize("horizon", ["2.5", "abc", "0"])
def test_a_horizon_is_a_whole_number(name: str, horizon: str):
    with pytest.raises(InputError, match=f"horizon: got {horizon}, expected a whole number"):
        worlds.make(*worlds.named(f"{name}?horizon={horizon}"))


def test_names_are_texts_and_readers_see_short_arguments():
    with pytest.raises(InputError, match=r"^env: got 3, expected a name"):
        worlds.named(3)  # type: ignore[arg-type]
    assert worlds.label("cart-pole", {}) == "cart-pole"
    assert worlds.label("gymnasium:X-v0", {"g": 5}) == "gymnasium:X-v0?g=5"
    assert worlds.label("inventory", {"horizon": 5, "table": [1, 2]}) == "inventory"
