"""An archive that an earlier application left: listed, drawn, and its policies replayed."""

import json
import math
import shlex
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from livepapers.blocks.policies import BoxPolicy
from livepapers.core import artifact
from livepapers.core.application import Application, Row, rounded
from livepapers.core.artifact import Artifact
from livepapers.core.errors import InputError
from livepapers.core.files import new_folder
from livepapers.core.learner import JSON
from livepapers.core.rng import derive
from livepapers.methods.dcg_map_elites import atlas
from livepapers.methods.dcg_map_elites.episodes import Episodes, Player
from livepapers.methods.dcg_map_elites.policies import ConditionedPolicy, Genotypes
from livepapers.methods.dcg_map_elites.repertoire import Repertoire
from livepapers.tasks import worlds

CELLS, REPLAY = "Best cells", "Replay"
MOST_SHOWN = 20


def looked_up(
    folder: Path, kept: Repertoire, cell: int, at: str, distilled: bool, episodes: int, seed: int, output: Path | None
) -> Application:
    """The archive of a folder listed, or one of its policies replayed."""
    archive, described = kept.archive, kept.world.descriptor
    if distilled and not at:
        raise InputError.of("distilled", True, expected="--at with what it shall do")
    if at and cell >= 0:
        raise InputError.of("cell", cell, expected="no --at beside it")
    if not at and cell < 0:
        headline = (
            f"{folder.name}: {len(archive.occupied)} policies in {len(archive.fitness)} cells of {kept.world.name}"
        )
        return Application("dcg-map-elites", headline, {CELLS: cell_rows(kept)[:MOST_SHOWN]})
    wanted = _asked(kept, at) if at else None
    if wanted is not None:
        cell = archive.nearest(described.normalised(wanted))
    if cell >= len(archive.fitness) or not bool(torch.isfinite(archive.fitness[cell])):
        shown = ", ".join(str(one) for one in archive.occupied[:8].tolist())
        raise InputError.of("cell", cell, expected=f"the number of an occupied cell: {shown}, ...")
    player = Player(kept.world, kept.offset)
    genotypes = Genotypes(player.observation_space, player.action_space, hidden=kept.hidden)
    if genotypes.parameters != archive.genomes.shape[1]:
        raise InputError.of("archive", folder, expected=f"policies of {genotypes.parameters} weights for this world")
    if distilled and wanted is not None:
        made, places = _told(folder, wanted), {"asked for": wanted}
    else:
        made, stored = genotypes.policy(archive.genomes[cell]), kept.descriptor_of(cell)
        places = {"kept in the cell": stored} if wanted is None else {"asked for": wanted, "kept in the cell": stored}
    shape = player.observation_space.shape or (1,)
    played = player.in_parts(
        lambda _: lambda seen: made(seen.unflatten(1, shape)), episodes, seed=derive(seed, "dcg-map-elites", "replay")
    )
    name = f"distilled policy at {at}" if distilled else f"cell {cell}"
    done = _replayed(kept, name, places, played)
    return done if output is None else _write_policy(done, output, made, kept, {"from": name, "seed": seed})


def _asked(kept: Repertoire, at: str) -> Tensor:
    """The descriptor that `--at` names, in its own units."""
    described = kept.world.descriptor
    wanted = torch.tensor(listed("at", at, f"{described.size} numbers"))
    if len(wanted) != described.size or bool((described.clipped(wanted) != wanted).any()):
        box = ", ".join(f"{a:g} to {b:g}" for a, b in zip(described.low, described.high, strict=True))
        raise InputError.of("at", at, expected=f"{described.size} numbers inside the box: {box}")
    return wanted


def _told(folder: Path, wanted: Tensor) -> BoxPolicy:
    """The distilled policy of a folder, folded for one descriptor."""
    _, network = artifact.load_policy(folder)
    if not isinstance(network, ConditionedPolicy):
        raise InputError.of("archive", folder, expected="a distilled policy beside the archive")
    return network.specialise(wanted)


def _replayed(kept: Repertoire, name: str, places: dict[str, Tensor], played: Episodes) -> Application:
    """A policy's fresh episodes beside what was asked of it, or what it is kept for."""
    described = kept.world.descriptor
    reached = described.restored(played.descriptor)
    target, place = next(iter(places.items()))
    gap = float(described.apart(reached, place).mean())
    rows: list[Row] = [
        {"": what, **dict(zip(described.names, map(rounded, values.tolist()), strict=True))}
        for what, values in (*places.items(), ("reached, mean", reached.mean(0)))
    ]
    count, fitness = len(played.fitness), f"fitness {rounded(float(played.fitness.mean())):g}"
    if kept.offset:
        returned = float(played.fitness.mean()) - kept.offset * len(played.owner) / count
        fitness = f"return {rounded(returned):g} ({fitness}, the offset of {kept.offset:g} a step included)"
    headline = (
        f"{name}: {fitness} on {count} fresh episode{'s' if count > 1 else ''}, "
        f"{gap:.3g} % of the box's diagonal from what is {target}"
    )
    return Application("dcg-map-elites", headline, {REPLAY: rows})


def _write_policy(
    done: Application, output: Path, made: BoxPolicy, kept: Repertoire, made_by: dict[str, JSON]
) -> Application:
    """One policy as an artifact, whole or not at all."""
    described = Artifact(
        kind="policy", slug="dcg-map-elites", architecture="blocks.policies:BoxPolicy", made_by=made_by,
        arguments=made.arguments, spaces={"task": {"name": kept.world.name, "arguments": kept.world.arguments}},
    )  # fmt: skip
    holds = {
        "artifact.json": "what the policy is and what made it", artifact.WEIGHTS: "its weights",
        "application.json": "all of it, for programs",
    }  # fmt: skip
    done = replace(done, files=holds)
    files = {"application.json": json.dumps(done.to_json(), indent=2) + "\n"}
    with new_folder(output) as folder:
        artifact.save(folder, described, weights=made.state_dict(), files=files)
    return replace(done, output=output)


def cell_rows(kept: Repertoire) -> list[Row]:
    """Occupied cells, the best first."""
    archive = kept.archive
    order = archive.occupied[torch.argsort(archive.fitness[archive.occupied], descending=True, stable=True)]
    names = kept.world.descriptor.names
    places = [map(rounded, kept.descriptor_of(cell).tolist()) for cell in order.tolist()]
    return [
        {"cell": cell, **dict(zip(names, place, strict=True)), "fitness": rounded(float(archive.fitness[cell]))}
        for cell, place in zip(order.tolist(), places, strict=True)
    ]


def page_of(kept: Repertoire, headline: str, folder: Path) -> str:
    """The archive as HTML; drawn where the descriptor has two numbers."""
    described, archive = kept.world.descriptor, kept.archive
    rows = cell_rows(kept)
    said = {int(row["cell"]): row for row in rows}  # type: ignore[arg-type]
    labels = [
        ", ".join(f"{key} {value}" for key, value in said[cell].items()) if cell in said else f"cell {cell}: empty"
        for cell in range(len(archive.fitness))
    ]
    drawing = ""
    if described.size == 2:
        drawing = atlas.map_svg(
            archive.centroids.double().numpy(), archive.fitness.double().numpy(), names=described.names, labels=labels,
            ends=tuple(zip(described.low, described.high, strict=True)),
        )  # fmt: skip
    command = _command(kept, folder)
    lines = [
        (int(row["cell"]), [*(str(value) for value in row.values()), f"{command} --cell {row['cell']}"])  # type: ignore[arg-type]
        for row in rows
    ]
    header = ["cell", *described.names, "fitness", "replay it"]
    title = f"Repertoire for {kept.world.name}"
    return atlas.page(title=title, about=headline, drawing=drawing, header=header, rows=lines)


def _command(kept: Repertoire, folder: Path) -> str:
    """What opens the archive again, for a shell; what a file may not name is typed there."""
    words = ["livepapers", "apply", "dcg-map-elites", "--archive", str(folder)]
    if worlds.names_module(kept.world.name):
        words += ["--env", worlds.typed(kept.world.name, kept.world.arguments)]
    if kept.function:
        words += ["--descriptor-from", kept.function]
    return shlex.join(words)


def listed(field: str, text: str, expected: str) -> tuple[float, ...]:
    """Finite numbers separated by commas; raises `InputError`."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = (math.nan,)
    if not all(map(math.isfinite, found)):
        raise InputError.of(field, text.strip() or "nothing", expected=f"{expected} separated by commas")
    return found
