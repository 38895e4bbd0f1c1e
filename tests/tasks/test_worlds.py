"""Worlds by name: what a file may ask for, and what only a person may."""

import sys
from pathlib import Path
from typing import Any

import pytest

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
        worlds.make(worlds.full_name("named_by_a_person_lp:Foo-v0"), {})
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
        worlds.make(worlds.full_name(typed), {})
