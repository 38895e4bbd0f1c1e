"""Files and folders are whole or not there."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from livepapers.core import files
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_file, check_output_folder, new_folder, sha256, unfinished, write_atomic


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
    check_output_folder(tmp_path / "new")
    with pytest.raises(InputError, match=r"expected a place in a folder that exists \(mistyped"):
        check_output_folder(tmp_path / "new" / "deeper")
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty"):
        pass


def test_an_output_behind_a_link_is_where_the_link_points(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        link = tmp_path / f"to {name}"
        link.symlink_to(tmp_path / name)
        check_output_folder(link)
        with unfinished(link) as partial, new_folder(link) as made:
            assert partial == tmp_path / f"{name}.partial"
            (made / "file").write_text("x")
        assert link.is_symlink()
        assert (tmp_path / name / "file").read_text() == "x"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".", "expected another folder than the present one"),
        ("../here", "expected another folder than the present one"),
        ("x" * 300, "expected a writable place (file name too long)"),
        ("x" * 250, "expected a writable place (file name too long)"),
        ("circle", "output: got circle"),
        ("/proc/foo", "expected a writable place"),
    ],
)
def test_places_that_could_not_be_written_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    if name == "circle":
        Path(name).symlink_to(name)
    with pytest.raises(InputError) as caught:
        check_output_folder(Path(name))
    assert said in str(caught.value)
    if name[0] in "x/":
        with pytest.raises(InputError, match=r"^table: got .*expected a writable place"):
            check_output_file(Path(name), field="table")
    assert len(list(tmp_path.rglob("*"))) == 1 + (name == "circle")


def test_a_device_is_no_file_to_be_replaced(tmp_path: Path):
    with pytest.raises(InputError, match=r"^table: got /dev/null, expected a file"):
        check_output_file(Path("/dev/null"), field="table")
    check_output_file(tmp_path / "new.csv", field="table")
    assert not list(tmp_path.iterdir())


def test_sha256_of_a_known_file(tmp_path: Path):
    write_atomic(tmp_path / "abc", b"abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")


def kept_checkpoint(output: Path, ends_well: bool) -> None:
    with unfinished(output) as folder:
        assert folder is not None
        (folder / "step-1").write_text("x")
        if not ends_well:
            raise KeyboardInterrupt


def test_checkpoints_are_kept_until_the_block_ends_well(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        kept_checkpoint(tmp_path / "out", ends_well=False)
    assert (tmp_path / "out.partial" / "step-1").is_file()
    kept_checkpoint(tmp_path / "out", ends_well=True)
    assert not list(tmp_path.iterdir())
    with unfinished(None) as folder:
        assert folder is None


def test_a_block_that_fails_without_a_checkpoint_leaves_nothing(tmp_path: Path):
    with pytest.raises(RuntimeError), unfinished(tmp_path / "out"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


HOLDER = """
import sys
from pathlib import Path
from typing import Any
from livepapers.core.files import unfinished
with unfinished(Path(sys.argv[1])) as folder:
    (folder / "step-1").write_text("x")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_at_once_and_a_killed_one_blocks_nobody(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "out")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=r"output: .*another process works on it"):
            kept_checkpoint(tmp_path / "out", ends_well=True)
        holder.kill()
    assert (tmp_path / "out.partial" / "step-1").is_file()
    kept_checkpoint(tmp_path / "out", ends_well=True)
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("moment", ["before the lock is opened", "before it is held"])
def test_a_folder_that_another_process_takes_away_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
):
    folder, opened, locked = tmp_path / "out.partial", Path.open, files._lock

    def gone_then_opened(path: Path, *rest: Any) -> Any:
        shutil.rmtree(folder)
        return opened(path, *rest)

    def gone_then_locked(*rest: Any) -> None:
        shutil.rmtree(folder)
        locked(*rest)

    if moment == "before it is held":
        monkeypatch.setattr(files, "_lock", gone_then_locked)
    else:
        monkeypatch.setattr(Path, "open", gone_then_opened)
    with pytest.raises(InputError, match=r"output: .*another process works on it"), unfinished(tmp_path / "out"):
        pass


def test_an_output_that_was_filled_while_we_read_our_input_is_refused_before_any_work(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text("x")
    with pytest.raises(InputError, match="it holds files"):
        kept_checkpoint(tmp_path / "out", ends_well=True)
    assert not (tmp_path / "out.partial").exists()
