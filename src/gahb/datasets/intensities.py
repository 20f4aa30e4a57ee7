"""One image as people have it, a tensor or an array, as a tensor (C, H, W)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def as_image(image: Any, name: str) -> Tensor:
    """One image as a tensor (C, H, W), of its floating-point type and on its device, without a gradient.

    Args:
        image: (C, H, W), or (H, W) for (1, H, W): a tensor or an array.
        name: what it is called where it does not fit.

    Raises:
        ValueError: it has another shape or type, or is not finite.
    """
    import torch

    if isinstance(image, torch.Tensor):
        found = image.detach()
    else:
        array = np.asarray(image)
        if array.dtype.kind not in "biuf":
            kind = array.dtype if isinstance(image, np.ndarray) else type(image).__name__
            raise ValueError(f"{name}: found {kind}; expected a tensor or an array (C, H, W)")
        known = np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
        found = torch.from_numpy(np.require(array, known, ["C", "W"]))
    if not found.is_floating_point():
        divide = ": divide by 255" if found.dtype == torch.uint8 else ""
        raise ValueError(
            f"{name}: found {found.dtype}; expected floating-point intensities, meant for 0 to 1{divide}"
        )
    if found.ndim == 2:
        found = found[None]
    if found.ndim != 3 or not found.numel():
        raise ValueError(f"{name}: found shape {tuple(found.shape)}; expected (H, W) or (C, H, W)")
    if found.shape[2] in (1, 3) and min(found.shape[:2]) > 4:
        raise ValueError(
            f"{name}: found shape {tuple(found.shape)}; expected its channels first, (C, H, W): pass "
            "image.transpose(2, 0, 1) of an array, image.permute(2, 0, 1) of a tensor"
        )
    if not found.isfinite().all():
        raise ValueError(f"{name}: not all intensities are finite")
    return found
