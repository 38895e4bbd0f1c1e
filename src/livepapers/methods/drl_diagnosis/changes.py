"""Natural changes of pictures; where a parameter says "nothing", nothing is changed at all.

Pictures are `[B, planes, height, width]` with numbers from `low` to `high`, and stay there.
"""

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

from livepapers.core.errors import InputError


def brightness(pictures: Tensor, *, gain: float = 0.9, offset: float = 0.05) -> Tensor:
    """Contrast and brightness: gain s + offset, in shares of the range."""
    return (gain * pictures + offset).clamp(0.0, 1.0)


def rotation(pictures: Tensor, *, degrees: float = 3.0) -> Tensor:
    """Turned about the middle, bilinearly; what comes from outside repeats the edge."""
    if degrees == 0.0:
        return pictures
    turn = math.radians(degrees)
    height, width = pictures.shape[-2:]
    rows = [
        [math.cos(turn), -math.sin(turn) * height / width, 0.0],
        [math.sin(turn) * width / height, math.cos(turn), 0.0],
    ]
    grid = functional.affine_grid(
        torch.tensor([rows]).expand(len(pictures), 2, 3), list(pictures.shape), align_corners=False
    )  # fmt: skip
    return _sampled(pictures, grid)


def perspective(pictures: Tensor, *, shift: float = 0.03) -> Tensor:
    """The two upper corners are moved inwards by a share of the width: a camera that tilts."""
    if shift == 0.0:
        return pictures
    height, width = pictures.shape[-2:]
    y, x = torch.meshgrid(_middles(height), _middles(width), indexing="ij")
    # where an output pixel comes from: a projective map that fixes the lower corners, (+-narrow, -1) from (+-1, -1)
    narrow = 1.0 - 2.0 * shift
    depth = (1.0 + narrow) / 2.0 + y * (1.0 - narrow) / 2.0
    grid = torch.stack([x / depth, ((1.0 + narrow) * y + 1.0 - narrow) / (2.0 * depth)], -1)
    return _sampled(pictures, grid.expand(len(pictures), height, width, 2))


def blur(pictures: Tensor, *, deviation: float = 0.5) -> Tensor:
    """A Gaussian of this standard deviation, in pixels; the edge is repeated."""
    if deviation == 0.0:
        return pictures
    reach = max(math.ceil(3.0 * deviation), 1)
    line = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2.0 * deviation**2))
    line = line / line.sum()
    planes = pictures.shape[1]
    wide = functional.pad(pictures, (reach,) * 4, mode="replicate")
    wide = functional.conv2d(wide, line.reshape(1, 1, 1, -1).expand(planes, 1, 1, -1), groups=planes)
    return functional.conv2d(wide, line.reshape(1, 1, -1, 1).expand(planes, 1, -1, 1), groups=planes).clamp(0.0, 1.0)


def compression(pictures: Tensor, *, step: float = 0.3) -> Tensor:
    """As JPEG does it: blocks of at most 8 x 8 in the cosine basis, coefficients rounded to whole steps.

    The step of frequency (u, v) is `step` (1 + u + v) / 4: higher frequencies are kept more coarsely.
    """
    if step == 0.0:
        return pictures
    height, width = pictures.shape[-2:]
    found = torch.empty_like(pictures)
    for top in range(0, height, 8):
        for left in range(0, width, 8):
            block = pictures[..., top : top + 8, left : left + 8]
            down, across = _cosines(block.shape[-2]), _cosines(block.shape[-1])
            sizes = step * (1.0 + torch.arange(len(down))[:, None] + torch.arange(len(across))) / 4.0
            kept = (down @ block @ across.T / sizes).round() * sizes
            found[..., top : top + 8, left : left + 8] = down.T @ kept @ across
    return found.clamp(0.0, 1.0)


NATURAL = {
    "brightness": brightness, "rotation": rotation, "perspective": perspective, "blur": blur,
    "compression": compression,
}  # fmt: skip


def natural(name: str, pictures: Tensor, *, low: float, high: float) -> Tensor:
    """A change with its default parameters, of pictures whose numbers go from `low` to `high`.

    Raises:
        InputError: No such change.
    """
    if name not in NATURAL:
        raise InputError.of("change", name, expected=f"one of {', '.join(NATURAL)}")
    span = high - low
    return low + span * NATURAL[name]((pictures - low) / span)


def mean_size(changed: Tensor, pictures: Tensor) -> float:
    """Mean l2 norm of a change."""
    return float((changed - pictures).flatten(1).norm(dim=1).mean()) if len(pictures) else 0.0


@functools.cache
def _cosines(size: int) -> Tensor:
    """The orthonormal cosine basis, `[frequency, place]`."""
    places = (torch.arange(size) + 0.5) * math.pi / size
    rows = torch.cos(torch.arange(size)[:, None] * places) * math.sqrt(2.0 / size)
    rows[0] /= math.sqrt(2.0)
    return rows


def _middles(size: int) -> Tensor:
    """Pixel middles from -1 to 1."""
    return (2.0 * torch.arange(size) + 1.0) / size - 1.0


def _sampled(pictures: Tensor, grid: Tensor) -> Tensor:
    found = functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return found.clamp(0.0, 1.0)
