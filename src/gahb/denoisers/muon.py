"""Muon, an optimiser of matrices and convolutions.

Muon (K. Jordan and others, 2024, https://kellerjordan.github.io/posts/muon/) replaces the gradient of a
matrix by the nearest orthogonal one. ``torch.optim.Muon`` takes matrices only, one at a time; this one
takes convolutions, and orthogonalises those with equally many rows together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from gahb.denoisers.outer_layers import outer_layers

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # a, b, c of x -> a x + b x^3 + c x^5, from the post above
ITERATIONS = 5
MOMENTUM = 0.95


def as_matrix(weight: Tensor) -> Tensor:
    """A convolution's weight (A, B, h, w) as the matrix (A, h w B): a view if it is channels-last."""
    return weight.movedim(1, -1).flatten(1) if weight.ndim > 2 else weight


def as_weight(matrix: Tensor, weight: Tensor) -> Tensor:
    """The inverse of :func:`as_matrix`, in the shape of ``weight``."""
    if weight.ndim == 2:
        return matrix
    return matrix.reshape(weight.movedim(1, -1).shape).movedim(-1, 1)


def orthogonalise(matrices: list[Tensor]) -> list[Tensor]:
    """Nearly the closest matrix with orthonormal rows (or columns) to each: singular values near 1."""
    found = factors(matrices)
    return [_wide(f @ _wide(m, m), m) for m, f in zip(matrices, found, strict=True)]


def factors(matrices: list[Tensor], times: float | Tensor = 1.0) -> list[Tensor]:
    """What to multiply matrices by to have their singular values near 1: by F M if wide, M F if tall.

    An iterate is ``X <- (a + b G + c G^2) X`` with ``G = X X^T``, so that everything but the first and
    the last product happens among the small square matrices G, which commute; those of one size are
    multiplied together. In float32.

    Args:
        matrices: of any shapes.
        times: what all F are multiplied by.

    Returns:
        F of each, symmetric, with as many rows as its shorter side has.
    """
    found: list[Tensor] = [torch.empty(0)] * len(matrices)
    sizes: dict[int, list[int]] = defaultdict(list)
    for index, matrix in enumerate(matrices):
        sizes[min(matrix.shape)].append(index)
    for rows, members in sizes.items():
        gram = torch.empty(len(members), rows, rows, device=matrices[0].device)
        for place, index in enumerate(members):
            wide = _wide(matrices[index], matrices[index]).float()
            torch.mm(wide, wide.T, out=gram[place])
        squared = gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]  # Frobenius norm of X
        scale = squared.clamp_min(1e-14).rsqrt()
        polynomials = _polynomials(gram * scale.square()) * (scale * times)
        for index, polynomial in zip(members, polynomials, strict=True):
            found[index] = polynomial
    return found


def _wide(matrix: Tensor, as_this: Tensor) -> Tensor:
    """The matrix, transposed if ``as_this`` is taller than wide."""
    return matrix.T if as_this.shape[0] > as_this.shape[1] else matrix


def _polynomials(gram: Tensor) -> Tensor:
    """What the iteration multiplies matrices of Gram matrices (n, r, r) by."""
    a, b, c = COEFFICIENTS
    constant = a * torch.eye(gram.shape[-1], device=gram.device)
    product: Tensor | None = None
    for iteration in range(ITERATIONS):
        step = torch.baddbmm(torch.add(constant, gram, alpha=b), gram, gram, alpha=c)
        product = step if product is None else step @ product
        if iteration < ITERATIONS - 1:
            gram = step @ (gram @ step)
    assert product is not None
    return product


class Muon(torch.optim.Optimizer):
    """Muon for matrices and convolutions: Nesterov momentum, orthogonalised; no weight decay.

    A step of ``lr``, a number or a tensor without dimensions, changes each matrix by
    ``lr max(1, rows / columns)^1/2`` in spectral norm.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float | Tensor, momentum: float = MOMENTUM
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "capturable": True})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Apply one update."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            gradients = [p.grad for p in parameters]
            buffers = []
            for parameter in parameters:
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                buffers.append(state["momentum"])
            torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, buffers, group["momentum"])
            updates = [as_matrix(update) for update in ahead]
            for parameter, update, factor in zip(
                parameters, updates, factors(updates, group["lr"]), strict=True
            ):
                rows, columns = update.shape
                matrix, factor = as_matrix(parameter), factor.to(update.dtype)
                pair = (update, factor) if rows > columns else (factor, update)
                matrix.addmm_(*pair, alpha=-(max(1.0, rows / columns) ** 0.5))
                if matrix.data_ptr() != parameter.data_ptr():  # no view of it
                    parameter.copy_(as_weight(matrix, parameter))


def hidden_convolutions(network: nn.Module, images: Tensor) -> list[nn.Parameter]:
    """Weights of all convolutions between hidden layers, but of those that work on groups of channels.

    The weight of the latter is no matrix of the map: that consists of blocks. A convolution is not between
    hidden layers if images reach it past all layers (convolutions and linear ones), or its output the
    network's own. What lies between, such as a norm, a nonlinearity or a rearrangement of pixels, is none.

    Args:
        network: maps (B, C, H, W) to the same shape; it is left as it is.
        images: (B, C, H, W) as it takes.
    """
    outer = outer_layers(network, images)
    return [
        module.weight
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        and module.groups == 1
        and module not in outer
        and isinstance(module.weight, nn.Parameter)  # not made of others, as by weight_norm
    ]


class Together:
    """Several optimisers of disjoint parameters, as one, with one state."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        self.state = parts[0].state
        for part in parts:
            part.state = self.state

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of all parts."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def step(self) -> None:
        """Apply one update."""
        for part in self.parts:
            part.step()
