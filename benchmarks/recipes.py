"""Training recipes at equal cost: test PSNR of networks that differ in one recipe only.

    python benchmarks/recipes.py                                  # shipped, published code's, paper's
    python benchmarks/recipes.py '{"learning_rate": 1e-2}' '{"noise_law": "uniform"}' --updates 400

Each recipe is params.yaml's `training` with the given keys replaced. All train the network of
`--experiment` on its largest training set for the same number of updates of the same number of
images, one thread each, and are measured on the same noisy test images.
"""

import argparse
import json
import math
import time

import torch

from gahb.datasets.image_class import image_class
from gahb.denoisers.networks import NetworkDenoiser
from gahb.denoisers.training import Trainer
from gahb.params import load_params, network_spec

RECIPES = [
    {},
    {
        "noise_law": "squared_uniform",
        "weighting": "none",
        "learning_rate": 1e-3,
        "schedule": "halving",
        "warmup": 0,
    },
    {"noise_law": "uniform", "weighting": "none", "learning_rate": 1e-3},
]
INPUT_PSNRS = (40, 34, 26, 20, 14, 6, 0)


def main() -> None:
    """Print one line per recipe: output PSNR at each input PSNR, and images per second."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipes", nargs="*", type=json.loads, help="JSON of what differs")
    parser.add_argument("--experiment", default="alpha2")
    parser.add_argument("--updates", type=int)
    parser.add_argument("--batch", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    params = load_params()
    set_size = max(params["experiments"][options.experiment]["set_sizes"])
    spec = network_spec(params, options.experiment, set_size, "S1")
    for key, value in (("updates", options.updates), ("batch_size", options.batch)):
        if value is not None:
            spec["training"][key] = value
    drawn = image_class(spec["dataset"])
    images = torch.from_numpy(drawn.render(0, set_size + 512)[:, None])
    train, test = images[512:], images[:512]
    noise = torch.randn(test.shape, generator=torch.Generator().manual_seed(0))
    print("input PSNR", *(f"{psnr:6d}" for psnr in INPUT_PSNRS), "  mean of 0 to 34")
    for recipe in options.recipes or RECIPES:
        changed = spec | {"training": spec["training"] | recipe}
        trainer = Trainer(changed, train, test)
        trainer.step()
        start = time.perf_counter()
        while trainer.update < changed["training"]["updates"]:
            trainer.step()
        rate = trainer.update * len(trainer.order(0)) / (time.perf_counter() - start)
        denoiser = NetworkDenoiser(trainer.network).eval()
        outputs = []
        with torch.no_grad():
            for psnr in INPUT_PSNRS:
                noisy = test + 10 ** (-psnr / 20) * noise
                denoised = torch.cat([denoiser(part) for part in noisy.split(64)])
                outputs.append(-10 * math.log10(float((denoised - test).square().mean())))
        print(
            "          ",
            *(f"{output:6.2f}" for output in outputs),
            f"{sum(outputs[1:]) / len(outputs[1:]):8.2f}",
            f"{rate:6.0f} images/s",
            json.dumps(recipe),
            flush=True,
        )


if __name__ == "__main__":
    main()
