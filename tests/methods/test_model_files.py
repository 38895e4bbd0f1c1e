"""Files that describe a user's world are named in one way: the option, the file, the field."""

from pathlib import Path

import pytest

from livepapers.cli.main import call

FILES = {"hdpo": ("--network", "nodes"), "pdppo": ("--plant", "items"), "fishery": ("--model", "species"),
         "yann-rl": ("--model", "A")}  # fmt: skip


@pytest.mark.parametrize("slug", FILES)
def test_option_file_and_field_are_named(slug: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    option, field = FILES[slug]
    path = tmp_path / "mine.yml"
    words = ["apply", slug, option, str(path), *(("--demand", str(path)) if slug == "hdpo" else ())]
    for text, said in (
        ("other: 1\n", f"Error: {option} mine.yml: {field}: got nothing, expected a value"),
        ("just words\n", f"Error: {option} mine.yml: got a str, expected fields"),
        ("", f"Error: {option}: got "),
    ):
        path.write_text(text)
        assert call(words) == 2
        assert capsys.readouterr().err.startswith(said)
