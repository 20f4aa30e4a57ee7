"""Speed and memory of the C^alpha generator against a plain loop that makes one image at a time.

    python benchmarks/datasets.py [--images 5000] [--reference-images 300] [--size 80]

The loop is written straight from the definition, with torch's transforms. Both run in one process
on the same threads; the ratio is what counts. Writing the HDF5 file is included in ours.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import torch

from gahb.datasets.store import write_dataset


def one_image(alpha: float, size: int) -> torch.Tensor:
    """One C^alpha image of the official rendering, as the definition reads."""
    frequency = torch.fft.fftfreq(size, 1 / size)
    gain = frequency.abs()
    gain[0] = 1
    gain2 = (frequency[:, None] ** 2 + frequency[None, :] ** 2).sqrt()
    gain2[0, 0] = 1
    noise = torch.rand(size) * 2 - 1
    contour = torch.fft.ifft(torch.fft.fft(noise) * gain**-alpha).real
    rows = torch.round(contour * size).int() + size // 2
    backgrounds = []
    ranges = [(float(torch.rand(1)), 1.0), (0.0, float(torch.rand(1)))]
    if torch.rand(1) < 0.5:
        ranges.reverse()
    for low, high in ranges:
        field = torch.rand(size, size) * 2 - 1
        field = torch.fft.ifft2(torch.fft.fft2(field) * gain2**-alpha).real
        field = (field - field.min()) / (field.max() - field.min())
        backgrounds.append(low + (high - low) * field)
    mask = torch.ones(size, size)
    for column in range(size):
        mask[: max(int(rows[column]), 0), column] = 0
    padded = torch.nn.functional.pad(mask[None, None], (1, 0, 1, 0), mode="reflect")
    mask = torch.nn.functional.avg_pool2d(padded, 2, stride=1)[0, 0]
    return mask * backgrounds[0] + (1 - mask) * backgrounds[1]


def main() -> None:
    """Print microseconds per image of both, their ratio, and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--reference-images", type=int, default=300)
    parser.add_argument("--size", type=int, default=80)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    one_image(2.0, options.size)
    start = time.perf_counter()
    for _ in range(options.reference_images):
        one_image(2.0, options.size)
    loop = (time.perf_counter() - start) / options.reference_images

    for rendering in ("official", "antialiased"):
        spec = {
            "class": "calpha",
            "alpha": 2.0,
            "background_alpha": 2.0,
            "rendering": rendering,
            "size": options.size,
            "seed": 0,
            "images": options.images,
            "test_images": 1,
        }
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            write_dataset(spec, Path(folder, "images.h5"), options.threads)
            ours = (time.perf_counter() - start) / options.images
        print(
            f"{rendering}: {ours * 1e6:.0f} us per image against {loop * 1e6:.0f} us one at a "
            f"time: {loop / ours:.1f} times faster"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"peak memory {peak:.2f} GiB for {options.images} images of {options.size}x{options.size}"
    )


if __name__ == "__main__":
    main()
