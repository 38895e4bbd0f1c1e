"""The network that equals a piecewise affine law, trainable parts that begin at zero, and the actor made of both."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from livepapers.core.errors import InputError
from livepapers.methods.yann_rl.explicit_mpc import FACET_TOLERANCE, PiecewiseAffineLaw

Coupling: TypeAlias = Literal["block", "dense"]
Bounds: TypeAlias = Sequence[Sequence[float]]
Outside: TypeAlias = Literal["zero", "saturate", "project", "lqr"]
BIG_M_REACH = 10.0
"""How many times the box of states the big M covers: beyond the box all regions must still be suppressed."""


class YannNetwork(nn.Module):
    """The literal network of five layers, float64, with no trainable part; `of` writes the weights.

        z1 = step(limits - normals s)     which of the q inequalities hold
        z2 = relu(members z1 + 1 - q_i)   which of the p regions hold s
        z3 = relu(first z2)               the first of them only: 1 on the diagonal, -1 below
        z4 = relu(+-(K_i s + r_i) + M z3_i - M)    two units a region and output: the law, or 0
        u  = sum over i of positive minus negative parts

    Outside all regions, up to ten times the box of states, the output is the input's set point.

    Args:
        states: n.
        inputs: m.
        rows: q.
        regions: p.
        state_bounds: (lower, upper) of the states that the law was made for, `[n]` each, as measured; none when left
            out. What is observed and done is declared with them, the network does not use them.
        input_bounds: The same for inputs, `[m]`.
    """

    weight_1: Tensor
    weight_2: Tensor
    weight_3: Tensor
    weight_4: Tensor
    weight_5: Tensor
    bias_1: Tensor
    bias_2: Tensor
    bias_4: Tensor
    state_set_point: Tensor
    input_set_point: Tensor

    def __init__(
        self,
        states: int,
        inputs: int,
        *,
        rows: int,
        regions: int,
        state_bounds: Bounds | None = None,
        input_bounds: Bounds | None = None,
    ) -> None:
        super().__init__()
        self.arguments = {
            "states": states, "inputs": inputs, "rows": rows, "regions": regions, "state_bounds": state_bounds,
            "input_bounds": input_bounds,
        }  # fmt: skip
        self.observation_space, self.action_space = _box(state_bounds, states), _box(input_bounds, inputs)
        shapes = {
            "weight_1": (rows, states), "bias_1": (rows,), "weight_2": (regions, rows), "bias_2": (regions,),
            "weight_3": (regions, regions), "weight_4": (2 * regions * inputs, states + regions),
            "bias_4": (2 * regions * inputs,), "weight_5": (inputs, 2 * regions * inputs),
            "state_set_point": (states,), "input_set_point": (inputs,),
        }  # fmt: skip
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    @classmethod
    def of(
        cls,
        law: PiecewiseAffineLaw,
        *,
        state_set_point: Sequence[float] | None = None,
        input_set_point: Sequence[float] | None = None,
    ) -> "YannNetwork":
        """Write a law into a network; the big M is just large enough on ten times the law's box of states."""
        regions, inputs, states = law.gains.shape
        centre, rest = or_zeros(state_set_point, states), or_zeros(input_set_point, inputs)
        made = cls(
            states, inputs, rows=len(law.limits), regions=regions,
            state_bounds=_around(centre, law.state_low, law.state_high),
            input_bounds=_around(rest, law.input_low, law.input_high),
        )  # fmt: skip
        big = big_m(law)
        members = np.zeros((regions, len(law.limits)))
        for region, (begin, end) in enumerate(itertools.pairwise(law.starts.tolist())):
            members[region, begin:end] = 1.0
        gains, offsets = law.gains.reshape(regions * inputs, states), law.offsets.reshape(-1)
        switch = big * np.repeat(np.eye(regions), inputs, axis=0)
        summing = np.tile(np.eye(inputs), regions)
        weights = {
            "weight_1": -law.normals, "bias_1": law.limits + FACET_TOLERANCE, "weight_2": members,
            "bias_2": 1.0 - members.sum(1), "weight_3": np.eye(regions) - np.tril(np.ones((regions, regions)), -1),
            "weight_4": np.vstack([np.hstack([gains, switch]), np.hstack([-gains, switch])]),
            "bias_4": np.concatenate([offsets, -offsets]) - big, "weight_5": np.hstack([summing, -summing]),
            "state_set_point": centre, "input_set_point": rest,
        }  # fmt: skip
        made.load_state_dict({name: torch.tensor(value, dtype=torch.float64) for name, value in weights.items()})
        return made

    def forward(self, observation: Tensor) -> Tensor:
        """Inputs `[batch, m]` for states `[batch, n]`, in the dtype of the states."""
        state = observation.to(self.weight_1.dtype) - self.state_set_point
        holds = (nn.functional.linear(state, self.weight_1, self.bias_1) >= 0).to(state.dtype)
        inside = torch.relu(nn.functional.linear(holds, self.weight_2, self.bias_2))
        first = torch.relu(nn.functional.linear(inside, self.weight_3))
        parts = torch.relu(nn.functional.linear(torch.cat([state, first], 1), self.weight_4, self.bias_4))
        return (nn.functional.linear(parts, self.weight_5) + self.input_set_point).to(observation.dtype)


class ZeroCorrection(nn.Module):
    """Networks of two tanh layers, one a region and output, that are exactly 0 at the start but not without gradient.

    Layer-1 units come in pairs with weights (w, b) and (-w, -b); both members of a pair go into layer 2 with the same
    weight, so its pre-activations cancel. The first update breaks the pairs. Layer 2 has no bias; its units are summed.
    With `coupling` "block" a region's layer 2 sees its own layer-1 units, with "dense" (the paper's counts) all.

    Args:
        inputs: Width of what the networks see.
        regions: p.
        outputs: m.
        nodes: Units of each layer, a region and output.
        coupling: "block" or "dense".
        scale: Initial weights are uniform on [-scale, scale].
        generator: Source of the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        *,
        regions: int,
        outputs: int,
        nodes: int,
        coupling: Coupling,
        scale: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.coupling = coupling
        self._half, self._outputs = nodes // 2, outputs
        odd = nodes % 2

        def draw(*shape: int) -> Tensor:
            return torch.empty(shape).uniform_(-scale, scale, generator=generator)

        weight, bias = draw(regions, self._half, inputs), draw(regions, self._half)
        spare = torch.zeros(regions, odd, inputs)
        self.weight_1 = nn.Parameter(torch.cat([weight, -weight, spare], 1))
        self.bias_1 = nn.Parameter(torch.cat([bias, -bias, spare[..., 0]], 1))
        blocks = 1 if coupling == "block" else regions
        shared, rest = draw(regions, outputs * nodes, blocks, self._half), draw(regions, outputs * nodes, blocks, odd)
        # the members of the pairs stand apart: summed one after the other, they cancel to the last bit
        self.weight_2 = nn.Parameter(torch.cat([shared.flatten(2), shared.flatten(2), rest.flatten(2)], 2))

    def forward(self, features: Tensor, region: Tensor) -> Tensor:
        """`[batch, outputs]` for `[batch, inputs]` features in regions `[batch]` int64."""
        regions, batch = len(self.weight_1), features.shape[0]
        before = nn.functional.linear(features, self.weight_1.flatten(0, 1), self.bias_1.flatten())
        hidden = torch.tanh(before).unflatten(1, (regions, -1))
        parts = hidden.tensor_split((self._half, 2 * self._half), dim=2)
        # all regions are computed and one is chosen: cheaper, forward and back, than fetching weights for each state
        blocks = 1 if self.coupling == "block" else regions
        weights = self.weight_2.split([blocks * part.shape[2] for part in parts], dim=2)
        if self.coupling == "block":
            one, other, spare = (
                torch.bmm(part.transpose(0, 1), weight.transpose(1, 2))
                for part, weight in zip(parts, weights, strict=True)
            )
            units = torch.tanh((one + other) + spare).transpose(0, 1)
        else:
            one, other, spare = (
                nn.functional.linear(part.flatten(1), weight.flatten(0, 1))
                for part, weight in zip(parts, weights, strict=True)
            )
            units = torch.tanh((one + other) + spare)
        values = units.reshape(batch, regions, self._outputs, -1).sum(3)
        if regions == 1:
            return values[:, 0]
        return values.gather(1, region[:, None, None].expand(-1, 1, self._outputs)).flatten(1)


class YannActor(nn.Module):
    """A piecewise affine law plus a trainable correction in each region, clipped to the input bounds.

    The law is frozen and float64, the same function as `YannNetwork` by look-up; the correction is float32.

    Args:
        law: The law, or what its `to_json` gave.
        nodes: Units of each layer of the correction, a region and output; 0 for none.
        coupling: See `ZeroCorrection`.
        outside: Outside all regions: "zero" as the paper's network, "saturate" (the bound on the side of the
            unconstrained feedback), "project" (the law of the region that is violated least) or "lqr" (the
            unconstrained feedback, clipped).
        scale: Of the correction's initial weights.
        state_set_point: Subtracted from observations, `[n]`; zeros when left out.
        input_set_point: Added to outputs, `[m]`; zeros when left out.
        generator: Source of the correction's initial weights; a fixed one when left out.
    """

    law_normals: Tensor
    law_limits: Tensor
    law_gains: Tensor
    law_offsets: Tensor
    law_feedback: Tensor
    law_low: Tensor
    law_high: Tensor
    law_state_set_point: Tensor
    law_input_set_point: Tensor
    width: Tensor

    def __init__(
        self,
        law: PiecewiseAffineLaw | dict[str, Any],
        *,
        nodes: int = 16,
        coupling: Coupling = "block",
        outside: Outside = "lqr",
        scale: float = 0.01,
        state_set_point: Sequence[float] | None = None,
        input_set_point: Sequence[float] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.law = PiecewiseAffineLaw.from_json(law) if isinstance(law, dict) else law
        self.outside: Outside = outside
        if outside not in {"zero", "saturate", "project", "lqr"}:
            raise InputError.of("outside", outside, expected="one of zero, saturate, project, lqr")
        regions, inputs, states = self.law.gains.shape
        self.correction = None
        if nodes:
            stream = torch.Generator().manual_seed(0) if generator is None else generator
            self.correction = ZeroCorrection(
                states, regions=regions, outputs=inputs, nodes=nodes, coupling=coupling, scale=scale, generator=stream
            )
        points = (or_zeros(state_set_point, states), or_zeros(input_set_point, inputs))
        self._settings = {
            "nodes": nodes, "coupling": coupling, "outside": outside, "scale": scale,
            "state_set_point": points[0].tolist(), "input_set_point": points[1].tolist(),
        }  # fmt: skip
        self.observation_space = _box(_around(points[0], self.law.state_low, self.law.state_high), states)
        self.action_space = _box(_around(points[1], self.law.input_low, self.law.input_high), inputs)
        self._keep_law(points)

    @property
    def arguments(self) -> dict[str, Any]:
        """What rebuilds the actor, in JSON values."""
        return {"law": self.law.to_json(), **self._settings}

    def _keep_law(self, points: tuple[np.ndarray, np.ndarray]) -> None:
        """The law's tables as buffers that files do not repeat; regions are padded to the same number of rows."""
        law, rows = self.law, np.diff(self.law.starts)
        normals = np.zeros((law.regions, int(rows.max()), law.normals.shape[1]))
        limits = np.ones(normals.shape[:2])
        for region, (begin, end) in enumerate(itertools.pairwise(law.starts.tolist())):
            normals[region, : end - begin], limits[region, : end - begin] = (
                law.normals[begin:end],
                law.limits[begin:end],
            )
        tables = {
            "normals": normals.reshape(-1, normals.shape[2]).T, "limits": limits.reshape(-1), "gains": law.gains,
            "offsets": law.offsets, "feedback": law.feedback.T, "low": law.input_low, "high": law.input_high,
            "state_set_point": points[0], "input_set_point": points[1],
        }  # fmt: skip
        for name, value in tables.items():
            tensor = torch.tensor(np.ascontiguousarray(value), dtype=torch.float64)
            self.register_buffer(f"law_{name}", tensor, persistent=False)
        width = np.maximum(law.state_high, -law.state_low)
        self.register_buffer("width", torch.tensor(width, dtype=torch.float32), persistent=False)

    def regions(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """(region, inside): the first region that holds a state in deviations, or the one violated least.

        Args:
            state: `[batch, n]` float64.

        Returns:
            `[batch]` int64 and `[batch]` bool.
        """
        over = torch.addmm(self.law_limits, state, self.law_normals, beta=-1)
        worst = over.unflatten(1, (self.law.regions, -1)).amax(2)
        held = worst <= FACET_TOLERANCE
        inside = held.any(1)
        # `argmax` of the truth values is the first that is true, as in the network's third layer
        region = torch.where(inside, held.to(torch.uint8).argmax(1), worst.argmin(1))
        return region, inside

    def forward(self, observation: Tensor) -> Tensor:
        """Inputs `[batch, m]` for states `[batch, n]`, in the dtype of the states."""
        state = observation.to(torch.float64) - self.law_state_set_point
        with torch.no_grad():
            region, inside = self.regions(state)
            move = (self.law_gains[region] @ state.unsqueeze(2)).flatten(1) + self.law_offsets[region]
            # an exported actor takes this way always: whether it is needed depends on the states
            if torch.onnx.is_in_onnx_export() or not bool(inside.all()):
                move = torch.where(inside.unsqueeze(1), move, self._beyond(state, move))
        if self.correction is not None:
            correction = self.correction(state.to(torch.float32) / self.width, region)
            move = move + correction * inside.unsqueeze(1)
        return (_clipped(move, self.law_low, self.law_high) + self.law_input_set_point).to(observation.dtype)

    def _beyond(self, state: Tensor, projected: Tensor) -> Tensor:
        """What is done outside all regions, `[batch, m]`, before clipping."""
        if self.outside == "zero":
            return torch.zeros_like(projected)
        if self.outside == "project":
            return projected
        wanted = state @ self.law_feedback
        return wanted if self.outside == "lqr" else torch.where(wanted >= 0, self.law_high, self.law_low)


class _Clip(torch.autograd.Function):
    """Clipping that lets those gradients through by which a descent would come back from beyond the bounds.

    Where the law rests on a bound, and in most regions of a constrained law it does, one rounding error beyond it would
    leave the correction without any gradient for good.
    """

    @staticmethod
    def forward(ctx: Any, move: Tensor, low: Tensor, high: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(move, low, high)
        return torch.clamp(move, low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        move, low, high = ctx.saved_tensors
        stuck = ((move >= high) & (gradient < 0)) | ((move <= low) & (gradient > 0))
        return gradient.masked_fill(stuck, 0.0), None, None


def _clipped(move: Tensor, low: Tensor, high: Tensor) -> Tensor:
    if move.requires_grad and not torch.onnx.is_in_onnx_export():
        return _Clip.apply(move, low, high)  # type: ignore[return-value]
    return torch.clamp(move, low, high)


def big_m(law: PiecewiseAffineLaw) -> float:
    """More than |K_i s + r_i| of any region, anywhere in ten times the box: what the fourth layer suppresses with."""
    wide = BIG_M_REACH * np.maximum(law.state_high, -law.state_low)
    return float((np.abs(law.gains) @ wide + np.abs(law.offsets)).max()) + 1e-6


def parameter_counts(
    states: int, inputs: int, *, rows: int, regions: int, nodes: int, coupling: Coupling = "dense"
) -> tuple[int, int]:
    """(trainable, frozen) numbers of the paper's actor, by its layout (section 3.4 of the specification).

    The suppression layer also carries the correction, hence its nodes among the frozen ones.
    """
    units = nodes * regions
    second = units * units if coupling == "dense" else units * nodes
    trainable = units * states + units + second * inputs
    frozen = rows * (states + 1) + regions * (rows + 1) + regions**2 + (states + 1) * 2 * regions * inputs
    frozen += (regions + 2 * regions * inputs + units + 1) * 2 * regions * inputs + 2 * regions * inputs
    return trainable, frozen


def or_zeros(values: Sequence[float] | None, size: int) -> np.ndarray:
    """The values, or so many zeros where there are none."""
    return np.zeros(size) if values is None else np.array(values, dtype=np.float64)


def _around(centre: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[list[float]]:
    """Bounds in deviations, as they are measured."""
    return [(centre + low).tolist(), (centre + high).tolist()]


def _box(bounds: Bounds | None, size: int) -> Box:
    """The space between bounds; all real numbers where there are none."""
    low, high = ([-np.inf] * size, [np.inf] * size) if bounds is None else bounds
    return Box(np.array(low, np.float32), np.array(high, np.float32), dtype=np.float32)
