"""`livepapers evaluate`: a policy, put into its world."""

from pathlib import Path
from typing import Any

import click

from livepapers.cli.command import Command, examples, in_a_folder, json_option


@click.command(
    "evaluate",
    cls=Command,
    epilog=examples(
        "evaluate policy --episodes 1000",
        "evaluate policy --env CartPole-v1 --episodes 50 --json",
        "evaluate policy --episodes 200 --output episodes.csv",
        "evaluate network.onnx --env my_environment:Mine-v0",
    ),
)
@click.argument("artifact", type=click.Path(exists=True, path_type=Path), metavar="ARTIFACT")
@click.option("--episodes", type=click.IntRange(min=1), default=100, show_default=True, help="Whole episodes to run.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of starts and noise.")
@click.option(
    "--env",
    metavar="ID",
    help="Another world than the policy's own: a registered name, a Gymnasium id, or module:id,"
    " with arguments as in 'Pendulum-v1?g=5'. Its own by name keeps the arguments that it was made with.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), callback=in_a_folder, help="CSV file for the episodes."
)
@json_option
def command(artifact: Path, episodes: int, seed: int, env: str | None, output: Path | None, as_json: bool) -> None:
    """Run a saved policy and show its mean return.

    ARTIFACT is a folder with artifact.json, or an ONNX file that takes observations (and a mask) in batches and gives
    actions; files that livepapers did not write need --env. Policies that are evaluated with the same seed and number
    of episodes meet the same starts and the same noise, so their CSV files can be compared line by line.
    """
    from livepapers.cli.output import note, print_json, print_table
    from livepapers.core.files import write_atomic
    from livepapers.lab.evaluation import SavedPolicy, evaluate, let_in

    policy = let_in(artifact)
    found = evaluate(policy, episodes=episodes, seed=seed, env=env)
    low, high = found.interval or (None, None)
    summary: dict[str, Any] = {
        "world": found.world, "episodes": episodes, "mean return": float(found.returns.mean()),
        "95 % from": low, "to": high, "lowest": float(found.returns.min()), "highest": float(found.returns.max()),
        "mean length": float(found.lengths.mean()), "terminated": int(found.terminated.sum()),
    }  # fmt: skip
    if output is not None:
        rows = zip(found.returns.tolist(), found.lengths.tolist(), found.terminated.tolist(), strict=True)
        lines = [f"{index},{value!r},{length},{int(end)}\n" for index, (value, length, end) in enumerate(rows)]
        write_atomic(output, "".join(["episode,return,length,terminated\n", *lines]))
        note(f"episodes written to {output}")
    if as_json:
        slug = policy.description.slug if isinstance(policy, SavedPolicy) else None
        print_json({"artifact": str(artifact), "slug": slug, "seed": seed, **summary})
    else:
        print_table([summary], title=f"{policy.about}, seed {seed}")
