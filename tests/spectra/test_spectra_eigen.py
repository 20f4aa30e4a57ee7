"""Full and leading spectra: against spectra known in closed form, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gahb.denoisers.networks import NetworkDenoiser, build_network
from gahb.spectra.analysis import eigenbasis
from gahb.spectra.eigen import Spectrum, fourier_quotients
from gahb.spectra.full import full_spectrum
from gahb.spectra.jacobian import LinearisedDenoiser
from gahb.spectra.krylov import KrylovBasis
from gahb.spectra.leading import _Growth, leading_spectrum
from gahb.spectra.local import LocalPairs, comb_approximation, local_pairs


def linear(matrix: np.ndarray, dtype: torch.dtype = torch.float64) -> LinearisedDenoiser:
    """The denoiser f(y) = M y around an arbitrary image."""
    weights = torch.from_numpy(matrix).to(dtype)
    size = round(len(matrix) ** 0.5)
    y = torch.linspace(0, 1, len(matrix), dtype=dtype).view(1, size, size)
    return LinearisedDenoiser(lambda x: (x.flatten(1) @ weights.T).view(x.shape), y)


def orthogonal(d: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


def with_eigenvalues(values: np.ndarray) -> np.ndarray:
    basis = orthogonal(len(values))
    return (basis * values) @ basis.T


def decaying(d: int = 256) -> np.ndarray:
    return 1.1 / (1 + np.arange(d) / 12) ** 1.2


SPECTRA = {
    "decaying": decaying(),
    "negative tail": np.where(np.arange(256) < 200, decaying(), -0.3 * decaying()[::-1]),
    "one value many times": np.sort(np.r_[np.full(22, 0.9), decaying()[: 256 - 22]])[::-1],
    "clusters": np.sort(
        np.repeat([1.0, 0.8, 0.799, 0.5, 0.1, 0.0], [5, 13, 9, 40, 89, 100])
        + 1e-7 * np.random.default_rng(1).standard_normal(256)
    )[::-1],
    "projector": np.r_[np.ones(60), np.zeros(196)],
    "identity": np.ones(256),
    "zero": np.zeros(256),
}


def check_basis(spectrum: Spectrum) -> None:
    """Descending, orthonormal, and signed by the entry of largest magnitude."""
    assert (np.diff(spectrum.eigenvalues) <= 0).all()
    vectors = spectrum.eigenvectors
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(vectors)), atol=1e-10)
    assert (vectors[np.arange(len(vectors)), np.abs(vectors).argmax(1)] > 0).all()


@pytest.mark.parametrize("name", SPECTRA)
def test_full_spectrum_of_known_symmetric_maps(name):
    values = np.sort(SPECTRA[name])[::-1]
    matrix = with_eigenvalues(values)
    found = full_spectrum(linear(matrix))
    check_basis(found)
    np.testing.assert_allclose(found.eigenvalues, values, atol=1e-12)
    np.testing.assert_allclose(
        found.eigenvectors @ matrix @ found.eigenvectors.T, np.diag(values), atol=1e-11
    )
    np.testing.assert_allclose(found.singular_values, np.sort(np.abs(values))[::-1], atol=2e-7)
    assert found.asymmetry == pytest.approx(0, abs=1e-14)
    assert found.trace == pytest.approx(values.sum(), abs=1e-10)
    assert found.effective_rank == pytest.approx((values**2).sum(), abs=1e-10)
    assert (found.trace_se, found.asymmetry_se, found.residuals.max()) == (0, 0, 0)
    assert found.least_eigenvalue == pytest.approx(values.min(), abs=1e-12)
    negative = np.abs(values[values < 0]).sum() / (np.abs(values).sum() or 1)
    assert found.negative_mass == pytest.approx(negative, abs=1e-12)
    assert (negative > 0.01) == (name == "negative tail")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("count", [1, 20, 80])
def test_leading_spectrum_of_known_symmetric_maps(name, count, dtype):
    """Also where one eigenvalue has more eigenvectors than a block has columns."""
    values = np.sort(SPECTRA[name])[::-1]
    found = leading_spectrum(linear(with_eigenvalues(values), dtype), count)
    check_basis(found)
    np.testing.assert_allclose(found.eigenvalues, values[:count], atol=1e-3)
    assert (found.errors <= 1e-3 * np.abs(found.eigenvalues).max()).all()
    # an eigenvalue lies within the residual of each value found
    distance = np.abs(found.eigenvalues[:, None] - values).min(axis=1)
    assert (distance <= found.residuals + 1e-6).all()
    assert found.asymmetry < 1e-6
    assert abs(found.trace - values.sum()) <= 5 * found.trace_se + 1e-4


def test_asymmetric_map():
    """Eigenvalues are those of the symmetric part; asymmetry and singular values those of J."""
    random = np.random.default_rng(3)
    antisymmetric = random.standard_normal((64, 64))
    antisymmetric = 0.02 * (antisymmetric - antisymmetric.T)
    symmetric = with_eigenvalues(decaying(64))
    matrix = symmetric + antisymmetric
    found = full_spectrum(linear(matrix))
    np.testing.assert_allclose(found.eigenvalues, decaying(64), atol=1e-12)
    expected = np.linalg.norm(matrix - matrix.T) / np.linalg.norm(matrix + matrix.T)
    assert found.asymmetry == pytest.approx(expected, rel=1e-12)
    singular = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(found.singular_values, singular, atol=1e-10)
    assert found.trace == pytest.approx(np.trace(matrix))
    assert found.effective_rank == pytest.approx((singular**2).sum())
    right = found.right_vectors
    assert right is not None
    np.testing.assert_allclose(right @ right.T, np.eye(64), atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(matrix @ right.T, axis=0), singular, atol=1e-10)


def test_antisymmetric_and_zero_maps_have_an_asymmetry():
    rotation = np.kron(np.eye(8), [[0.0, 1.0], [-1.0, 0.0]])
    assert full_spectrum(linear(rotation)).asymmetry == np.inf
    assert full_spectrum(linear(np.zeros((16, 16)))).asymmetry == 0


def test_a_complete_krylov_basis_is_exact():
    matrix = with_eigenvalues(decaying(64)) + 0.1 * np.triu(orthogonal(64), 1)
    full, leading = full_spectrum(linear(matrix)), leading_spectrum(linear(matrix), 64)
    check_basis(leading)
    np.testing.assert_allclose(leading.eigenvalues, full.eigenvalues, atol=1e-12)
    np.testing.assert_allclose(leading.singular_values, full.singular_values, atol=1e-8)
    for name in ("trace", "asymmetry", "effective_rank", "least_eigenvalue", "negative_mass"):
        assert getattr(leading, name) == pytest.approx(getattr(full, name), rel=1e-12)
    assert leading.trace_se == leading.asymmetry_se == 0


def test_estimates_are_unbiased_with_honest_standard_errors():
    matrix = with_eigenvalues(decaying()) + 0.05 * np.triu(
        np.random.default_rng(0).random((256, 256)), 1
    )
    full = full_spectrum(linear(matrix))
    found = [leading_spectrum(linear(matrix), 8, seed=seed) for seed in range(40)]
    traces = np.array([one.trace for one in found])
    asymmetries = np.array([one.asymmetry for one in found])
    ranks = np.array([one.effective_rank for one in found])
    for samples, exact in (
        (traces, full.trace),
        (asymmetries, full.asymmetry),
        (ranks, full.effective_rank),
    ):
        assert abs(samples.mean() - exact) < 4 * samples.std() / 40**0.5 + 0.02 * abs(exact)
    stated = np.mean([one.trace_se for one in found])
    assert 0.7 < stated / traces.std() < 1.5
    stated = np.mean([one.asymmetry_se for one in found])
    assert 0.6 < stated / asymmetries.std() < 1.7


def wiener(size: int, sigma: float) -> tuple[nn.Module, np.ndarray]:
    """The optimal denoiser of a stationary Gaussian field, and its eigenvalues P/(P + sigma^2)."""
    squared = np.fft.fftfreq(size)[:, None] ** 2 + np.fft.fftfreq(size)[None] ** 2
    power = 4e-4 / (squared + 0.1 / size**2)
    factors = power / (power + sigma**2)

    class Wiener(nn.Module):
        def forward(self, y: Tensor) -> Tensor:
            return torch.fft.ifft2(torch.fft.fft2(y) * torch.from_numpy(factors)).real.to(y.dtype)

    return Wiener(), np.sort(factors.ravel())[::-1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wiener_filter_of_a_gaussian_field(dtype):
    f, expected = wiener(16, 0.3)
    y = torch.randn(1, 16, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    precision = 1e-6 if dtype == torch.float32 else 1e-12
    full = full_spectrum(LinearisedDenoiser(f, y))
    np.testing.assert_allclose(full.eigenvalues, expected, atol=precision)
    assert full.asymmetry < precision
    # each eigenspace holds the 4 or 8 waves of one frequency, or more: larger than a block
    leading = leading_spectrum(LinearisedDenoiser(f, y), 40)
    np.testing.assert_allclose(leading.eigenvalues, expected[:40], atol=1e-3)
    # and the eigenvectors are pure waves
    waves = np.abs(np.fft.fft2(leading.eigenvectors.reshape(-1, 16, 16)))
    assert np.abs(waves[0]).argmax() == 0


def fourier_modes(height: int, width: int) -> np.ndarray:
    """(d, d): in each row a mode of unit norm, in the order of ``fft2``."""
    pairs = (np.fft.ifft(np.eye(size), norm="ortho", axis=0) for size in (height, width))
    modes: np.ndarray = np.kron(*pairs)
    return modes


@pytest.mark.parametrize(("height", "width"), [(6, 6), (4, 7)])
def test_fourier_quotients_are_those_of_explicit_modes(height, width):
    matrix = np.random.default_rng(0).standard_normal((height * width, height * width))
    modes = fourier_modes(height, width)
    expected = np.einsum("kp,pq,kq->k", modes.conj(), (matrix + matrix.T) / 2, modes)
    found = fourier_quotients(matrix, height, width)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-12)
    assert found.sum() == pytest.approx(np.trace(matrix))


def test_fourier_quotients_are_not_spread_by_errors_as_eigenvalues_are():
    """The Wiener filter plus symmetric errors: the quotients stay, the sorted values do not."""
    f, _ = wiener(16, 0.3)
    exact = full_spectrum(LinearisedDenoiser(f, torch.zeros(1, 16, 16, dtype=torch.float64) + 0.5))
    modes = fourier_modes(16, 16)
    matrix = ((modes.T * exact.fourier.ravel()) @ modes.conj()).real
    noise = 0.02 * np.random.default_rng(1).standard_normal((256, 256))
    found = full_spectrum(linear(matrix + (noise + noise.T) / 2))
    of_modes = np.sqrt(np.mean((found.fourier - exact.fourier) ** 2))
    of_ranks = np.sqrt(np.mean((found.eigenvalues - exact.eigenvalues) ** 2))
    # the error of a quotient has the variance of an entry off the diagonal, twice that if k is -k
    assert of_modes == pytest.approx(0.02 * (260 / 512) ** 0.5, rel=0.25)
    assert of_ranks > 4 * of_modes


def test_fourier_quotients_of_the_wiener_filter_are_its_factors():
    f, expected = wiener(16, 0.3)
    found = full_spectrum(LinearisedDenoiser(f, torch.rand(1, 16, 16, dtype=torch.float64)))
    np.testing.assert_allclose(np.sort(found.fourier.ravel())[::-1], expected, atol=1e-12)
    assert found.fourier[0, 0] == pytest.approx(expected[0])


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Tensor]:
    """A UNet after 150 updates on smooth random images of 16x16, and a noisy image."""
    random = torch.Generator().manual_seed(0)
    frequency = torch.fft.fftfreq(16)
    decay = 1 / (frequency[:, None] ** 2 + frequency[None] ** 2 + 0.005)
    images = torch.fft.ifft2(torch.fft.fft2(torch.randn(500, 1, 16, 16, generator=random)) * decay)
    images = 0.5 + 0.2 * images.real / images.real.std()
    network = build_network({"network": "unet", "blocks": 2, "channels": 8}, 0, "published").train()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(150):
        x = images[torch.randint(len(images), (16,), generator=random)]
        sigma = torch.rand(16, 1, 1, 1, generator=random) ** 2
        z = sigma * torch.randn(x.shape, generator=random)
        loss = (network(x + z) - z).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    y = images[0] + 0.2 * torch.randn(1, 16, 16, generator=random)
    return NetworkDenoiser(network.eval()), y


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leading_and_full_agree_on_a_trained_network(trained, dtype):
    f, y = trained
    linearised = LinearisedDenoiser(f, y.to(dtype))
    assert linearised.engine == "frozen"
    full = full_spectrum(linearised)
    assert full.asymmetry > 0.05  # a network, not a projection
    for count in (4, 12, 30):
        leading = leading_spectrum(linearised, count)
        check_basis(leading)
        np.testing.assert_allclose(leading.eigenvalues, full.eigenvalues[:count], atol=1e-3)
        np.testing.assert_allclose(leading.singular_values, full.singular_values[:count], atol=1e-2)
        assert np.isnan([leading.least_eigenvalue, leading.negative_mass]).all()
        overlap = leading.eigenvectors[:4] @ full.eigenvectors[:count].T
        assert np.linalg.norm(overlap, axis=1).min() > 0.999
        assert abs(leading.trace - full.trace) <= 5 * leading.trace_se
        assert abs(leading.asymmetry - full.asymmetry) <= 5 * leading.asymmetry_se


@pytest.mark.parametrize("capabilities", [{}, {"amx_bf16": True}])
def test_leading_and_full_agree_where_the_network_is_nearly_local(
    trained, capabilities, monkeypatch
):
    """From combs, with and without drafts in bfloat16; the residuals are those of exact products."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    f, y = trained
    linearised = LinearisedDenoiser(f, y.repeat(1, 3, 3)[:, :40, :40])
    assert (linearised.draft() is not None) == bool(capabilities)
    matrix = linearised.matrix().double().numpy()
    symmetric = (matrix + matrix.T) / 2
    expected = np.linalg.eigvalsh(symmetric)[::-1]
    found = leading_spectrum(linearised, 12)
    check_basis(found)
    np.testing.assert_allclose(found.eigenvalues, expected[:12], atol=1e-3 * expected[0])
    remainders = symmetric @ found.eigenvectors.T - found.eigenvectors.T * found.eigenvalues
    np.testing.assert_allclose(np.linalg.norm(remainders, axis=0), found.residuals, atol=1e-5)


def nearly_local(size: int, spread: float, low_rank: float) -> np.ndarray:
    """A symmetric blur of varying width, an antisymmetric part, and a few long-range terms."""
    random = np.random.default_rng(5)
    y, x = np.divmod(np.arange(size**2), size)
    squared = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    width = 1 + 0.5 * np.sin(x / 7.0) ** 2
    matrix = np.exp(-squared / (width[:, None] * width) / 2)
    matrix /= np.linalg.eigvalsh(matrix)[-1]
    antisymmetric = random.standard_normal(matrix.shape) * matrix
    factors = np.linalg.qr(random.standard_normal((size**2, 4)))[0]
    return matrix + spread * (antisymmetric - antisymmetric.T) + low_rank * factors @ factors.T


@pytest.mark.parametrize(("spread", "low_rank"), [(0.0, 0.0), (0.3, 0.0), (0.1, 0.9)])
def test_leading_spectrum_of_a_nearly_local_map(spread, low_rank):
    """Where combs of pixels give the starting basis, also if four eigenvectors are not local."""
    matrix = nearly_local(40, spread, low_rank)
    expected = np.linalg.eigvalsh((matrix + matrix.T) / 2)[::-1]
    for count in (3, 40) if spread == 0.1 else (40,):
        found = leading_spectrum(linear(matrix, torch.float32), count)
        check_basis(found)
        wrong = np.abs(found.eigenvalues - expected[:count])
        assert wrong.max() <= 1e-3
        assert found.errors.max() <= 1e-3 * expected[0]
        assert abs(found.trace - np.trace(matrix)) <= 5 * found.trace_se + 1e-3


def test_corrections_end_where_the_space_does():
    matrix, random = with_eigenvalues(np.linspace(1, 0.1, 64)), np.random.default_rng(0)
    pairs = LocalPairs(np.linspace(0.9, 0.5, 10), orthogonal(64, 1)[:, :10].astype(np.float32), 0.1)
    basis = KrylovBasis(linear(matrix), random)
    growth = _Growth(basis, count=4, block=4, largest=64, tolerance=1e-12)
    basis.append(basis.continuation(random.standard_normal((64, 62))))
    growth._correct(basis, pairs)
    assert basis.room == 0
    np.testing.assert_allclose(basis.ritz(4).values, np.linspace(1, 0.1, 64)[:4])


def test_combs_give_a_map_of_small_reach_exactly():
    matrix = np.zeros((1600, 1600))
    y, x = np.divmod(np.arange(1600), 40)
    reach = np.maximum(np.abs(y[:, None] - y), np.abs(x[:, None] - x))
    close = reach < 5
    matrix[close] = np.random.default_rng(0).standard_normal(int(close.sum()))
    approximation = comb_approximation(linear(matrix), spacing=10)
    np.testing.assert_allclose(approximation.toarray(), matrix, atol=1e-6)


def test_no_local_pairs_of_small_images_and_of_maps_without_locality():
    random = np.random.default_rng(0)
    assert local_pairs(linear(np.eye(256)), 10, random) == (None, 0)
    pairs, products = local_pairs(linear(with_eigenvalues(decaying(1600))), 10, random)
    assert pairs is None
    assert 0 < products < 1600 / 8


def test_corrections_solve_what_the_pairs_know_and_always_raise_the_value():
    """Beyond the pairs a mean eigenvalue stands for the rest; no gap is taken for negative."""
    random = np.random.default_rng(0)
    basis, alpha = orthogonal(64), np.linspace(0.9, -0.1, 20)
    pairs = LocalPairs(alpha, basis[:, :20].astype(np.float32), rest=0.1)
    matrix = (basis * np.r_[alpha, np.full(44, 0.1)]) @ basis.T
    theta, remainders = np.array([1.2, 1.0]), random.standard_normal((64, 2))
    exact = [
        np.linalg.solve(value * np.eye(64) - matrix, remainder)
        for value, remainder in zip(theta, remainders.T, strict=True)
    ]
    corrections = pairs.corrections(theta, remainders)
    np.testing.assert_allclose(corrections, np.transpose(exact), rtol=1e-4, atol=1e-5)

    below = np.array([0.9, 0.42, 0.05, -0.5])  # among the pairs, and below them all
    remainders = random.standard_normal((64, 4))
    products = np.sum(pairs.corrections(below, remainders) * remainders, axis=0)
    assert (products > 0).all()


@pytest.mark.parametrize("asymmetry", [0.0, 0.3])
def test_estimated_errors_bound_the_true_ones(asymmetry):
    """On spectra of every shape, wherever the basis stops growing."""
    random = np.random.default_rng(2)
    antisymmetric = random.standard_normal((400, 400)) / 20
    shapes = [
        decaying(400),
        np.linspace(1, -0.4, 400),
        np.sort(random.random(400))[::-1],
        np.repeat(np.linspace(1, 0, 40), 10),
    ]
    for values in shapes:
        matrix = with_eigenvalues(values) + asymmetry * (antisymmetric - antisymmetric.T)
        for tolerance in (3e-2, 3e-3, 3e-4):
            found = leading_spectrum(linear(matrix), 25, tolerance)
            wrong = np.abs(found.eigenvalues - values[:25])
            assert wrong.max() <= max(found.errors.max(), 1e-9), (values[:3], tolerance)
            assert found.errors.max() <= tolerance


def test_leading_spectrum_is_reproducible(trained):
    f, y = trained
    linearised = LinearisedDenoiser(f, y)
    first, again = leading_spectrum(linearised, 10), leading_spectrum(linearised, 10)
    other = leading_spectrum(linearised, 10, seed=1)
    assert np.array_equal(first.eigenvectors, again.eigenvectors)
    assert first.trace == again.trace
    assert first.trace != other.trace
    np.testing.assert_allclose(first.eigenvalues, other.eigenvalues, atol=1e-3)


def test_leading_spectrum_says_when_it_gives_up():
    values = 1 - np.arange(400) * 1e-2
    linearised = linear(with_eigenvalues(values))
    with pytest.warns(RuntimeWarning, match=r"of 20 eigenvalues .* on a basis of 48 columns"):
        found = leading_spectrum(linearised, 20, largest_basis=32)
    assert found.residuals.max() > 1e-2
    # each Ritz value is within its residual of an eigenvalue
    distance = np.abs(found.eigenvalues[:, None] - values).min(axis=1)
    assert (distance <= found.residuals + 1e-12).all()


def test_leading_spectrum_of_an_image_beyond_the_full_limit():
    """A 96x96 image: the filter is known, the matrix would have 85 million entries."""
    f, expected = wiener(96, 0.5)
    y = torch.zeros(1, 96, 96) + 0.5
    linearised = LinearisedDenoiser(f, y)
    with pytest.raises(ValueError, match=r"limited to 6,400 pixels, found 9,216 \(96x96\)"):
        full_spectrum(linearised)
    found = leading_spectrum(linearised, 12)
    np.testing.assert_allclose(found.eigenvalues, expected[:12], atol=1e-3)
    assert abs(found.trace - expected.sum()) < 5 * found.trace_se


@pytest.mark.parametrize("count", [0, 17])
def test_leading_count_out_of_range(count):
    with pytest.raises(ValueError, match=f"found {count} eigenvectors, allowed are 1 to 16"):
        leading_spectrum(linear(np.eye(16)), count)


def test_eigenbasis_of_any_denoiser(trained):
    f, y = trained
    values, vectors = eigenbasis(f, y)
    assert (values.shape, vectors.shape) == ((256,), (256, 1, 16, 16))
    assert values.dtype == vectors.dtype == y.dtype
    few, basis = eigenbasis(f, y, k=5, method="leading")
    assert (few.shape, basis.shape) == ((5,), (5, 1, 16, 16))
    torch.testing.assert_close(few, values[:5], atol=1e-3, rtol=0)
    assert eigenbasis(f, y, k=20)[0].shape == (256,)  # auto: full
    assert eigenbasis(f, y, k=15)[0].shape == (15,)  # auto: leading, fewer than 1 in 16
    told, _ = eigenbasis(lambda x, sigma: x / (1 + sigma), y, k=3, sigma=1.0)
    torch.testing.assert_close(told, torch.full((3,), 0.5))
    with pytest.raises(ValueError, match="method: found 'qr', allowed are auto, full, leading"):
        eigenbasis(f, y, method="qr")
    with pytest.raises(ValueError, match="how many eigenvectors"):
        eigenbasis(f, y, method="leading")
    with pytest.raises(ValueError, match="found 257 eigenvectors, allowed are 1 to 256"):
        eigenbasis(f, y, k=257)
