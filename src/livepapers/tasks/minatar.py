"""Three games of MinAtar (Young and Tian 2019), batched: pictures of 10 x 10 pixels, a few binary planes each.

Written from the games' rules; a test replays what was recorded of the package MinAtar 1.0.15. Actions are
the minimal sets. With probability `sticky` a step repeats the action before it; the coin is part of the state, so that
`decide` stays deterministic.

Breakout pays 1 a brick and ends when the ball passes the paddle. Freeway pays 1 for each crossing and never ends by
itself. Space Invaders pays 1 an alien and ends when an alien or its bullet reaches the cannon; each wave marches faster
than the one before (the package's ramping, always on). The package has no longest episode of Breakout and of Space
Invaders, and 2,500 steps of Freeway; here `horizon` truncates all three.
"""

from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError

SIZE = 10
STICKY = 0.1
FLIP_ACROSS, FLIP_DOWN, FLIP_BOTH = (torch.tensor(turn) for turn in ([1, 0, 3, 2], [3, 2, 1, 0], [2, 3, 0, 1]))
"""Directions are 0 up-left, 1 up-right, 2 down-right, 3 down-left."""
CARS, WAIT = 8, 3  # Freeway: lanes with a car, steps between two moves of the chicken
RELOAD, AIM = 5, 10  # Space Invaders: steps between two shots of the cannon, and of the aliens
SLOWEST, FASTEST = 12, 6  # steps between two moves of the first wave, and of the seventh and later ones
WAVE = (slice(None), slice(0, 4), slice(2, 8))  # where aliens begin


class BreakoutState(NamedTuple):
    """Where everything is, `[B]` int64 unless said otherwise."""

    x: Tensor
    y: Tensor
    direction: Tensor
    paddle: Tensor
    bricks: Tensor  # [B, 10, 10] bool
    struck: Tensor  # [B] bool: the last step met a brick, so the next one passes through
    last_x: Tensor
    last_y: Tensor
    last_action: Tensor
    sticks: Tensor  # [B] bool: the next action is the last one again


class BreakoutPost(NamedTuple):
    """After the deterministic half."""

    state: BreakoutState
    over: Tensor  # [B] bool


class FreewayState(NamedTuple):
    """Where everything is, `[B]` or `[B, car]` int64 unless said otherwise."""

    row: Tensor  # of the chicken; 9 is the start, 0 the other side
    wait: Tensor  # steps until it may move
    cars: Tensor  # columns
    countdown: Tensor  # steps until each car moves
    speed: Tensor  # steps between moves, signed by direction
    last_action: Tensor
    sticks: Tensor  # [B] bool


class FreewayPost(NamedTuple):
    """After the chicken's move, before the traffic's."""

    state: FreewayState
    crossed: Tensor  # [B] bool


class FreewayNoise(NamedTuple):
    """What is random in a step."""

    sticks: Tensor  # [B] bool
    speed: Tensor  # [B, car] int64, of the traffic that follows a crossing


class InvadersState(NamedTuple):
    """Where everything is, `[B]` int64 unless said otherwise."""

    cannon: Tensor
    aliens: Tensor  # [B, 10, 10] bool
    shots: Tensor  # [B, 10, 10] bool, of the cannon
    bombs: Tensor  # [B, 10, 10] bool, of the aliens
    direction: Tensor  # of the aliens; -1 left, 1 right
    reload: Tensor  # steps until the cannon may shoot
    aim: Tensor  # steps until an alien shoots
    march: Tensor  # steps until the aliens move
    pace: Tensor  # steps between two moves, at most one for each alien that lives
    last_action: Tensor
    sticks: Tensor  # [B] bool


class InvadersPost(NamedTuple):
    """After the deterministic half."""

    state: InvadersState
    over: Tensor  # [B] bool


class _Game:
    """What the games share."""

    def __init__(self, name: str, *, planes: int, actions: int, horizon: int, sticky: float) -> None:
        if not 0.0 <= sticky <= 1.0:
            raise InputError.of("sticky", sticky, expected="a probability")
        if not isinstance(horizon, int) or horizon < 1:
            raise InputError.of("horizon", horizon, expected="a whole number >= 1")
        self.name, self.horizon, self.sticky = name, horizon, sticky
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (planes, SIZE, SIZE), np.float32)
        self.action_space = gymnasium.spaces.Discrete(actions)

    @property
    def world(self) -> dict[str, Any]:
        """Name and arguments by which `tasks.worlds` makes this world again."""
        return {"name": self.name, "arguments": {"horizon": self.horizon, "sticky": self.sticky}}

    def mask(self, state: Any) -> Tensor | None:
        """All actions are allowed."""
        del state

    def _coin(self, batch: int, generator: torch.Generator) -> Tensor:
        return torch.rand(batch, generator=generator) < self.sticky

    def _picture(self, batch: int) -> tuple[Tensor, Tensor]:
        shape = self.observation_space.shape
        assert shape is not None  # a box has one
        return torch.zeros(batch, *shape), torch.arange(batch)


class Breakout(_Game):
    """A `Simulator`: planes paddle, ball, trail, bricks; actions stay, left, right.

    Args:
        horizon: Steps at most.
        sticky: Probability that an action is repeated; MinAtar 0.1.
    """

    def __init__(self, horizon: int = 1000, *, sticky: float = STICKY) -> None:
        super().__init__("minatar-breakout", planes=4, actions=3, horizon=horizon, sticky=sticky)

    def initial(self, batch: int, generator: torch.Generator) -> BreakoutState:
        """The ball at the left or the right edge, below three rows of bricks."""
        right = torch.randint(2, (batch,), generator=generator)
        x, zero = 9 * right, torch.zeros(batch, dtype=torch.int64)
        bricks = torch.zeros(batch, SIZE, SIZE, dtype=torch.bool)
        bricks[:, 1:4] = True
        y, coin = zero + 3, self._coin(batch, generator)
        return BreakoutState(x, y, 2 + right, zero + 4, bricks, zero.bool(), x, y, zero, coin)

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:
        """Whether the next action sticks, `[B]` bool."""
        del t
        return self._coin(batch, generator)

    def observe(self, state: BreakoutState) -> Tensor:
        """`[B, 4, 10, 10]` of 0 and 1."""
        seen, lane = self._picture(len(state.x))
        seen[lane, 0, 9, state.paddle] = 1.0
        seen[lane, 1, state.y, state.x] = 1.0
        seen[lane, 2, state.last_y, state.last_x] = 1.0
        seen[:, 3] = state.bricks.float()
        return seen

    def decide(self, state: BreakoutState, action: Tensor) -> tuple[BreakoutPost, Tensor]:
        """All but the next coin: paddle, ball, walls, bricks."""
        action = torch.where(state.sticks, state.last_action, action)
        paddle = (state.paddle - (action == 1).long() + (action == 2).long()).clamp(0, 9)
        way, lane = state.direction, torch.arange(len(state.x))
        x = state.x + torch.where((way == 1) | (way == 2), 1, -1)
        y = (state.y + torch.where(way >= 2, 1, -1)).clamp(max=9)  # whoever steps on after the end stays at the floor
        way = torch.where((x < 0) | (x > 9), FLIP_ACROSS[way], way)
        x, roof = x.clamp(0, 9), y < 0
        y, way = y.clamp(min=0), torch.where(roof, FLIP_DOWN[way], way)
        met = ~roof & state.bricks[lane, y, x]
        broken = met & ~state.struck
        bricks = state.bricks.clone()
        bricks[lane, y, x] &= ~broken
        floor = ~roof & ~met & (y == 9)
        refilled = floor & ~bricks.flatten(1).any(1)
        bricks[:, 1:4] |= refilled[:, None, None]
        straight = floor & (state.x == paddle)
        corner = floor & ~straight & (x == paddle)
        way = torch.where(broken | straight, FLIP_DOWN[way], torch.where(corner, FLIP_BOTH[way], way))
        y = torch.where(broken | straight | corner, state.y, y)
        after = BreakoutState(x, y, way, paddle, bricks, met, state.x, state.y, action, state.sticks)
        return BreakoutPost(after, floor & ~straight & ~corner), broken.float()

    def resolve(self, post: BreakoutPost, noise: Tensor) -> tuple[BreakoutState, Tensor, Tensor]:
        """The next coin."""
        return post.state._replace(sticks=noise), torch.zeros(len(noise)), post.over


class Freeway(_Game):
    """A `Simulator`: planes chicken, cars, and the trails of cars of speed 1 to 5; actions stay, up, down.

    Args:
        horizon: Steps at most; MinAtar 2,500.
        sticky: Probability that an action is repeated; MinAtar 0.1.
    """

    def __init__(self, horizon: int = 2500, *, sticky: float = STICKY) -> None:
        super().__init__("minatar-freeway", planes=7, actions=3, horizon=horizon, sticky=sticky)

    def initial(self, batch: int, generator: torch.Generator) -> FreewayState:
        """The chicken at the bottom, all cars at the left, of random speeds."""
        coin, speed = self.draw(batch, 0, generator)
        zero = torch.zeros(batch, dtype=torch.int64)
        return FreewayState(zero + 9, zero + WAIT, torch.zeros_like(speed), speed.abs(), speed, zero, coin)

    def draw(self, batch: int, t: int, generator: torch.Generator) -> FreewayNoise:
        """The coin, and the traffic that a crossing would bring."""
        del t
        coin = self._coin(batch, generator)
        size = torch.randint(1, 6, (batch, CARS), generator=generator)
        return FreewayNoise(coin, size * (2 * torch.randint(2, (batch, CARS), generator=generator) - 1))

    def observe(self, state: FreewayState) -> Tensor:
        """`[B, 7, 10, 10]` of 0 and 1."""
        seen, lane = self._picture(len(state.row))
        rows = torch.arange(1, CARS + 1).expand_as(state.cars)
        seen[lane, 0, state.row, 4] = 1.0
        seen[lane[:, None], 1, rows, state.cars] = 1.0
        seen[lane[:, None], 1 + state.speed.abs(), rows, (state.cars - state.speed.sign()) % SIZE] = 1.0
        return seen

    def decide(self, state: FreewayState, action: Tensor) -> tuple[FreewayPost, Tensor]:
        """The chicken's move."""
        action = torch.where(state.sticks, state.last_action, action)
        moves = (state.wait == 0) & (action > 0)
        row = torch.where(moves, state.row + torch.where(action == 1, -1, 1), state.row).clamp(0, 9)
        crossed = row == 0
        after = state._replace(
            row=torch.where(crossed, 9, row), wait=torch.where(moves, WAIT, state.wait), last_action=action
        )
        return FreewayPost(after, crossed), crossed.float()

    def resolve(self, post: FreewayPost, noise: FreewayNoise) -> tuple[FreewayState, Tensor, Tensor]:
        """New traffic after a crossing, then the cars' moves; who is hit starts again."""
        state, fresh = post.state, post.crossed[:, None]
        speed = torch.where(fresh, noise.speed, state.speed)
        countdown = torch.where(fresh, speed.abs(), state.countdown)
        here = torch.arange(1, CARS + 1) == state.row[:, None]
        hit = (here & (state.cars == 4)).any(1)
        due = countdown == 0
        cars = torch.where(due, (state.cars + speed.sign()) % SIZE, state.cars)
        hit = hit | (here & due & (cars == 4)).any(1)
        countdown = torch.where(due, speed.abs(), countdown - 1)
        row, wait = torch.where(hit, 9, state.row), (state.wait - 1).clamp(min=0)
        after = FreewayState(row, wait, cars, countdown, speed, state.last_action, noise.sticks)
        return after, torch.zeros(len(row)), torch.zeros(len(row), dtype=torch.bool)


class SpaceInvaders(_Game):
    """A `Simulator`: planes cannon, aliens, of them the left-going, the right-going, shots, bombs.

    Actions stay, left, right, fire. Only the repeated actions are random.

    Args:
        horizon: Steps at most.
        sticky: Probability that an action is repeated; MinAtar 0.1.
    """

    def __init__(self, horizon: int = 1000, *, sticky: float = STICKY) -> None:
        super().__init__("minatar-space-invaders", planes=6, actions=4, horizon=horizon, sticky=sticky)

    def initial(self, batch: int, generator: torch.Generator) -> InvadersState:
        """The first wave, about to go left; nobody has shot."""
        zero, empty = torch.zeros(batch, dtype=torch.int64), torch.zeros(batch, SIZE, SIZE, dtype=torch.bool)
        aliens = empty.clone()
        aliens[WAVE] = True
        coin = self._coin(batch, generator)
        return InvadersState(
            zero + 5, aliens, empty, empty, zero - 1, zero, zero + AIM, zero + SLOWEST, zero + SLOWEST, zero, coin
        )

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:
        """Whether the next action sticks, `[B]` bool."""
        del t
        return self._coin(batch, generator)

    def observe(self, state: InvadersState) -> Tensor:
        """`[B, 6, 10, 10]` of 0 and 1."""
        left, cannon = (state.direction < 0)[:, None, None], torch.zeros_like(state.aliens)
        cannon[torch.arange(len(cannon)), 9, state.cannon] = True
        planes = (cannon, state.aliens, state.aliens & left, state.aliens & ~left, state.shots, state.bombs)
        return torch.stack(planes, 1).float()

    def decide(self, state: InvadersState, action: Tensor) -> tuple[InvadersPost, Tensor]:
        """All but the next coin: the cannon, what flies, the aliens' move, their bomb, who is hit, the next wave."""
        action = torch.where(state.sticks, state.last_action, action)
        cannon = (state.cannon - (action == 1).long() + (action == 2).long()).clamp(0, 9)
        fires, lane = (action == 3) & (state.reload == 0), torch.arange(len(cannon))
        shots, bombs = state.shots.roll(-1, 1), state.bombs.roll(1, 1)
        shots[:, 9], bombs[:, 0] = False, False
        shots[lane, 8, cannon] |= fires  # it has left the cannon's row already
        aliens, turns, marches = _marched(state)
        over = bombs[lane, 9, cannon] | state.aliens[lane, 9, cannon] | aliens[lane, 9, cannon]
        over = over | (turns & state.aliens[:, 9].any(1))
        alive = state.aliens.flatten(1).sum(1)
        march = torch.where(marches, torch.minimum(alive, state.pace), state.march) - 1
        drops = state.aim == 0
        row, column = _nearest(aliens, cannon)
        bombs[lane, row, column] |= drops
        met = aliens & shots
        aliens, shots = aliens & ~met, shots & ~met
        cleared = ~aliens.flatten(1).any(1)
        aliens[WAVE] |= cleared[:, None, None]
        after = InvadersState(
            cannon, aliens, shots, bombs,
            direction=torch.where(turns, -state.direction, state.direction),
            reload=(torch.where(fires, RELOAD, state.reload) - 1).clamp(min=0),
            aim=torch.where(drops, AIM, state.aim) - 1,
            march=march,
            pace=(state.pace - cleared.long()).clamp(min=FASTEST),
            last_action=action, sticks=state.sticks,
        )  # fmt: skip
        return InvadersPost(after, over), met.flatten(1).sum(1).float()

    def resolve(self, post: InvadersPost, noise: Tensor) -> tuple[InvadersState, Tensor, Tensor]:
        """The next coin."""
        return post.state._replace(sticks=noise), torch.zeros(len(noise)), post.over


def _marched(state: InvadersState) -> tuple[Tensor, Tensor, Tensor]:
    """The aliens a step later; which lanes' turn at the edge, so that they come one row down; which lanes' move."""
    left = state.direction < 0
    marches = state.march == 0
    turns = marches & torch.where(left, state.aliens[:, :, 0].any(1), state.aliens[:, :, 9].any(1))
    aside = torch.where(left[:, None, None], state.aliens.roll(-1, 2), state.aliens.roll(1, 2))
    moved = torch.where(turns[:, None, None], state.aliens.roll(1, 1), aside)
    return torch.where(marches[:, None, None], moved, state.aliens), turns, marches


def _nearest(aliens: Tensor, cannon: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of the lowest alien in the column nearest to the cannon, of two such the left one."""
    place = torch.arange(SIZE)
    far = 2 * (place - cannon[:, None]).abs() + (place > cannon[:, None]).long()
    column = far.masked_fill(~aliens.any(1), 2 * SIZE).argmin(1)
    rows = aliens[torch.arange(len(cannon)), :, column]
    return torch.where(rows, place, 0).argmax(1), column
