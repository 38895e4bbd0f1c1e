"""`livepapers export`: a saved policy as a file that other programs run."""

from pathlib import Path

import click

from livepapers.cli.command import Command, examples, in_a_folder


def _onnx_file(ctx: click.Context, param: click.Parameter, path: Path) -> Path:
    """Of an option: refuse, before any work, a file that could not be written, or that nobody would take for ONNX."""
    from livepapers.core.errors import InputError

    in_a_folder(ctx, param, path)
    if path.suffix != ".onnx":
        cause = "evaluate and apply know such files by it"
        raise InputError.of(str(param.name), path, expected="a name that ends in .onnx", cause=cause)
    return path


@click.command("export", cls=Command, epilog=examples("export policy --onnx policy.onnx"))
@click.argument("artifact", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="ARTIFACT")
@click.option(
    "--onnx",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    callback=_onnx_file,
    help="The ONNX file to write.",
)
@click.option("--env", metavar="ID", help="World for the visited states, instead of the policy's own.")
def command(artifact: Path, target: Path, env: str | None) -> None:
    """Write a saved policy as an ONNX file.

    ARTIFACT is a folder with artifact.json. The file takes `observation` (and `mask` where the policy's world has
    one), in batches, and gives `action`. It is written once both give the same actions on random and visited states.
    """
    from livepapers.lab.evaluation import load_policy
    from livepapers.lab.onnx_export import TOLERANCE, export

    worst = export(load_policy(artifact), target, env=env)
    click.echo(f"{target}: actions agree to {worst:.1e} (allowed: {TOLERANCE:.0e})")
