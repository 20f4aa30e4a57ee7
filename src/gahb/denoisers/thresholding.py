"""What the options of denoisers that threshold wavelet coefficients share."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from gahb.datasets.image_class import ImageClass
from gahb.denoisers.reference import Reference, background_slope
from gahb.options import Count

_ORTHOGONAL = ("haar", "db1 to db38", "sym2 to sym20", "coif1 to coif17")
_LEAST_SIDE = 4  # pixels of a wavelet approximation, when params.yaml does not choose the levels


def _orthogonal(name: str) -> str:
    import pywt

    known = pywt.Wavelet(name) if name in pywt.wavelist(kind="discrete") else None
    if known is None or not all(map(_is_orthonormal, (known.dec_lo, known.dec_hi))):
        raise PydanticCustomError(
            "wrong", f"an orthogonal one of PyWavelets: {', '.join(_ORTHOGONAL)}"
        )
    return name


def _is_orthonormal(taps: list[float]) -> bool:
    """Whether a filter is orthonormal to its translates by even numbers of pixels."""
    products = (
        sum(map(operator.mul, taps, taps[lag:])) - (lag == 0) for lag in range(0, len(taps), 2)
    )
    return all(abs(product) < 1e-9 for product in products)


class Thresholding(Reference):
    """Options of a denoiser that keeps some coefficients of an orthogonal transform."""

    wavelet: Annotated[str, AfterValidator(_orthogonal)] = "haar"
    """orthogonal wavelet, by its PyWavelets name"""
    levels: Count | None = None
    """of the wavelet transform; by default as many as the image allows"""
    shifts: Count | Literal["all"] = 1
    """translations averaged over (cycle spinning); all, or their number"""

    @property
    def wavelet_moments(self) -> int:
        """Vanishing moments of the wavelet."""
        import pywt

        return int(pywt.Wavelet(self.wavelet).vanishing_moments_psi)

    def background_slope(self, images: ImageClass) -> float:
        """Slope that the backgrounds of C^alpha images allow in this basis."""
        return background_slope(images, self.wavelet_moments)

    def given(self) -> dict[str, Any]:
        """The options that were said, for the denoiser, which has defaults of its own."""
        return self.model_dump(exclude_unset=True)

    def misfits(self, size: int) -> Iterator[tuple[str, object, str]]:
        """What does not fit images of a size: (option, what was found, what is allowed).

        The option is empty where the size itself is what is wrong.
        """
        levels = self.levels
        if levels is None:
            levels, side = 0, size
            while side % 2 == 0 and side >= 2 * _LEAST_SIDE:
                levels, side = levels + 1, side // 2
            if not levels:
                yield "", size, f"a multiple of 2, at least {2 * _LEAST_SIDE}"
                return
        elif size % 2**levels:
            most = (size & -size).bit_length() - 1
            yield "levels", levels, f"at most {most}"
            return
        if self.shifts != "all" and self.shifts > 2**levels:
            yield "shifts", self.shifts, f"at most {2**levels}"
