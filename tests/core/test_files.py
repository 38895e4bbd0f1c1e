"""Files and folders are whole or not there."""

from pathlib import Path

import pytest

from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, sha256, write_atomic


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "file.txt"
    write_atomic(target, "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_appears_only_when_the_block_ends_well(tmp_path: Path):
    target = tmp_path / "deep" / "out"

    def fail_half_way() -> None:
        with new_folder(target) as made:
            (made / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert not target.exists()
    with new_folder(target) as made:
        (made / "whole").write_text("x")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["whole"]
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_outputs_that_would_overwrite_are_refused_before_any_work(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="a file of that name exists"):
        check_output_folder(tmp_path / "file")
    with pytest.raises(InputError, match="it holds files"):
        check_output_folder(tmp_path)
    check_output_folder(tmp_path, replace=True)
    check_output_folder(tmp_path / "new" / "deeper")
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty"):
        pass


def test_sha256_of_a_known_file(tmp_path: Path):
    write_atomic(tmp_path / "abc", b"abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")
