"""Published state dicts: the documented names come out as the same function, anything else by name."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from conftest import TINY
from torch import Tensor

from gahb import import_published, load_denoiser
from gahb.artifacts import ArtifactError, open_hdf5, read_sidecar, read_table
from gahb.cli import main
from gahb.denoisers.published import architecture_of, convert_published, read_state
from gahb.denoisers.training import LOG_COLUMNS
from gahb.params import evaluation_spec, network_spec, spectra_spec

State = dict[str, Tensor]
Forward = Callable[[State, Tensor], Tensor]

# ---------------------------------------------------------------------------------------------
# Files with the documented names, and the functions that they stand for, without any of our modules


def draw(state: State, name: str, *shape: int) -> None:
    draws = torch.Generator().manual_seed(len(state))
    fan_in = shape[1] * 9
    state[f"{name}.weight"] = torch.randn(shape, generator=draws) * (2 / fan_in) ** 0.5


def draw_norm(state: State, gammas: str, running_sd: str, channels: int) -> None:
    draws = torch.Generator().manual_seed(len(state))
    shape = (1, channels, 1, 1)
    state[gammas] = torch.randn(shape, generator=draws)
    state[running_sd] = 0.2 + torch.rand(shape, generator=draws)


def unet_state(blocks: int, channels: int, inputs: int = 1) -> State:
    """Two convolutions per block; indices count convolutions, normalisations and ReLUs."""
    state: State = {}

    def norm(name: str, width: int) -> None:
        draw_norm(state, f"{name}.gammas", f"{name}.running_sd", width)

    draw(state, "encoder.0.0", channels, inputs, 3, 3)  # not normalised: ReLU is 1
    draw(state, "encoder.0.2", channels, channels, 3, 3)
    norm("encoder.0.3", channels)
    for block in range(1, blocks + 1):
        name = f"encoder.{block}" if block < blocks else "mid_block"
        width = channels * 2**block
        draw(state, f"{name}.0", width, width // 2, 3, 3)
        norm(f"{name}.1", width)
        draw(state, f"{name}.3", width, width, 3, 3)
        norm(f"{name}.4", width)
    for block in reversed(range(blocks)):
        width = channels * 2**block
        draw(state, f"upsample.{block}", 2 * width, width, 2, 2)
        draw(state, f"decoder.{block}.0", width, 2 * width, 3, 3)
        norm(f"decoder.{block}.1", width)
        if block:
            draw(state, f"decoder.{block}.3", width, width, 3, 3)
            norm(f"decoder.{block}.4", width)
        else:
            draw(state, "decoder.0.3", inputs, width, 3, 3)
    return state


def convolved(state: State, x: Tensor, name: str) -> Tensor:
    return F.conv2d(x, state[f"{name}.weight"], padding=1)


def unet_noise(state: State, y: Tensor) -> Tensor:
    def stage(x: Tensor, convolution: str, norm: str) -> Tensor:
        x = convolved(state, x, convolution)
        return F.relu(x / state[f"{norm}.running_sd"] * state[f"{norm}.gammas"])

    blocks = sum(name.startswith("upsample.") for name in state)
    skips: list[Tensor] = []
    x = y
    for block in range(blocks):
        if block == 0:
            x = stage(F.relu(convolved(state, x, "encoder.0.0")), "encoder.0.2", "encoder.0.3")
        else:
            x = stage(x, f"encoder.{block}.0", f"encoder.{block}.1")
            x = stage(x, f"encoder.{block}.3", f"encoder.{block}.4")
        skips.append(x)
        x = F.avg_pool2d(x, 2)
    x = stage(x, "mid_block.0", "mid_block.1")
    x = stage(x, "mid_block.3", "mid_block.4")
    for block in reversed(range(blocks)):
        x = F.conv_transpose2d(x, state[f"upsample.{block}.weight"], stride=2)
        x = stage(torch.cat([x, skips[block]], 1), f"decoder.{block}.0", f"decoder.{block}.1")
        if block:
            x = stage(x, f"decoder.{block}.3", f"decoder.{block}.4")
    return convolved(state, x, "decoder.0.3")


def bf_cnn_state(layers: int, channels: int, flat: bool) -> State:
    state: State = {}
    draw(state, "conv_layers.0", channels, 1, 3, 3)
    for layer in range(1, layers - 1):
        draw(state, f"conv_layers.{layer}", channels, channels, 3, 3)
        norm = (
            ("gammas.{}", "running_sd.{}")
            if flat
            else ("BN_layers.{}.gammas", "BN_layers.{}.running_sd")
        )
        draw_norm(state, *(name.format(layer - 1) for name in norm), channels)
    draw(state, f"conv_layers.{layers - 1}", 1, channels, 3, 3)
    return state


def bf_cnn_noise(state: State, y: Tensor, rectify_first: bool | None = None) -> Tensor:
    flat = "gammas.0" in state
    layers = sum(name.startswith("conv_layers.") for name in state)
    x = convolved(state, y, "conv_layers.0")
    # the older code, with flat lists, rectifies the first convolution too
    if flat if rectify_first is None else rectify_first:
        x = F.relu(x)
    for layer in range(1, layers - 1):
        norm = layer - 1
        gammas = state[f"gammas.{norm}" if flat else f"BN_layers.{norm}.gammas"]
        sd = state[f"running_sd.{norm}" if flat else f"BN_layers.{norm}.running_sd"]
        x = F.relu(convolved(state, x, f"conv_layers.{layer}") / sd * gammas)
    return convolved(state, x, f"conv_layers.{layers - 1}")


PUBLISHED: dict[str, tuple[State, Forward, dict[str, Any]]] = {
    f"unet of {blocks}": (
        unet_state(blocks, 6),
        unet_noise,
        {"network": "unet", "blocks": blocks, "channels": 6},
    )
    for blocks in (1, 2, 3)
} | {
    f"bf_cnn of {layers}{', flat' if flat else ''}": (
        bf_cnn_state(layers, 5, flat),
        bf_cnn_noise,
        {"network": "bf_cnn", "layers": layers, "channels": 5}
        | ({"rectify_first": True} if flat else {}),
    )
    for layers in (20, 21)
    for flat in (False, True)
}


def in_double(state: State) -> State:
    return {name: value.double() for name, value in state.items()}


def save(state: Any, path: Path, prefix: str = "") -> Path:
    torch.save({prefix + name: value for name, value in state.items()}, path)
    return path


def images(count: int = 3, size: int = 16) -> Tensor:
    return torch.rand((count, 1, size, size), generator=torch.Generator().manual_seed(1))


# ---------------------------------------------------------------------------------------------
# The same function


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("kind", PUBLISHED)
def test_outputs_are_those_of_the_described_network(kind: str, prefix: str, tmp_path: Path):
    state, noise, architecture = PUBLISHED[kind]
    path = save(state, tmp_path / "model.pt", prefix)
    y = images()
    exact = y.double() - noise(in_double(state), y.double())
    assert (y - exact).std() > 0.01, "the network should change its input, or nothing is tested"
    for asked in (None, architecture):
        denoiser = import_published(path, asked)
        assert not denoiser.training
        with torch.no_grad():
            assert (denoiser.double()(y.double()) - exact).abs().max() < 1e-6
            denoised = denoiser.float()(y)  # twenty layers of random weights amplify rounding
            assert (denoised - exact).abs().max() < 1e-6 * max(1, 20 * exact.abs().max())
    convert_published(path, tmp_path / "ours.safetensors")
    converted, header = load_denoiser(tmp_path / "ours.safetensors")
    assert header["spec"] == {"architecture": architecture}
    assert set(header["inputs"]) == {"published"}
    with torch.no_grad():
        assert torch.equal(converted(y), denoiser(y))


def test_every_tensor_of_the_file_decides_the_output(tmp_path: Path):
    """Each of them changed alone: a name mapped to another's place, or dropped, would show."""
    for kind in ("unet of 2", "bf_cnn of 20, flat"):
        state, noise, _ = PUBLISHED[kind]
        y = images(1).double()
        before = y - noise(in_double(state), y)
        for name in state:
            changed = state | {name: state[name] * 1.5}
            path = save(changed, tmp_path / "model.pt")
            with torch.no_grad():
                denoised = import_published(path).double()(y)
            assert (denoised - (y - noise(in_double(changed), y))).abs().max() < 1e-6
            assert (denoised - before).abs().max() > 1e-3, name


def test_double_and_half_precision_become_single(tmp_path: Path):
    state, noise, _ = PUBLISHED["unet of 1"]
    path = save(in_double(state), tmp_path / "model.pt")
    y = images()
    with torch.no_grad():
        assert torch.allclose(import_published(path)(y), y - noise(state, y), atol=2e-6)
    path = save({name: value.half() for name, value in state.items()}, tmp_path / "model.pt")
    assert next(import_published(path).parameters()).dtype == torch.float32


def test_the_published_sizes_are_told_by_their_names(tmp_path: Path):
    for channels, blocks in ((64, 3), (64, 4)):
        assert architecture_of("x", unet_state(blocks, channels)) == {
            "network": "unet",
            "blocks": blocks,
            "channels": channels,
        }


# ---------------------------------------------------------------------------------------------
# Refusals


def refusal(path: Path, architecture: dict[str, Any] | None = None) -> str:
    with pytest.raises(ArtifactError) as refused:
        import_published(path, architecture)
    assert path.name in str(refused.value)
    return str(refused.value)


def test_all_that_is_wrong_with_a_file_is_listed(tmp_path: Path):
    state = dict(PUBLISHED["unet of 2"][0])
    del state["decoder.1.4.gammas"], state["mid_block.3.weight"]
    state["encoder.1.1.bias"] = torch.zeros(12)
    state["encoder.1.0.weight"] = torch.zeros(12, 6, 5, 5)
    state["encoder.0.3.running_sd"] = torch.zeros(1, 6, 1, 1)
    state["decoder.0.3.weight"] = torch.full((1, 6, 3, 3), torch.nan)
    told = refusal(save(state, tmp_path / "model.pt", "module."))
    for problem in (
        "missing decoder.1.4.gammas",
        "missing mid_block.3.weight",
        "unexpected encoder.1.1.bias",
        r"encoder.1.0.weight has shape \(12, 6, 5, 5\), expected \(12, 6, 3, 3\)",
        "encoder.0.3.running_sd has standard deviations that are not positive",
        "decoder.0.3.weight has values that are not finite",
    ):
        assert re.search(problem, told), told
    assert told.count(";") == 5


def test_a_gap_in_the_layers_is_missing(tmp_path: Path):
    state = dict(PUBLISHED["bf_cnn of 20"][0])
    del state["conv_layers.7.weight"]
    assert "missing conv_layers.7.weight" in refusal(save(state, tmp_path / "model.pt"))


def test_a_layer_too_few_or_too_many_is_refused_by_name(tmp_path: Path):
    path = save(PUBLISHED["bf_cnn of 20"][0], tmp_path / "model.pt")
    told = refusal(path, {"network": "bf_cnn", "layers": 21, "channels": 5})
    assert "missing conv_layers.20.weight" in told
    assert "missing BN_layers.18.gammas" in told
    assert "conv_layers.19.weight has shape (1, 5, 3, 3), expected (5, 5, 3, 3)" in told


def test_colour_networks_are_refused(tmp_path: Path):
    told = refusal(save(unet_state(1, 4, inputs=3), tmp_path / "model.pt"))
    assert "reads images of 3 channels, gahb's are grey" in told


def test_the_flat_layout_wants_its_first_relu_stated(tmp_path: Path):
    path = save(PUBLISHED["bf_cnn of 20, flat"][0], tmp_path / "model.pt")
    plain = {"network": "bf_cnn", "layers": 20, "channels": 5}
    assert "rectify_first: true" in refusal(path, plain)
    linear, rectified = (
        import_published(path, plain | {"rectify_first": on}) for on in (False, True)
    )
    y = images(1)
    with torch.no_grad():
        assert not torch.allclose(linear(y), rectified(y))


def test_the_first_relu_may_be_stated_for_the_other_layout(tmp_path: Path):
    state = PUBLISHED["bf_cnn of 20"][0]
    path = save(state, tmp_path / "model.pt")
    asked = {"network": "bf_cnn", "layers": 20, "channels": 5, "rectify_first": True}
    y = images(1).double()
    expected = y - bf_cnn_noise(in_double(state), y, rectify_first=True)
    with torch.no_grad():
        assert (import_published(path, asked).double()(y) - expected).abs().max() < 1e-6
        assert (import_published(path).double()(y) - expected).abs().max() > 1e-3


def test_another_architecture_is_refused(tmp_path: Path):
    path = save(PUBLISHED["unet of 1"][0], tmp_path / "model.pt")
    told = refusal(path, {"network": "bf_cnn", "layers": 20, "channels": 6})
    assert "holds the weights of a unet, asked for is a bf_cnn" in told


class Dangerous:
    """Unpickled, it creates a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_no_code_is_run(tmp_path: Path):
    trace = tmp_path / "trace"
    state = PUBLISHED["unet of 1"][0]
    torch.save(state | {"extra": Dangerous(trace)}, tmp_path / "new.pt")
    torch.save(
        {"extra": Dangerous(trace)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False
    )
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Dangerous(trace)))
    torch.save(torch.nn.Conv2d(1, 1, 3), tmp_path / "module.pt")
    for name in ("new", "old", "plain", "module"):
        assert "run code" in refusal(tmp_path / f"{name}.pt"), name
    assert not trace.exists()
    pickle.loads((tmp_path / "plain.pt").read_bytes())
    assert trace.exists(), "the file should have been dangerous"


def test_what_is_no_state_dict_is_refused(tmp_path: Path):
    cases = {
        "tensor": (torch.zeros(3), "holds a Tensor, expected a state dict"),
        "empty": ({}, "expected a state dict"),
        "wrapped": ({"epoch": 3, "state": {"a": torch.zeros(1)}}, "epoch, state are no tensors"),
        "foreign": ({"fc.weight": torch.zeros(3, 3)}, "neither a UNet .* it has fc.weight"),
    }
    for name, (content, message) in cases.items():
        torch.save(content, tmp_path / f"{name}.pt")
        assert re.search(message, refusal(tmp_path / f"{name}.pt"))
    (tmp_path / "text.pt").write_text("not weights")
    refusal(tmp_path / "text.pt")
    assert "does not exist" in refusal(tmp_path / "absent.pt")


def test_truncated_files_are_refused(tmp_path: Path):
    whole = save(PUBLISHED["unet of 1"][0], tmp_path / "model.pt").read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 30):
        path = tmp_path / f"cut{size}.pt"
        path.write_bytes(whole[:size])
        refusal(path)


def test_names_lose_their_prefix_once(tmp_path: Path):
    path = tmp_path / "model.pt"
    torch.save({"module.a": torch.ones(1), "b": torch.zeros(1)}, path)
    assert set(read_state(path)) == {"a", "b"}


# ---------------------------------------------------------------------------------------------
# As if trained here


@pytest.fixture
def project(
    tmp_path: Path, root: Path, dataset_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The tiny project on disk, with the dataset of ``soft`` and published weights that fit it."""
    params = copy.deepcopy(TINY)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "workflow").symlink_to(root / "workflow")
    (tmp_path / "results/datasets").mkdir(parents=True)
    (tmp_path / "results/datasets/soft.h5").symlink_to(dataset_path)
    save(unet_state(1, 4), tmp_path / "model.pt", "module.")
    monkeypatch.chdir(tmp_path)
    return tmp_path


IMPORT = ["import", "model.pt", "--experiment", "soft", "--set-size", "4", "--split", "S1"]


def test_an_imported_network_is_evaluated_and_analysed(project: Path):
    main(IMPORT)
    weights = project / "results/denoisers/soft/N4_S1.safetensors"
    _, header = load_denoiser(weights, network_spec(TINY, "soft", 4, "S1"))
    assert header["computation"] == {"imported": True}
    log = project / "results/training/soft/N4_S1.csv"  # where the rule of a training leaves it
    assert list(read_table(log).columns)[2:] == list(LOG_COLUMNS)
    assert set(read_sidecar(log)["inputs"]) == {"dataset", "published"}
    files = ["--dataset", "results/datasets/soft.h5", "--network", str(weights)]
    asked = json.dumps(evaluation_spec(TINY, "soft", 4, "S1"))
    main(["evaluation", "network", "--spec", asked, *files, "--output", "psnr.csv"])
    assert len(read_table("psnr.csv")) == 12
    asked = json.dumps(spectra_spec(TINY, "soft", 4, "S1"))
    main(["spectra", "--spec", asked, *files, "--output", "spectra.h5"])
    with open_hdf5("spectra.h5") as file:
        assert (file["homogeneity_residual"][:] < 1e-5).all()


def test_the_same_file_gives_the_same_bytes(project: Path):
    weights = project / "results/denoisers/soft/N4_S1.safetensors"
    main(IMPORT)
    first = weights.read_bytes()
    with pytest.raises(SystemExit, match="would be overwritten: remove it first"):
        main(IMPORT)
    assert weights.read_bytes() == first
    weights.unlink()
    main(IMPORT)
    assert weights.read_bytes() == first


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        main(["import", "--help"])
    shown = capsys.readouterr().out
    for option in ("weights", "--output", "--experiment", "--set-size", "--split", "--preset"):
        assert option in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*IMPORT[:-1], "S2", "--preset", "none"], "preset: found 'none'"),
        ([*IMPORT[:2], "--experiment", "soft"], "--experiment needs --set-size and --split"),
        ([*IMPORT[:2], "--output", "x.safetensors", "--split", "S1"], "not --output"),
        ([*IMPORT[:5], "3", "--split", "S1"], "found 3, allowed is one of 1, 4, 16"),
        (
            ["import", "model.pt", "--experiment", "faces", "--set-size", "4", "--split", "S1"],
            'found "faces", allowed is one of hard, soft',
        ),
        (
            ["import", "model.pt", "--experiment", "hard", "--set-size", "16", "--split", "S1"],
            "hard.h5 does not exist",
        ),
        (["import", "absent.pt", "--output", "x.safetensors"], "absent.pt does not exist"),
    ],
)
def test_errors_are_told_and_leave_nothing(project: Path, arguments: list[str], message: str):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert str(left.value.code).startswith("gahb import: error: ")
    assert message in str(left.value.code)
    assert not list(project.rglob("*.safetensors"))
    assert not list(project.rglob("*.partial"))


def test_experiments_with_snapshots_are_not_imported(project: Path):
    params = copy.deepcopy(TINY)
    params["experiments"]["soft"]["snapshots"] = {"first": 3, "count": 3}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SystemExit, match="soft keeps snapshots of the training, which published"):
        main(IMPORT)
    assert not list(project.rglob("*.safetensors"))


def test_a_plain_import_makes_weights_for_the_library(project: Path):
    main(["import", "model.pt", "--output", "ours.safetensors"])
    denoiser, header = load_denoiser("ours.safetensors")
    assert header["spec"] == {"architecture": {"network": "unet", "blocks": 1, "channels": 4}}
    with torch.no_grad():
        assert torch.equal(denoiser(images()), import_published("model.pt")(images()))
