"""Reading the history of a repository runs no program that the repository's own configuration names."""

import subprocess
from pathlib import Path

import pytest

from livepapers.core.errors import InputError
from livepapers.methods.simplicial_closure import apply
from livepapers.tasks.hypergraphs import read_git

PROGRAMS = (
    "core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "core.gitProxy",
    "core.alternateRefsCommand", "pager.log", "pager.ls-tree", "diff.external", "diff.trap.command",
    "diff.trap.textconv", "filter.trap.clean", "filter.trap.smudge", "filter.trap.process", "gpg.program",
    "gpg.ssh.program", "gpg.x509.program", "credential.helper", "remote.origin.uploadpack", "trailer.trap.command",
    "alias.log", "alias.ls-tree", "interactive.diffFilter", "uploadpack.packObjectsHook", "merge.trap.driver",
)  # fmt: skip


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A repository all of whose configured programs leave the returned mark; and git, run carelessly inside it."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "t")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "t@t")
    folder, mark, trap = tmp_path / "repository", tmp_path / "sprung", tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n")
    trap.chmod(0o755)
    folder.mkdir()

    def git(*arguments):
        return subprocess.run(["git", "-C", str(folder), *arguments], check=False, capture_output=True)

    git("init", "-q")
    for number, names in enumerate((["a", "b"], ["b", "c"], ["a", "c"], ["a", "b", "c"])):
        for name in names:
            (folder / name).write_text("".join(f"{name} {line} {number * (line == 7)}\n" for line in range(40)))
        git("add", "-A")
        git("commit", "-q", "-m", "change")
    git("mv", "c", "renamed")
    (folder / "renamed").write_text((folder / "renamed").read_text() + "one more line\n")
    git("add", "-A")
    git("commit", "-q", "-m", "rename")
    for name in PROGRAMS:
        git("config", name, f"!{trap}" if name.startswith("alias") else str(trap))
    git("config", "log.showSignature", "true")
    git("config", "protocol.ext.allow", "always")
    git("config", "remote.origin.url", f"ext::{trap}")
    (folder / ".gitattributes").write_text("* diff=trap filter=trap merge=trap\n")
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-commit", "fsmonitor-watchman"):
        place = folder / ".git" / "hooks" / hook
        place.parent.mkdir(exist_ok=True)
        place.write_text(trap.read_text())
        place.chmod(0o755)
    mark.unlink(missing_ok=True)
    return folder, mark, git


@pytest.mark.parametrize("careless", [["status"], ["log", "-p"], ["fetch", "origin"]], ids=" ".join)
def test_the_traps_are_armed(hostile, careless):
    _, mark, git = hostile
    git(*careless)
    assert mark.exists()


def test_reading_a_hostile_repository_springs_no_trap(hostile):
    folder, mark, _ = hostile
    made, alive = read_git(folder)
    assert len(made) == 5
    assert alive == {"a", "b", "renamed"}
    with pytest.raises(InputError, match="split"):  # so small a history has nothing to predict
        apply(git=folder)
    assert not mark.exists()


def test_a_partial_clone_fetches_nothing(hostile):
    """Telling a rename needs the files' contents, and a partial clone that lacks them asks its remote: a program."""
    folder, mark, git = hostile
    blob = git("rev-parse", "HEAD:renamed").stdout.decode().strip()
    Path(folder, ".git", "objects", blob[:2], blob[2:]).unlink()
    git("config", "core.repositoryformatversion", "1")
    git("config", "extensions.partialClone", "origin")
    git("config", "remote.origin.promisor", "true")
    git("log", "--name-status", "-M")
    assert mark.exists()
    mark.unlink()
    with pytest.raises(InputError, match="--git") as caught:
        read_git(folder)
    assert "\n" not in str(caught.value)
    assert not mark.exists()
