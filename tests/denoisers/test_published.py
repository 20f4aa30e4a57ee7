"""Published state dicts: the documented names come out as the same function, anything else by name."""

from __future__ import annotations

import argparse
import json
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from gahb import import_published, load_denoiser
from gahb.artifacts import ArtifactError, digest_file, open_hdf5, read_table
from gahb.cli import main
from gahb.denoisers.networks import build_network
from gahb.denoisers.published import architecture_of, convert_published
from gahb.denoisers.weight_files import read_weight_file
from gahb.params import ParamsError, evaluation_spec, network_spec, spectra_spec, validate
from gahb.params.specs import absent_files

State = dict[str, Tensor]
Forward = Callable[[State, Tensor], Tensor]

# ---------------------------------------------------------------------------------------------
# Files with the documented names, and the functions that they stand for, without any of our modules


def draw(state: State, name: str, *shape: int) -> None:
    draws = torch.Generator().manual_seed(len(state))
    fan_in = shape[1] * shape[2] * shape[3]
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
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


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


def bf_cnn_state(layers: int, channels: int, flat: bool, pointwise: Sequence[int] = ()) -> State:
    state: State = {}
    draw(state, "conv_layers.0", channels, 1, 3, 3)
    for layer in range(1, layers - 1):
        kernel = 1 if layer in pointwise else 3
        draw(state, f"conv_layers.{layer}", channels, channels, kernel, kernel)
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


def dncnn_state(layers: int, channels: int) -> State:
    """The layout of the bias-free DnCNN, with all that its normalisation keeps and does not use."""
    state: State = {}
    draws = torch.Generator().manual_seed(2)
    draw(state, "first_layer", channels, 1, 3, 3)
    for layer in range(layers - 2):
        draw(state, f"hidden_layer_list.{layer}", channels, channels, 3, 3)
        state |= {
            f"bn_layer_list.{layer}.weight": torch.randn(channels, generator=draws),
            f"bn_layer_list.{layer}.bias": torch.zeros(channels),
            f"bn_layer_list.{layer}.running_mean": torch.zeros(channels),
            f"bn_layer_list.{layer}.running_var": 0.1 + torch.rand(channels, generator=draws),
            f"bn_layer_list.{layer}.num_batches_tracked": torch.tensor(0),
        }
    draw(state, "last_layer", 1, channels, 3, 3)
    return state


def dncnn_noise(state: State, y: Tensor) -> Tensor:
    x = F.relu(convolved(state, y, "first_layer"))
    for layer in range(sum(name.startswith("hidden_layer_list.") for name in state)):
        norm = f"bn_layer_list.{layer}"
        scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] ** 0.5 + 1e-5)
        x = F.relu(convolved(state, x, f"hidden_layer_list.{layer}") * scale[:, None, None])
    return convolved(state, x, "last_layer")


def dncnn_checkpoint(state: State) -> dict[str, Any]:
    """What the training of the bias-free DnCNN saves."""
    return {
        "step": 7,
        "score": np.float64(30.1),
        "model": [state],
        "optimizer": [{"state": {0: {"step": 7, "exp_avg": torch.ones(4, 1, 3, 3)}}}],
        "args": argparse.Namespace(model="dncnn", bias=False, hidden_size=5),
    }


POINTWISE = [layer for layer in range(1, 12) if layer % 4]  # a receptive field of 9 pixels
PUBLISHED: dict[str, tuple[State, Forward, dict[str, Any]]] = (
    {
        f"unet of {blocks}": (
            unet_state(blocks, 6),
            unet_noise,
            {"network": "unet", "blocks": blocks, "channels": 6},
        )
        for blocks in (1, 2, 3)
    }
    | {
        f"bf_cnn of {layers}{', flat' if flat else ''}": (
            bf_cnn_state(layers, 5, flat),
            bf_cnn_noise,
            {"network": "bf_cnn", "layers": layers, "channels": 5}
            | ({"rectify_first": True} if flat else {}),
        )
        for layers in (20, 21)
        for flat in (False, True)
    }
    | {
        "bf_cnn of 9 pixels": (
            bf_cnn_state(13, 12, False, POINTWISE),
            bf_cnn_noise,
            {"network": "bf_cnn", "layers": 13, "channels": 12, "pointwise": POINTWISE},
        ),
        "dncnn": (
            dncnn_state(6, 5),
            dncnn_noise,
            {"network": "bf_cnn", "layers": 6, "channels": 5, "rectify_first": True},
        ),
    }
)


def in_double(state: State) -> State:
    return {name: value.double() for name, value in state.items()}


def in_half(state: State) -> State:
    return {n: value.half() if value.is_floating_point() else value for n, value in state.items()}


def save(state: Any, path: Path, prefix: str = "") -> Path:
    torch.save({prefix + name: value for name, value in state.items()}, path)
    return path


def images(count: int = 3, size: int = 16) -> Tensor:
    return torch.rand((count, 1, size, size), generator=torch.Generator().manual_seed(1))


# ---------------------------------------------------------------------------------------------
# The same function


@pytest.mark.parametrize("prefix", ["", "module._orig_mod."])
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
    for kind in ("unet of 2", "bf_cnn of 20, flat", "dncnn"):
        state, noise, _ = PUBLISHED[kind]
        y = images(1).double()
        before = y - noise(in_double(state), y)
        for name in (n for n in state if not re.search("bias|running_mean|num_batches", n)):
            changed = state | {name: state[name] * 1.5}
            path = save(changed, tmp_path / "model.pt")
            with torch.no_grad():
                denoised = import_published(path).double()(y)
            assert (denoised - (y - noise(in_double(changed), y))).abs().max() < 1e-6
            assert (denoised - before).abs().max() > 1e-3, name


def test_double_and_half_precision_become_single(tmp_path: Path):
    y = images()
    for kind in ("unet of 1", "dncnn"):
        state, noise, _ = PUBLISHED[kind]
        path = save(in_double(state), tmp_path / "model.pt")
        with torch.no_grad():
            assert torch.allclose(import_published(path)(y), y - noise(state, y), atol=1e-5)
        path = save(in_half(state), tmp_path / "model.pt")
        rounded = {name: value.float() for name, value in in_half(state).items()}
        denoiser = import_published(path)
        assert next(denoiser.parameters()).dtype == torch.float32
        with torch.no_grad():
            assert torch.allclose(denoiser(y), y - noise(rounded, y), atol=1e-5)


def test_receptive_field_is_that_of_the_layers_of_3x3(tmp_path: Path):
    denoiser = import_published(save(PUBLISHED["bf_cnn of 9 pixels"][0], tmp_path / "model.pt"))
    y = images(1, size=25).requires_grad_()
    denoiser(y)[0, 0, 12, 12].backward()
    seen = (y.grad[0, 0].abs().sum(0) > 1e-9).nonzero()  # type: ignore[index]
    assert (int(seen.min()), int(seen.max())) == (8, 16)


# ---------------------------------------------------------------------------------------------
# Where in a file they are


def same(path: Path, state: State, key: str | None = None) -> None:
    y = images(1)
    with torch.no_grad():
        assert torch.allclose(
            import_published(path, key=key)(y), y - unet_noise(state, y), atol=1e-5
        )


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "a.b.c."]
)
def test_a_prefix_of_all_names_is_dropped(prefix: str, tmp_path: Path):
    path = save(PUBLISHED["unet of 1"][0], tmp_path / "model.pt", prefix)
    same(path, PUBLISHED["unet of 1"][0])
    found = read_weight_file(path)
    assert (found.prefix, found.told) == (prefix, f"names without {prefix!r}")


def test_averaged_models_count_beside_their_prefix(tmp_path: Path):
    network = torch.optim.swa_utils.AveragedModel(build_network(PUBLISHED["unet of 1"][2], seed=0))
    torch.save(network.state_dict(), tmp_path / "model.pt")
    found = read_weight_file(tmp_path / "model.pt")
    assert found.prefix == "module."
    assert "n_averaged" not in found.tensors


@pytest.mark.parametrize("key", ["state_dict", "model", "ema", "anything"])
def test_the_one_state_dict_of_a_checkpoint_is_taken_and_told(key: str, tmp_path: Path):
    state = PUBLISHED["unet of 1"][0]
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.ones(2, 2, 3, 3))])
    optimiser.param_groups[0]["params"][0].sum().backward()
    optimiser.step()
    torch.save(
        {"epoch": 3, key: {f"module.{n}": v for n, v in state.items()}}
        | {"optimizer": optimiser.state_dict()},
        tmp_path / "model.pt",
    )
    same(tmp_path / "model.pt", state)
    told = read_weight_file(tmp_path / "model.pt").told
    assert told == f"{key!r} of the file, names without 'module.'"


def test_one_of_several_state_dicts_is_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    first, other = unet_state(1, 4), unet_state(1, 6)
    path = tmp_path / "model.pt"
    torch.save({"net": {"now": first}, "ema": other}, path)
    assert "choose one by --key: net.now (15 tensors), ema (15 tensors)" in refusal(path)
    same(path, first, "net.now")
    same(path, other, "ema")
    with pytest.raises(ArtifactError, match=r"found no 'model', allowed is one of net.now .*ema"):
        import_published(path, key="model")
    main(["import", str(path), "--key", "ema", "--output", str(tmp_path / "x.safetensors")])
    assert "taken: 'ema' of the file" in capsys.readouterr().out


def test_safetensors_are_read(tmp_path: Path):
    state = PUBLISHED["unet of 1"][0]
    path = tmp_path / "model.safetensors"
    save_file({f"model.{name}": value.half() for name, value in state.items()}, path)
    same(path, {name: value.half().float() for name, value in state.items()})
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-10])
    assert "damaged safetensors" in refusal(tmp_path / "cut.safetensors")


def test_checkpoints_of_the_bias_free_dncnn_are_read(tmp_path: Path):
    """The weights lie in a list beside the arguments of the training, which are allowed by name."""
    state, noise, _ = PUBLISHED["dncnn"]
    path = tmp_path / "0-55.pt"
    for zipped in (True, False):
        checkpoint = dncnn_checkpoint(state)
        torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
        assert read_weight_file(path).key == "model.0"
        y = images().double()
        with torch.no_grad():
            denoised = import_published(path).double()(y)
        assert (denoised - (y - noise(in_double(state), y))).abs().max() < 1e-6
        assert (denoised - y).std() > 0.01


@pytest.mark.parametrize("name", ["first_layer.bias", "bn_layer_list.1.running_mean"])
def test_a_dncnn_with_biases_is_refused(name: str, tmp_path: Path):
    state = PUBLISHED["dncnn"][0] | {name: torch.ones(5)}
    told = refusal(save(state, tmp_path / "model.pt"))
    assert f"is of a DnCNN with biases ({name}" in told


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
        "encoder.0.3.running_sd has scales that are not positive",
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


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bf_cnn of 20, flat", "model.pt is a BF-CNN with its normalisations in lists"),
        ("dncnn", "model.pt is a bias-free DnCNN"),
    ],
)
def test_a_layout_with_a_first_relu_wants_it_stated(name: str, told: str, tmp_path: Path):
    state, _, architecture = PUBLISHED[name]
    path = save(state, tmp_path / "model.pt")
    plain = {key: value for key, value in architecture.items() if key != "rectify_first"}
    refused = refusal(path, plain)
    assert told in refused
    assert "expected `rectify_first: true`" in refused
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
    assert "a pickle of torch.nn.modules.conv.Conv2d" in refusal(tmp_path / "module.pt")
    assert not trace.exists()
    pickle.loads((tmp_path / "plain.pt").read_bytes())
    assert trace.exists(), "the file should have been dangerous"


def test_what_is_no_state_dict_is_refused(tmp_path: Path):
    cases = {
        "tensor": (torch.zeros(3), "holds a Tensor, and nowhere in that names of tensors"),
        "empty": ({}, "holds dict of nothing"),
        "wrapped": ({"epoch": 3, "state": {"a": torch.zeros(1)}}, r"epoch \(int\), state \(dict\)"),
        "mixed": ({"epoch": 3, "fc.weight": torch.zeros(1, 1, 3, 3)}, r"dict of epoch \(int\)"),
        "foreign": ({"fc.weight": torch.zeros(3, 1, 3, 3)}, "neither a UNet .* it has weight"),
    }
    for name, (content, message) in cases.items():
        torch.save(content, tmp_path / f"{name}.pt")
        assert re.search(message, refusal(tmp_path / f"{name}.pt"))
    assert "does not exist" in refusal(tmp_path / "absent.pt")


def test_other_files_are_named_for_what_they_are(tmp_path: Path):
    np.savez(tmp_path / "arrays.pt", a=np.zeros(2))
    (tmp_path / "arrays.pt.npz").rename(tmp_path / "arrays.pt")
    with zipfile.ZipFile(tmp_path / "documents.pt", "w") as file:
        file.writestr("letter.txt", "words")
    traced = torch.jit.trace(torch.nn.Conv2d(1, 1, 3), torch.zeros(1, 1, 4, 4))
    traced.save(str(tmp_path / "traced.pt"))
    with h5py.File(tmp_path / "keras.pt", "w") as file:
        file["weights"] = np.zeros(2)
    with tarfile.open(tmp_path / "packed.pt", "w") as file:
        file.add(tmp_path / "keras.pt", "keras.pt")
    for name, content in {
        "pointer.pt": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "page.pt": b"\n<!DOCTYPE html><html></html>",
        "words.pt": b"not weights",
        "nothing.pt": b"",
        "model.ckpt.index": b"\x00\x00\x12",
        "model.ckpt.data-00000-of-00001": b"\x01\x02\xf0",
        "saved_model.pb": b"\x08\x01\xf1",
    }.items():
        (tmp_path / name).write_bytes(content)
    for name, what in {
        "arrays.pt": "a NumPy archive of a.npy",
        "documents.pt": "a zip archive of letter.txt",
        "traced.pt": "a TorchScript program",
        "keras.pt": "an HDF5 file",
        "packed.pt": "a tar archive",
        "pointer.pt": "a pointer of Git LFS",
        "page.pt": "a web page",
        "words.pt": "text",
        "nothing.pt": "an empty file",
        "model.ckpt.index": "part of a TensorFlow checkpoint",
        "model.ckpt.data-00000-of-00001": "part of a TensorFlow checkpoint",
        "saved_model.pb": "a TensorFlow graph",
    }.items():
        assert f"{name} is {what}" in refusal(tmp_path / name)


def test_loading_names_foreign_files_and_the_import(tmp_path: Path):
    path = save(PUBLISHED["unet of 1"][0], tmp_path / "model.pt")
    save_file(PUBLISHED["unet of 1"][0], tmp_path / "model.safetensors")
    (tmp_path / "page.safetensors").write_text("<html>")
    for name, what in {
        "model.pt": "a file of torch.save or another pickle, which gahb has not written",
        "model.safetensors": "a safetensors file, which gahb has not written",
        "page.safetensors": "a web page",
    }.items():
        with pytest.raises(ArtifactError) as refused:
            load_denoiser(tmp_path / name)
        assert f"{name} is {what}. `gahb import {tmp_path / name} --output" in str(refused.value)
    convert_published(path, tmp_path / "ours.safetensors")
    assert "which load_denoiser reads as it is" in refusal(tmp_path / "ours.safetensors")
    whole = (tmp_path / "ours.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-10])
    with pytest.raises(ArtifactError, match="damaged or truncated"):
        load_denoiser(tmp_path / "cut.safetensors")


def test_truncated_files_are_refused(tmp_path: Path):
    whole = save(PUBLISHED["unet of 1"][0], tmp_path / "model.pt").read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 30):
        path = tmp_path / f"cut{size}.pt"
        path.write_bytes(whole[:size])
        refusal(path)


# ---------------------------------------------------------------------------------------------
# As networks of params.yaml


@pytest.fixture
def project(
    tmp_path: Path, params: dict[str, Any], dataset_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Params of the tiny project whose network is imported, in a folder with the dataset and the file."""
    params["experiments"] = {
        "soft": params["experiments"]["soft"]
        | {"set_sizes": [4], "splits": ["S1"], "imported": {"N4_S1": {"file": "model.pt"}}}
    }
    (tmp_path / "soft.h5").symlink_to(dataset_path)
    save(unet_state(1, 4), tmp_path / "model.pt", "module.")
    monkeypatch.chdir(tmp_path)
    return params


def run_import(params: dict[str, Any], *more: str) -> None:
    """As the rule does."""
    spec = json.dumps(network_spec(params, "soft", 4, "S1"))
    files = ["--dataset", "soft.h5", "--output", "weights.safetensors"]
    main(["import", "model.pt", "--spec", spec, *files, *more])


def test_an_imported_network_is_evaluated_and_analysed(project: dict[str, Any]):
    run_import(project)
    spec = network_spec(project, "soft", 4, "S1")
    assert spec["imported"] is True
    assert "training" not in spec
    _, header = load_denoiser("weights.safetensors", spec)
    size = Path("model.pt").stat().st_size
    assert header["computation"] == {
        "imported": {"file": "model.pt", "bytes": size, "taken": "names without 'module.'"}
    }
    assert header["inputs"]["published"] == digest_file("model.pt")
    files = ["--dataset", "soft.h5", "--network", "weights.safetensors"]
    asked = json.dumps(evaluation_spec(project, "soft", 4, "S1"))
    main(["evaluation", "network", "--spec", asked, *files, "--output", "psnr.csv"])
    assert len(read_table("psnr.csv")) == 12
    asked = json.dumps(spectra_spec(project, "soft", 4, "S1"))
    main(["spectra", "--spec", asked, *files, "--output", "spectra.h5"])
    with open_hdf5("spectra.h5") as file:
        assert (file["homogeneity_residual"][:] < 1e-5).all()


def test_the_same_file_gives_the_same_bytes(project: dict[str, Any]):
    run_import(project)
    first = Path("weights.safetensors").read_bytes()
    run_import(project)
    assert Path("weights.safetensors").read_bytes() == first


def test_another_file_than_the_known_one_is_refused(project: dict[str, Any]):
    run_import(project, "--sha256", digest_file("model.pt"))
    Path("weights.safetensors").unlink()
    with pytest.raises(
        SystemExit, match=r"model.pt is another file: found SHA-256 .*expected 0000"
    ):
        run_import(project, "--sha256", "0" * 64)
    assert not Path("weights.safetensors").exists()


def test_absent_files_are_all_named(project: dict[str, Any]):
    assert absent_files(project) == []
    imported = project["experiments"]["soft"]["imported"]
    imported["N4_S1"]["bytes"] = 5
    imported["N4_S2"] = {"file": "other.pt"}
    size = Path("model.pt").stat().st_size
    assert absent_files(project) == [
        f"experiments.soft.imported.N4_S1: model.pt is another file: found {size} bytes, expected 5",
        "experiments.soft.imported.N4_S2: other.pt is missing: put the published file there",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"splits": ["S1", "S2"]},
            "imported: found .*allowed is one entry for each network: N4_S1, N4_S2",
        ),
        (
            {"training": {"updates": 3}},
            "experiments.soft.training: found .*nothing beside imported",
        ),
        ({"snapshots": {"first": 1, "count": 2}}, "soft.snapshots: .*nothing beside imported"),
        ({"imported": {"first": {"file": "x"}}}, r"found .first., allowed is text matching \^N"),
    ],
)
def test_an_experiment_is_imported_or_trained(
    project: dict[str, Any], change: dict[str, Any], message: str
):
    project["spectra"]["networks"] = {}
    project["sampling"]["experiments"] = project["ensembles"]["experiments"] = []
    project["figures"] = {}
    assert validate(project)
    project["experiments"]["soft"] |= change
    with pytest.raises(ParamsError, match=message):
        validate(project)


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        main(["import", "--help"])
    shown = capsys.readouterr().out
    for option in ("weights", "--output", "--key", "--sha256", "--spec", "--dataset"):
        assert option in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.pt", "--output", "x.safetensors"], "absent.pt does not exist"),
        (["model.pt", "--output", "model.pt"], "would be overwritten: remove it first"),
        (["model.pt", "--output", "x", "--dataset", "soft.h5"], "--spec and --dataset go together"),
    ],
)
def test_errors_are_told_and_leave_nothing(
    project: dict[str, Any], arguments: list[str], message: str
):
    with pytest.raises(SystemExit) as left:
        main(["import", *arguments])
    assert str(left.value.code).startswith("gahb import: error: ")
    assert message in str(left.value.code)
    assert not list(Path().rglob("*.safetensors"))
    assert not list(Path().rglob("*.partial"))


def test_a_plain_import_makes_weights_for_the_library(project: dict[str, Any]):
    main(["import", "model.pt", "--output", "ours.safetensors"])
    denoiser, header = load_denoiser("ours.safetensors")
    assert header["spec"] == {"architecture": {"network": "unet", "blocks": 1, "channels": 4}}
    with torch.no_grad():
        assert torch.equal(denoiser(images()), import_published("model.pt")(images()))
