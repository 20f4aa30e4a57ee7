"""A network of one's own: ``network: my_nets.py:DnCNN`` or ``network: package.module:DnCNN``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from gahb import own
from gahb.denoisers.architecture import Architecture
from gahb.options import unknown_keys

if TYPE_CHECKING:
    from torch import nn


class OwnNetwork(Architecture):
    """A torch module of your own, which maps noisy images (B, C, H, W) to their noise, or to the images.

    All other keys are arguments of its class.
    """

    model_config = ConfigDict(extra="allow")
    name: ClassVar[str]
    starts_itself: ClassVar[bool] = True

    predicts: Literal["noise", "image"] = "noise"
    """what its output is: the noise, or the image"""

    @model_validator(mode="after")
    def _arguments_are_those_of_the_class(self) -> OwnNetwork:
        known = own.parameters(self.name)
        if known is None:  # told when it is built
            return self
        problems = []
        given = self.model_extra or {}
        if not given.keys() <= known.keys():
            problems.append(unknown_keys(given, {*known, "predicts"}))
        problems += [
            InitErrorDetails(type="missing", loc=(argument,), input=given)
            for argument, required in known.items()
            if required and argument not in given
        ]
        if problems:
            raise ValidationError.from_exception_data(self.name, problems)
        return self

    def build(self) -> nn.Module:
        """An :class:`~gahb.denoisers.own_network.OwnEstimator`.

        Raises:
            ValueError: the class cannot be made with these arguments, or is no torch module.
        """
        from gahb.denoisers.own_network import own_estimator

        return own_estimator(self.name, self.model_extra or {}, self.predicts)


OWN = OwnNetwork


def model(name: str) -> type[OwnNetwork]:
    """The options of a network of one's own.

    Raises:
        ValueError: there is no such file or module.
    """
    own.source(name)
    names: dict[str, Any] = {"name": name, "__doc__": OwnNetwork.__doc__, "__module__": __name__}
    return type("OwnNetwork", (OwnNetwork,), names)
