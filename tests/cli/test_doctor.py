"""`doctor` says what is there, what is missing, and what to do about it."""

import tomllib
from pathlib import Path

from cli.conftest import Cli
from livepapers.cli import doctor

ROOT = Path(__file__).parents[2]


def status(cli: Cli, name: str) -> str:
    return next(found["status"] for found in cli("doctor", "--json").json if found["name"] == name)


def test_a_sound_installation_has_no_fault(cli: Cli):
    outcome = cli("doctor", "--json")
    assert outcome.status == 0
    assert {"livepapers", "python", "torch", "cores", "git", "run store"} <= {f["name"] for f in outcome.json}
    assert not [found for found in outcome.json if found["status"] == "fault"]
    assert "torch" in cli("doctor").out


def test_a_damaged_store_is_a_fault(cli: Cli, own_home: Path):
    (own_home / "store.sqlite3").write_text("this is no database, and long enough")
    outcome = cli("doctor")
    assert outcome.status == 1
    assert "it is damaged" in outcome.out or "the file is damaged" in outcome.out


def test_a_missing_extra_is_a_note_with_the_command_that_brings_it(cli: Cli, monkeypatch):
    monkeypatch.setattr(doctor, "extras", lambda: {"ray": ["no-such-project"]})
    assert status(cli, "extra ray") == "note"
    assert "pip install 'livepapers[ray]'" in cli("doctor").out


def test_extras_are_those_that_the_project_declares(cli: Cli):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(doctor.extras()) == set(declared)
    shown = {one["name"].removeprefix("extra ") for one in cli("doctor", "--json").json if "extra " in one["name"]}
    assert shown == set(declared)


def test_without_git_a_note_says_what_that_means(cli: Cli, monkeypatch):
    monkeypatch.setattr("livepapers.cli.doctor.shutil.which", lambda name: None)
    assert status(cli, "git") == "note"


def test_the_store_s_place_can_be_named(cli: Cli, tmp_path: Path):
    found = cli("doctor", "--json", "--store", str(tmp_path / "deep" / "store.sqlite3")).json
    assert str(tmp_path) in next(one["detail"] for one in found if one["name"] == "run store")
    assert not (tmp_path / "deep").exists()
