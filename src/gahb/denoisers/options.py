"""The sections ``architectures``, ``training``, ``experiments`` and ``references`` of params.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gahb.denoisers.architecture import ARCHITECTURES, Architecture
from gahb.denoisers.choices import (
    INITIALISATIONS,
    NOISE_DRAWS,
    NOISE_LAWS,
    OPTIMISERS,
    RECIPES,
    SCHEDULES,
    WEIGHTINGS,
)
from gahb.denoisers.reference import REFERENCES, Reference
from gahb.options import (
    Count,
    Flag,
    Index,
    Named,
    Number,
    Options,
    Positive,
    Seed,
    SetSizes,
    Splits,
    Threads,
    Variant,
    changes,
    module,
    wrong,
)

ArchitectureOptions = Annotated[Architecture, Variant(ARCHITECTURES, "network")]
_NetworkName = Annotated[str, Field(pattern="^N[1-9][0-9]*_S[1-9][0-9]?$")]
_Level = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=10)]


class ReferenceUse(Options):
    """On how much a reference is measured; keys beside those of its denoiser."""

    images: Annotated[Count, Field(ge=2)]
    """test images it is measured on, the first ones"""


ReferenceOptions = Annotated[Reference, Variant(REFERENCES, "denoiser", beside=ReferenceUse)]


class Training(Options):
    """How a network is trained: the paper and its published code disagree, so each choice has a name."""

    seed: Seed = 0
    """of the weights, the order of the images and all noise, with the split"""
    updates: Count = 800
    """number of gradient steps, the same for every N"""
    batch_size: Count = 32
    """images of one update"""
    recipe: Annotated[str, Named(RECIPES)] | None = None
    """a named recipe in full, from noise_law to warmup; what is said beside it has precedence"""
    noise_law: Annotated[str, Named(NOISE_LAWS)] = "log_uniform"
    """how noise levels are drawn"""
    noise_draws: Annotated[str, Named(NOISE_DRAWS)] = "stratified"
    """how the noise levels of one batch go together"""
    sigma_range: tuple[_Level, _Level] = (0.01, 1)
    """[lowest, highest] noise level drawn; the lowest may be 0 where the noise law has it"""
    weighting: Annotated[str, Named(WEIGHTINGS)] = "annealed"
    """how noise levels count in the loss"""
    initialisation: Annotated[str, Named(INITIALISATIONS)] = "unit"
    """how the weights start"""
    fix_norm_after: Annotated[Number, Field(ge=0, le=1)] = 0.5
    """share of the updates after which normalisations keep their running scale; 1 is never"""
    optimiser: Annotated[str, Named(OPTIMISERS)] = "muon"
    """how weights follow their gradients"""
    learning_rate: Positive = 1e-2
    """of the optimiser, before schedule and warm-up; Muon's own is twice that"""
    schedule: Annotated[str, Named(SCHEDULES)] = "cosine"
    """how the learning rate falls"""
    warmup: Index = 0
    """updates over which the learning rate rises"""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """of products; auto, bfloat16 where hardware multiplies it; float32 if the image is predicted"""
    compile: Literal["auto", "always", "never"] = "auto"
    """torch.compile; auto, where a compiler exists and the networks planned repay it"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto, cuda when present; CUDA_VISIBLE_DEVICES says which of several"""
    threads: Threads = 1
    """processor threads of one network; they change the last bits of its weights"""
    monitor_every: Count = 50
    """updates between two entries of train and test PSNR in the log"""

    @model_validator(mode="after")
    def _levels_can_be_drawn(self) -> Training:
        found = list(self.sigma_range)
        if found[0] >= found[1]:
            raise wrong(_as_given(found), "a lower value first", "sigma_range")
        if self.recipe is not None:  # whose noise law has precedence over the default
            return self
        if found[0] == 0 and not module(NOISE_LAWS, self.noise_law).FROM_ZERO:
            allowed = f"a lowest value above 0 when noise_law is {self.noise_law}"
            raise wrong(_as_given(found), allowed, "sigma_range")
        return self


def training_in_full(*given: Mapping[str, Any]) -> dict[str, Any]:
    """How a network is trained: every option, without the name of a recipe.

    Args:
        *given: options as params.yaml has them; what is said later has precedence, all of it over the
            defaults, and what a recipe says counts as said where the recipe is named.
    """
    fields = Training.model_fields.items()
    full = {key: field.default for key, field in fields if key != "recipe"}
    full["sigma_range"] = list(full["sigma_range"])
    for options in given:
        named = options.get("recipe")
        full |= {} if named is None else module(RECIPES, named).TRAINING
        full |= {key: value for key, value in options.items() if key != "recipe"}
    return full


def _as_given(values: list[float]) -> list[float]:
    return [int(value) if value == int(value) else value for value in values]


class Snapshots(Options):
    """Numbers of updates at which weights are kept, evenly spaced in their logarithm."""

    first: Count
    """the first number of updates"""
    count: Annotated[Count, Field(ge=2)]
    """how many, to the last update, which is the trained network itself"""


class PublishedFile(Options):
    """A file of published weights, in the place of a training."""

    file: str
    """PyTorch or safetensors file, relative to the project"""
    key: str | None = None
    """which state dict of the file, where it holds several"""
    bytes: Count | None = None
    """the size that it must have"""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """the SHA-256 that it must have; without it, that of the first use is recorded with the weights"""


class Experiment(Options):
    """Image class x architecture x set sizes x splits."""

    image_class: str
    """one of image_classes"""
    architecture: str
    """one of architectures"""
    set_sizes: SetSizes
    """N, numbers of training images"""
    splits: Splits
    """S1 and S2 are the first images of the two halves; S3, S4 ... are those that follow"""
    training: changes(Training) | None = None  # type: ignore[valid-type]
    """keys of training that are otherwise for this experiment"""
    evaluation: Flag = True
    """whether evaluation makes tables of PSNR of its networks"""
    snapshots: Snapshots | None = None
    """weights to keep on the way, for ensembles and sampling to follow the training"""
    imported: dict[_NetworkName, PublishedFile] | None = None
    """the file of each network, such as N100000_S1, instead of a training"""

    @model_validator(mode="after")
    def _imported_or_trained(self) -> Experiment:
        if self.imported is None:
            return self
        for key in ("training", "snapshots"):
            if (found := getattr(self, key)) is not None:
                raise wrong(found.model_dump(exclude_none=True), "nothing beside imported", key)
        networks = {f"N{n}_{split}" for n in self.set_sizes for split in self.splits}
        if self.imported.keys() != networks:
            raise wrong(
                ", ".join(self.imported),
                f"one entry for each network: {', '.join(sorted(networks))}",
                "imported",
            )
        return self
