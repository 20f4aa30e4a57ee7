"""Cards of datasets and networks as Hugging Face reads them, from what the artifacts carry and the summary.

One card each: a YAML header, a sentence, a table. The artifact itself holds the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml
from huggingface_hub import DatasetCard, DatasetCardData, EvalResult, ModelCard, ModelCardData

from gahb.artifacts import (
    Spec,
    canonical_json,
    digest_file,
    open_hdf5,
    read_attribute,
    read_table,
    read_tensors,
    write_text,
)
from gahb.datasets.image_class import image_class
from gahb.denoisers.architecture import OWN_REMARK
from gahb.own import is_own

if TYPE_CHECKING:
    import h5py

    from gahb.datasets.image_class import ImageClass

UNKNOWN = "unknown"  # Hugging Face's word for a licence that nobody has stated
_PURPOSE = (
    "The network removes white Gaussian noise from images like those that it was trained on; for other "
    "images or noise nothing is claimed."
)
_SYNTHETIC = "The images are synthetic: none is of a person or a thing."
_PHOTOGRAPHS = (
    "The images are cut from photographs. Whom and what they show, how they came about and what they may "
    "be used for is known to who collected them."
)
_OTHERS = (
    "The images were brought along, as a file or by a class that draws them: whom and what they show is "
    "known to who did so."
)
_IMPORTED = (
    "The weights were imported: what they were trained on, and how, is known to who published them. The "
    "training set named is the one that they are measured on."
)
_MEASURED = {
    "gap": "train-test gap (dB)",
    "slope": "slope of test PSNR",
    "agreement": "agreement (dB)",
}


def write_data_cards(datasets: list[Path], citation: Path, outputs: list[Path]) -> None:
    """One card per dataset: what its images are, how they are split, and how to know the file.

    Args:
        datasets: ``.h5``.
        citation: ``CITATION.cff``, for the licence of what is synthetic.
        outputs: ``.md``, in the same order.
    """
    for path, output in zip(datasets, outputs, strict=True):
        with open_hdf5(path) as file:
            spec = read_attribute(file, "spec")
            drawn = image_class(spec)
            count = len(file["images"])
            rows = {
                "stored images": " × ".join(map(str, file["images"].shape)) + ", float32",
                "intensities": (
                    "in [0, 1]" if drawn.underneath.clipped else "around [0, 1], not clipped"
                ),
                **{f"indices of {name}": f"{len(file[name])}" for name in ("S1", "S2", "test")},
                **_gathered(file),
                "made from": _in_line(spec),
                "SHA-256 of the images": read_attribute(file, "images_sha256"),
                "made with": _in_line(read_attribute(file, "versions")),
            }
        synthetic = _of(drawn, spec) == _SYNTHETIC
        data = DatasetCardData(
            license=_licence(citation) if synthetic else UNKNOWN,
            annotations_creators="no-annotation",
            pretty_name=f"{path.stem}: {drawn.words}",
            size_categories=_size_category(count),
            source_datasets=["original"],
            task_categories=["image-to-image"],
            tags=["denoising", "gahb", *["synthetic"] * synthetic],
        )
        body = [f"# {path.stem}: {drawn.words}", _of(drawn, spec), _table(_file(path) | rows)]
        write_text(output, str(DatasetCard(_card(data, body))))


def write_model_cards(
    networks: list[Path], summary: Path, citation: Path, outputs: list[Path]
) -> None:
    """One card per network: architecture, training, training set, and how well it denoises.

    Args:
        networks: ``.safetensors``.
        summary: table of :func:`gahb.evaluation.summary.summarise`, ``.csv``.
        citation: ``CITATION.cff``, for the licence of what was trained here.
        outputs: ``.md``, in the order of the networks.
    """
    measured = read_table(summary)
    for path, output in zip(networks, outputs, strict=True):
        tensors, header = read_tensors(path)
        spec = header["spec"]
        name = f"{spec['experiment']}, N = {spec['set_size']}, {spec['split']}"
        drawn = image_class(spec["dataset"])
        imported = "imported" in spec
        numbers = _measured(measured, spec)
        data = ModelCardData(
            license=UNKNOWN if imported else _licence(citation),
            library_name="gahb",
            pipeline_tag="image-to-image",
            tags=["denoising", "diffusion", "gahb", spec["architecture"]["network"]],
            model_name=f"{spec['experiment']}-N{spec['set_size']}-{spec['split']}",
            eval_results=[
                EvalResult(
                    task_type="image-to-image",
                    task_name="denoising",
                    dataset_type=spec["image_class"],
                    dataset_name=f"{spec['image_class']}: {drawn.words}",
                    metric_type=key,
                    metric_name=_MEASURED[key],
                    metric_value=value,
                )
                for key, value in numbers.items()
            ]
            or None,
        )
        rows = {
            "architecture": _in_line(spec["architecture"]),
            "parameters": f"{sum(tensor.numel() for tensor in tensors.values())}",
            **({"remark": OWN_REMARK} if is_own(spec["architecture"]["network"]) else {}),
            "measured on" if imported else "training set": (
                f"{spec['set_size']} images of {spec['split']} of {spec['image_class']}"
            ),
            **({"training": _in_line(spec["training"])} if "training" in spec else {}),
            "computation": _in_line(header["computation"]),
            **(
                {"SHA-256 of the published file": header["inputs"]["published"]} if imported else {}
            ),
            **{_MEASURED[key]: f"{value:g}" for key, value in numbers.items()},
            "SHA-256 of the weights": header["tensors_sha256"],
            "made with": _in_line(header["versions"]),
        }
        body = [
            f"# {name}: {drawn.words}",
            " ".join([_PURPOSE, _of(drawn, spec["dataset"]), *[_IMPORTED] * imported]),
            f'```python\nfrom gahb import load_denoiser\n\ndenoiser, _ = load_denoiser("{path}")\n```',
            _table(_file(path) | rows),
        ]
        write_text(output, str(ModelCard(_card(data, body))))


def _card(data: DatasetCardData | ModelCardData, body: Iterable[str]) -> str:
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(body) + "\n"


def _licence(citation: Path) -> str:
    return str(yaml.safe_load(citation.read_text())["license"]).lower()


def _size_category(count: int) -> str:
    """Hugging Face's word for a number of examples."""
    bounds = (("1K", 10**3), ("10K", 10**4), ("100K", 10**5), ("1M", 10**6), ("10M", 10**7))
    below = ""
    for word, bound in bounds:
        if count < bound:
            return f"{below}<n<{word}" if below else f"n<{word}"
        below = word
    return "n>10M"


def _of(drawn: ImageClass, spec: Spec) -> str:
    """Where the images of a dataset's spec come from."""
    if drawn.underneath.folders:
        return _PHOTOGRAPHS
    brought = drawn.underneath.files or is_own(spec.get("of", spec)["class"])
    return _OTHERS if brought else _SYNTHETIC


def _gathered(file: h5py.File) -> dict[str, str]:
    """What became of the files of a folder, or of the images of an array, if it is made from such."""
    counts: dict[str, str] = {}
    for kind in {"photographs", "array"} & set(file.attrs):
        counts |= _flat(read_attribute(file, kind))
    return {name.replace("_", " ").replace(".", ": "): number for name, number in counts.items()}


def _measured(summary: pd.DataFrame, spec: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that the summary has of a network, to three decimals."""
    chosen = summary
    for key in ("experiment", "set_size", "split"):
        chosen = chosen[chosen[key] == spec[key]]
    return {
        name: round(float(row[name]), 3)
        for _, row in chosen.iterrows()
        for name in _MEASURED
        if name in row and not pd.isna(row[name])
    }


def _file(path: Path) -> dict[str, str]:
    return {"file": f"`{path}`, {path.stat().st_size} bytes", "SHA-256": digest_file(path)}


def _flat(spec: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """``{"a": {"b": 1}}`` as ``{"a.b": "1"}``."""
    rows: dict[str, str] = {}
    for key, value in spec.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            rows |= _flat(value, name)
        else:
            rows[name] = value if isinstance(value, str) else canonical_json(value)
    return rows


def _in_line(spec: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(_flat(spec).items()))


def _table(rows: Mapping[str, str]) -> str:
    lines: Iterable[str] = (f"| {key} | {value} |" for key, value in rows.items())
    return "\n".join(["| | |", "|---|---|", *lines])
