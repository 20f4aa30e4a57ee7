"""What is reported of a denoiser, and the HDF5 file it is kept in."""

from __future__ import annotations

import dataclasses
import re
import shutil

import numpy as np
import pytest
import torch
from helpers.schema_files import (
    check_flipped_bits,
    check_misshapen,
    check_stored,
    check_table,
    check_truncated,
)
from torch import nn

from gahb.artifacts import ArtifactError
from gahb.denoisers.computation import in_float32
from gahb.denoisers.networks import BiasFreeNorm, NetworkDenoiser, build_network
from gahb.denoisers.weights import load_denoiser
from gahb.params import reference_spectra_spec, spectra_spec
from gahb.randomness import image_noise
from gahb.spectra.analysis import analyse
from gahb.spectra.of_network import spectra_of_network
from gahb.spectra.of_reference import spectra_of_reference
from gahb.spectra.run import compute_spectra
from gahb.spectra.store import SCHEMA, open_spectra, read_spectra, write_spectra

SETTINGS = {"sigmas": [0.1, 0.5], "method": "full", "eigenvectors": 6, "seed": 3, "threads": 1}
INDEX = [17, 4, 230]


def network() -> nn.Module:
    return NetworkDenoiser(
        build_network({"network": "unet", "blocks": 2, "channels": 4}, 1, "published")
    )


def clean_images() -> np.ndarray:
    return np.random.default_rng(0).random((3, 1, 8, 8), dtype=np.float32)


def spec(**changes) -> dict:
    return {"network": {"experiment": "tiny"}, "spectra": SETTINGS | changes}


def computed(path, **changes):
    lines: list[str] = []
    inputs = {"network": "0" * 64}
    compute_spectra(
        network(), clean_images(), INDEX, spec(**changes), path, inputs, report=lines.append
    )
    return lines


# ---------------------------------------------------------------------------------------------
# Analysis


def projector(x: torch.Tensor) -> torch.Tensor:
    """Keep the 16 rows of 2x2 block means: the projection on images constant on blocks."""
    return nn.functional.interpolate(nn.functional.avg_pool2d(x, 2), scale_factor=2)


def pair(dtype=torch.float64):
    clean = torch.from_numpy(clean_images()[0]).to(dtype)
    return clean, clean + 0.1 * torch.from_numpy(image_noise(0, 0, 0, 0, 8))


@pytest.mark.parametrize("method", ["full", "leading"])
def test_analysis_of_a_projector(method):
    clean, noisy = pair()
    found = analyse(projector, clean, noisy, 0.1, method, eigenvectors=16)
    np.testing.assert_allclose(found.eigenvalues[:16], 1, atol=1e-9)
    assert found.eigenvectors.shape == (16, 8, 8)
    assert found.effective_rank == pytest.approx(16)
    assert found.trace == pytest.approx(16)
    assert found.asymmetry < 1e-12
    assert found.homogeneity_residual < 1e-14
    assert found.leading_response == pytest.approx(1)
    assert found.null_response < 1e-12
    assert max(found.leading_response_se, found.null_response_se) < 1e-12
    np.testing.assert_allclose(found.symmetric_denoised, found.denoised, atol=1e-12)
    # a block image is the sum of its projections
    kept = np.tensordot(found.clean_coefficients[:16], found.eigenvectors, 1)
    np.testing.assert_allclose(kept, projector(clean[None])[0, 0], atol=1e-12)
    kept = np.tensordot(found.noisy_coefficients[:16], found.eigenvectors, 1)
    np.testing.assert_allclose(kept, found.denoised[0], atol=1e-12)
    assert found.engine == "frozen"
    assert found.method == method


def test_coefficients_are_complete_and_methods_agree():
    """On a network with gains of 3: eigenvalues that differ, hence eigenvectors that are defined."""
    clean, noisy = pair()
    denoiser = network()
    with torch.no_grad():
        for module in denoiser.modules():
            if isinstance(module, BiasFreeNorm):
                module.gain.fill_(3)
    full = analyse(denoiser, clean, noisy, 0.1, "full")
    assert (full.eigenvalues[:5] - full.eigenvalues[1:6]).min() > 1e-2
    assert full.eigenvectors.shape == (64, 8, 8)
    assert np.sum(full.clean_coefficients**2) == pytest.approx(clean.square().sum().item())
    assert np.sum(full.noisy_coefficients**2) == pytest.approx(noisy.square().sum().item())
    leading = analyse(denoiser, clean, noisy, 0.1, "leading", eigenvectors=5)
    np.testing.assert_allclose(leading.eigenvalues, full.eigenvalues[:5], atol=1e-3)
    np.testing.assert_allclose(
        np.abs(leading.clean_coefficients), np.abs(full.clean_coefficients[:5]), atol=1e-2
    )
    assert leading.homogeneity_residual < 1e-13
    assert full.leading_response > full.null_response


def test_homogeneity_residual_shows_a_bias():
    clean, noisy = pair()
    found = analyse(lambda x: x / 2 + 1, clean, noisy, 0.1, "full")
    expected = 8 / (noisy / 2 + 1).norm()
    assert found.homogeneity_residual == pytest.approx(expected.item())


def matrix_denoiser(matrix: np.ndarray, offset: float = 0.0):
    """f(y) = M y + offset."""
    weights = torch.from_numpy(matrix)
    return lambda x: (x.flatten(1) @ weights.T).view(x.shape) + offset


@pytest.mark.parametrize("method", ["full", "leading"])
@pytest.mark.parametrize("offset", [0.0, 0.4])
def test_symmetric_part_in_place_of_the_jacobian(method, offset):
    """S y where f is homogeneous; only J is replaced where it is not."""
    clean, noisy = pair()
    matrix = np.random.default_rng(0).standard_normal((64, 64)) / 8
    found = analyse(matrix_denoiser(matrix, offset), clean, noisy, 0.1, method, eigenvectors=4)
    expected = (matrix + matrix.T) / 2 @ noisy.numpy().ravel() + offset
    np.testing.assert_allclose(found.symmetric_denoised.ravel(), expected, atol=1e-12)
    alike = analyse(matrix_denoiser(matrix @ matrix.T, offset), clean, noisy, 0.1, method, 4)
    np.testing.assert_allclose(alike.symmetric_denoised, alike.denoised, atol=1e-12)
    values = np.linalg.eigvalsh(matrix + matrix.T) / 2
    if method == "full":
        assert found.least_eigenvalue == pytest.approx(values[0])
        assert found.negative_mass == pytest.approx(
            -values[values < 0].sum() / np.abs(values).sum()
        )
    else:
        assert np.isnan([found.least_eigenvalue, found.negative_mass]).all()
        assert np.isnan(found.fourier_quotients).all()


def test_null_space_is_found_of_a_jacobian_that_is_far_from_symmetric():
    """What has left singular vectors of its own: eigenvectors of S would miss its null space."""
    clean, noisy = pair()
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.standard_normal((64, 64)))[0] for _ in range(2))
    matrix = left[:, :30] @ right[:, :30].T
    found = analyse(matrix_denoiser(matrix), clean, noisy, 0.1, "full")
    assert found.asymmetry > 0.5
    assert found.effective_rank == pytest.approx(30)
    assert found.leading_response == pytest.approx(1)
    assert found.null_response < 1e-7
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    least = vectors[:, np.abs(values).argsort()[:30]]
    assert np.linalg.norm(matrix @ least) / 30**0.5 > 0.3


def test_responses_are_means_over_draws():
    """Along right singular vectors with values 1 to 2 the mean square is that of the values."""
    clean, noisy = pair()
    values = np.r_[np.linspace(2, 1, 32), np.full(32, 1e-3)]
    found = analyse(matrix_denoiser(np.diag(values)), clean, noisy, 0.1, "full")
    expected = np.sqrt(np.mean(values[:32] ** 2))
    assert abs(found.leading_response - expected) < 5 * found.leading_response_se
    assert 0 < found.leading_response_se < 0.05
    assert found.null_response == pytest.approx(1e-3)


def test_single_precision_network_is_homogeneous_to_float_precision():
    clean, noisy = pair(torch.float32)
    found = analyse(network(), clean, noisy, 0.1, "full")
    assert found.homogeneity_residual < 1e-6
    assert found.denoised.dtype == np.float32


def test_what_cannot_be_analysed_is_named():
    clean, noisy = pair()
    with pytest.raises(ValueError, match=r"sigma: found 0.0, allowed are levels above 0"):
        analyse(projector, clean, noisy, 0.0)
    with pytest.raises(ValueError, match="differ in shape"):
        analyse(projector, clean[:, :4], noisy, 0.1)
    large = torch.rand(1, 82, 80)
    with pytest.raises(ValueError, match=r"limited to 6,400 pixels, found 6,560 \(82x80\)"):
        analyse(projector, large, large, 0.1, "full", eigenvectors=4)


# ---------------------------------------------------------------------------------------------
# Files


@pytest.mark.parametrize(("method", "kept"), [("full", 64), ("leading", 6)])
def test_file_follows_the_schema(tmp_path, method, kept):
    path = tmp_path / "spectra.h5"
    computed(path, method=method)
    lengths = {"I": 3, "S": 2, "K": kept, "k": 6, "C": 1, "H": 8, "W": 8}
    check_stored(path, SCHEMA)
    check_table(SCHEMA)
    arrays, made_from = read_spectra(path, spec(method=method))
    assert made_from["spec"] == spec(method=method)
    assert made_from["inputs"] == {"network": "0" * 64}
    assert "torch" in made_from["versions"]
    assert made_from["computation"] == in_float32("cpu")
    for name, field in SCHEMA.items():
        assert arrays[name].shape == tuple(lengths[dim] for dim in field.dims if dim != "[C]"), name
    with open_spectra(path, ["eigenvalues"]) as file:
        np.testing.assert_array_equal(file["eigenvalues"][1, 0], arrays["eigenvalues"][1, 0])
    unknown = {name for name, array in arrays.items() if not np.isfinite(array).all()}
    of_full = {"least_eigenvalue", "negative_mass", "fourier_quotients"}
    assert unknown == (of_full if method == "leading" else set())


def test_file_holds_what_was_analysed(tmp_path):
    path = tmp_path / "spectra.h5"
    lines = computed(path)
    arrays, _ = read_spectra(path)
    assert arrays["image_index"].tolist() == INDEX
    assert arrays["sigma"].tolist() == [0.1, 0.5]
    np.testing.assert_array_equal(arrays["clean"], clean_images())
    z = image_noise(3, 4, 1, 0, 8)  # of image 4 at the second level, whatever its place in the file
    noisy = clean_images()[1] + np.float32(0.5) * z
    np.testing.assert_array_equal(arrays["noisy"][1, 1], noisy)
    one = analyse(
        network(),
        torch.from_numpy(clean_images()[1]),
        torch.from_numpy(noisy),
        0.5,
        "full",
        6,
        seed=3,
    )
    for name in SCHEMA.keys() - {"image_index", "sigma", "clean"}:
        expected = np.asarray(getattr(one, name), SCHEMA[name].dtype)
        np.testing.assert_array_equal(arrays[name][1, 1], expected, err_msg=name)
    assert len(lines) == 6
    assert re.match(r"spectrum 4/6: image 4, sigma 0.5, full, frozen: trace .* s\)$", lines[3])


def test_same_inputs_same_bytes(tmp_path):
    computed(tmp_path / "a.h5")
    computed(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    computed(tmp_path / "c.h5", seed=4)
    assert (tmp_path / "a.h5").read_bytes() != (tmp_path / "c.h5").read_bytes()


def test_stale_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "spectra.h5"
    with pytest.raises(ArtifactError, match=f"{path} does not exist"):
        read_spectra(path)
    computed(path)
    with pytest.raises(
        ArtifactError, match=rf"{path} was made from .*\n  spectra.seed: the file has 3"
    ):
        read_spectra(path, spec(seed=4))


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "spectra.h5"
    computed(path)
    check_flipped_bits(shutil.copy(path, tmp_path / "flipped.h5"), read_spectra, 200, least=100)
    check_truncated(path, read_spectra)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("trace", None, "lacks the datasets trace"),
        ("trace", np.zeros((3, 2), np.float32), "trace has type float32, expected float64"),
        ("trace", np.zeros((2, 2)), r"trace has shape \(2, 2\), expected \(I=3, S=2\)"),
        (
            "eigenvalues",
            np.zeros((3, 2)),
            r"eigenvalues has shape \(3, 2\), expected \(I=3, S=2, K",
        ),
        ("eigenvectors", np.zeros((3, 2, 6, 8, 9), np.float32), r"eigenvectors has shape .*W=8\)"),
    ],
)
def test_misshapen_files_are_refused(tmp_path, name, change, message):
    path = tmp_path / "spectra.h5"
    computed(path)
    check_misshapen(path, read_spectra, name, change, message)


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "spectra.h5"
    computed(path)
    before = path.read_bytes()
    clean, noisy = pair()
    one = analyse(projector, clean, noisy, 0.1, "full")
    with pytest.raises(ValueError, match=r"do not fit together: image_index|noisy has shape"):
        write_spectra(path, [[one]], [1], [0.1, 0.2], {"spec": {}})
    with pytest.raises(ValueError, match=r"limited|found 65 eigenvectors"):
        computed(path, eigenvectors=65)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["spectra.h5"]


def test_images_that_do_not_fit_are_named(tmp_path):
    arguments = (spec(), tmp_path / "spectra.h5", {})
    with pytest.raises(ValueError, match=r"images \(I, C, H, W\), found \(3, 8, 8\)"):
        compute_spectra(network(), clean_images()[:, 0], INDEX, *arguments)
    with pytest.raises(ValueError, match="found 3 images and 2 indices"):
        compute_spectra(network(), clean_images(), INDEX[:2], *arguments)


# ---------------------------------------------------------------------------------------------
# The phase


def test_spectra_of_a_network_are_at_its_test_images(params, dataset, trained, tmp_path):
    params["spectra"]["test_images"] = [3, 1]
    asked = spectra_spec(params, "soft", 4, "S1")
    spectra_of_network(asked, dataset, trained(4, "S1"), tmp_path / "N4_S1.h5")
    arrays, made_from = read_spectra(tmp_path / "N4_S1.h5", asked)
    assert arrays["image_index"].tolist() == dataset.indices["test"][[3, 1]].tolist()
    np.testing.assert_array_equal(arrays["clean"], dataset.images(arrays["image_index"]))
    denoiser, header = load_denoiser(trained(4, "S1"))
    digests = {"dataset": dataset.images_sha256, "network": header["tensors_sha256"]}
    assert made_from["inputs"] == digests
    denoised = denoiser(torch.from_numpy(arrays["noisy"][:, 0])).numpy()
    np.testing.assert_allclose(arrays["denoised"][:, 0], denoised, atol=1e-6)
    other = dataclasses.replace(dataset, images_sha256="0" * 64)
    with pytest.raises(ArtifactError, match="was made from another dataset"):
        spectra_of_network(asked, other, trained(4, "S1"), tmp_path / "other.h5")


def test_a_bound_on_the_error_has_no_spectra(params, dataset, tmp_path):
    params["spectra"]["networks"]["soft"]["references"] = ["known-contour"]
    asked = reference_spectra_spec(params, "soft", "known-contour")
    with pytest.raises(ValueError, match="known-contour is a bound on the error, no denoiser"):
        spectra_of_reference(asked, dataset, tmp_path / "bound.h5")
    assert not list(tmp_path.iterdir())
