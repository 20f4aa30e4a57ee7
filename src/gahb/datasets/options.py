"""The section ``image_classes`` of params.yaml."""

from __future__ import annotations

from typing import Annotated

from gahb.datasets.image_class import CLASSES, DatasetSize, ImageClass
from gahb.options import Variant

DatasetOptions = Annotated[ImageClass, Variant(CLASSES, "class", beside=DatasetSize)]
