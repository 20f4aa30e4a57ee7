"""Training recipes: test PSNR at equal cost, or the cost of equal test PSNR.

    python benchmarks/recipes.py                                # ours and all named ones, at equal cost
    python benchmarks/recipes.py ours '{"warmup": 100}' --updates 400
    python benchmarks/recipes.py published --to-equal-quality   # presentations to reach ours

`ours` is what params.yaml says, the others are modules of gahb.denoisers.recipes or JSON that replaces
keys of ours. All train the network of `--experiment` on its largest training set, one thread each,
with as many images per update, and are measured on the same noisy test images.

Recipes whose learning rate falls over the whole run are not comparable on the way. To find the cost of
equal quality, ours is therefore run once, and each other one with 1, 2, 4 ... times its updates, its
schedule over all of them, until it is at least as good at every input PSNR from 0 to 34 dB or `--most`
is reached.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gahb.datasets.image_class import image_class
from gahb.denoisers.choices import RECIPES
from gahb.denoisers.networks import NetworkDenoiser
from gahb.denoisers.training import Trainer
from gahb.options import module, names
from gahb.params import load_params, network_spec

INPUT_PSNRS = (40, 34, 26, 20, 14, 6, 0)
COMPARED = slice(1, None)  # 34 to 0 dB


class Problem(NamedTuple):
    """What all recipes are given."""

    spec: dict[str, Any]
    train: Tensor
    test: Tensor


def posed(
    experiment: str,
    updates: int | None = None,
    batch: int | None = None,
    set_size: int | None = None,
    test_images: int = 512,
) -> Problem:
    """An experiment of params.yaml, with images drawn apart from its datasets."""
    params = load_params()
    set_size = set_size or max(params["experiments"][experiment]["set_sizes"])
    spec = network_spec(params, experiment, set_size, "S1")
    for key, value in (("updates", updates), ("batch_size", batch)):
        if value is not None:
            spec["training"][key] = value
    drawn = image_class(spec["dataset"]).render(0, set_size + test_images)
    images = torch.from_numpy(drawn[:, None])
    return Problem(spec, images[test_images:], images[:test_images])


def recipe_of(text: str) -> dict[str, Any]:
    """The recipe of a name, or of JSON: keys of `training` that it sets."""
    if text == "ours":
        return {}
    return json.loads(text) if text.startswith("{") else module(RECIPES, text).TRAINING


def trained(problem: Problem, recipe: dict[str, Any], times: int = 1) -> list[float]:
    """Output PSNR in dB at INPUT_PSNRS after so many times the updates; a line says so."""
    training = problem.spec["training"] | recipe
    training["updates"] = times * problem.spec["training"]["updates"]
    trainer = Trainer(problem.spec | {"training": training}, problem.train, problem.test)
    trainer.step()
    start = time.perf_counter()
    while trainer.update < training["updates"]:
        trainer.step()
    seen = training["updates"] * training["batch_size"]
    rate = (seen - training["batch_size"]) / (time.perf_counter() - start)
    outputs = measured(NetworkDenoiser(trainer.network).eval(), problem.test)
    mean = sum(outputs[COMPARED]) / len(outputs[COMPARED])
    columns = " ".join(f"{output:6.2f}" for output in outputs)
    print(f"{columns} {mean:8.2f} {seen:10d} {rate:8.0f}  ", end="", flush=True)
    return outputs


@torch.no_grad()
def measured(denoiser: NetworkDenoiser, test: Tensor) -> list[float]:
    """Output PSNR in dB at INPUT_PSNRS, of the mean squared error over images."""
    noise = torch.randn(test.shape, generator=torch.Generator().manual_seed(0))
    outputs = []
    for psnr in INPUT_PSNRS:
        noisy = test + 10 ** (-psnr / 20) * noise
        denoised = torch.cat([denoiser(part) for part in noisy.split(64)])
        outputs.append(-10 * math.log10(float((denoised - test).square().mean())))
    return outputs


def at_equal_cost(problem: Problem, recipes: Sequence[str]) -> None:
    """Print a line per recipe."""
    for name in recipes:
        trained(problem, recipe_of(name))
        print(name, flush=True)


def to_equal_quality(problem: Problem, recipes: Sequence[str], most: int) -> dict[str, int | None]:
    """Times the presentations of ours that each recipe takes to be as good; None if `most` do not do."""
    ours = trained(problem, {})
    print("ours", flush=True)
    found: dict[str, int | None] = {}
    for name in recipes:
        found[name], times = None, 1
        while times <= most and found[name] is None:
            outputs = trained(problem, recipe_of(name), times)
            print(f"{name}, {times} times", flush=True)
            behind = max(a - b for a, b in zip(ours[COMPARED], outputs[COMPARED], strict=True))
            if behind <= 0:
                found[name] = times
            times *= 2
        if found[name] is None:
            print(f"{name}: more than {most} times the presentations; then {behind:.2f} dB behind")
        else:
            print(f"{name}: {found[name]} times the presentations, to a factor of 2")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print output PSNR at each input PSNR, their mean from 34 to 0 dB, images seen and images/s."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    known = ("ours", *names(RECIPES))
    parser.add_argument("recipes", nargs="*", help=f"{', '.join(known)}, or JSON of what differs")
    parser.add_argument("--to-equal-quality", action="store_true")
    parser.add_argument("--most", type=int, default=32, help="times the updates of ours, at most")
    parser.add_argument("--experiment", default="alpha2")
    parser.add_argument("--updates", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--set-size", type=int)
    parser.add_argument("--test-images", type=int, default=512)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    problem = posed(
        options.experiment,
        options.updates,
        options.batch,
        options.set_size,
        options.test_images,
    )
    print(" ".join(f"{psnr:6d}" for psnr in INPUT_PSNRS), "34 to 0      seen images/s  recipe")
    if options.to_equal_quality:
        to_equal_quality(problem, options.recipes or ["published"], options.most)
    else:
        at_equal_cost(problem, options.recipes or known)


if __name__ == "__main__":
    main()
