"""The weights of a network on the way to those it ends with, kept at chosen numbers of updates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from gahb.artifacts import ArtifactError, Spec, check_input, read_tensors
from gahb.denoisers.networks import NetworkDenoiser, build_network
from gahb.denoisers.weights import load_state, under


class Snapshots:
    """Copies of a network's weights, taken at the updates asked for.

    Args:
        updates: numbers of updates after which to keep a copy.
    """

    def __init__(self, updates: Sequence[int]) -> None:
        self.updates = tuple(updates)
        self._taken: dict[str, Tensor] = {}

    def look(self, update: int, network: nn.Module) -> None:
        """Keep a copy if ``update`` updates are one of the numbers asked for."""
        if update in self.updates:
            copies = {name: value.detach().clone() for name, value in network.state_dict().items()}
            self._taken |= {f"{update}.{name}": value for name, value in copies.items()}

    def tensors(self) -> dict[str, Tensor]:
        """The copies taken so far, as ``<update>.<name>``."""
        return dict(self._taken)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`tensors`."""
        self._taken = dict(tensors)


def member_spec(ensemble: Spec, set_size: int, split: str) -> Spec:
    """The spec of one network, as its weights carry it.

    Args:
        ensemble: spec of the networks of several set sizes and splits (:func:`gahb.params.ensemble_spec`).
        set_size: of the one.
        split: of the one.
    """
    several = ("set_sizes", "splits", "snapshots")
    shared = {key: value for key, value in ensemble.items() if key not in several}
    return shared | {"set_size": set_size, "split": split}


def read_snapshots(
    path: Path | str,
    expected: Spec | None = None,
    updates: int | Sequence[int] | None = None,
    images_sha256: str | None = None,
) -> tuple[Iterator[tuple[int, NetworkDenoiser]], dict[str, str]]:
    """The networks in a file of snapshots, in evaluation mode.

    Args:
        path: file written by :func:`gahb.denoisers.training.train`.
        expected: spec of the network (:func:`gahb.params.network_spec`); by default any.
        updates: those that it must hold; by default any.
        images_sha256: digest of the dataset that it must have been trained on; by default any.

    Returns:
        (update, denoiser) one by one, and the digests of what the network was trained from with
        ``snapshots``, that of all copies.

    Raises:
        ArtifactError: the file is missing, damaged, made from another spec or dataset, or holds other
            updates.
    """
    tensors, header = read_tensors(path, expected)
    found = sorted({int(name.split(".")[0]) for name in tensors})
    wanted = found if updates is None else sorted(np.atleast_1d(updates).tolist())
    if found != wanted:
        raise ArtifactError(
            f"{path} holds snapshots at updates {', '.join(map(str, found)) or 'none'}; expected "
            f"{', '.join(map(str, wanted))}"
        )
    if images_sha256 is not None:
        check_input(path, header["inputs"], "dataset", images_sha256)

    def networks() -> Iterator[tuple[int, NetworkDenoiser]]:
        for update in found:
            architecture = header["spec"]["architecture"]
            network = build_network(architecture)
            load_state(path, network, under(f"{update}.", tensors))
            yield update, NetworkDenoiser(network, architecture).eval().requires_grad_(False)

    return networks(), header["inputs"] | {"snapshots": header["tensors_sha256"]}
