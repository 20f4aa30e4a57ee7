"""The page to look at: it holds what results say, and moves in a browser as a person moves it."""

from __future__ import annotations

import base64
import io
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from helpers.browser import complaints, opened, requests
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from gahb.artifacts import ArtifactError
from gahb.cli import main
from gahb.page import pictures
from gahb.page.bases import ranks
from gahb.page.make import results_of, write_page
from gahb.spectra.store import read_spectra

RESULTS = ROOT / "results"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the results that git holds."""
    output = tmp_path_factory.mktemp("page") / "page.html"
    main(["page", "--results", str(RESULTS), "--output", str(output)])
    return output


@pytest.fixture(scope="module")
def data(page: Path) -> Any:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page.read_text())
    assert found
    return json.loads(found[1])


def decoded(picture: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        return np.asarray(image.convert("L"), float) / 255


def test_the_page_is_one_small_file(page: Path) -> None:
    text = page.read_text()
    assert page.stat().st_size < 15e6
    assert not re.search(r"""<(script|img|link)[^>]+(src|href)=["'](?!data:)""", text)
    assert "default-src 'none'" in text


def test_bases_are_those_of_the_spectra(data: Any) -> None:
    path = RESULTS / "spectra/alpha2/N10_S1.h5"
    arrays, made_from = read_spectra(path)
    (group,) = (group for group in data["bases"] if group["name"] == "alpha2")
    (denoiser,) = (one for one in group["denoisers"] if one["label"] == "network of N = 10")
    assert group["images"] == made_from["spec"]["spectra"]["test_images"]
    view = denoiser["views"][1][0]
    assert decoded(view["clean"]) == pytest.approx(arrays["clean"][1, 0].clip(0, 1), abs=0.01)
    assert len(view["vectors"]) == arrays["eigenvectors"].shape[2]
    vector = arrays["eigenvectors"][1, 0, 4]
    signs = decoded(view["vectors"][4]) - 0.5
    large = np.abs(vector) > np.abs(vector).max() / 20
    assert (np.sign(signs) == np.sign(vector.reshape(signs.shape)))[
        large.reshape(signs.shape)
    ].all()
    values, coefficients = arrays["eigenvalues"][1, 0], np.abs(arrays["clean_coefficients"][1, 0])
    assert view["of_vectors"][4] == pytest.approx([values[4], coefficients[4]], rel=1e-3)
    assert view["values"] == pytest.approx(values[np.array(view["k"]) - 1], rel=1e-3)
    assert {"disk posterior (no network)", "network of N = 100"} <= {
        one["label"]
        for group in data["bases"]
        if group["name"] == "disks"
        for one in group["denoisers"]
    }


def test_samples_and_curves_are_those_of_the_tables(data: Any) -> None:
    (group,) = (group for group in data["samples"] if group["name"] == "alpha2")
    table = pd.read_csv(RESULTS / "samples/alpha2/N10000.csv")
    pair = table[(table.quantity == "pair_similarity") & (table.measure == "correlation")]
    assert group["sizes"][-1]["between"] == pytest.approx(float(pair["mean"].iloc[0]), abs=1e-3)
    (group,) = (group for group in data["curves"] if group["name"] == "alpha2")
    table = pd.read_csv(RESULTS / "evaluation/alpha2/N10_S1.csv")
    own = table[table.evaluated_on == "own"].sort_values("sigma")
    curve = group["curves"][1]
    assert curve["label"] == "N = 10"
    assert curve["on"]["training images"]["y"] == pytest.approx(own.psnr_of_mean_mse, abs=1e-3)
    assert "known contour" in [one["label"] for one in group["curves"]]


def test_every_claim_leads_to_a_figure(page: Path) -> None:
    text = page.read_text()
    claims = pd.read_csv(RESULTS / "claims.csv")
    drawn = {path.stem for path in RESULTS.glob("figures/*.png")}
    for row in claims.itertuples():
        assert row.claim in text
        assert (f'<a href="#figure-{row.figure}">{row.claim}' in text) == (row.figure in drawn)
    assert set(re.findall('id="figure-([a-z]+)"', text)) == drawn
    assert not re.search(r"<img(?![^>]*\balt=)", text)


def test_a_picture_of_few_levels_is_near_the_image() -> None:
    image = np.linspace(-0.2, 1.2, 64).reshape(1, 8, 8)
    assert decoded(pictures.intensities(image)) == pytest.approx(image[0].clip(0, 1), abs=0.01)
    colour = np.stack([image[0], image[0] * 0, image[0] * 0])
    with Image.open(io.BytesIO(base64.b64decode(pictures.intensities(colour)))) as found:
        assert found.mode == "RGB"
        assert found.getpixel((7, 7)) == (255, 0, 0)
    assert decoded(pictures.signed(np.zeros((1, 8, 8)))) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("count", [8, 64, 65, 1024])
def test_ranks_end_with_the_last(count: int) -> None:
    found = ranks(count)
    assert found[: min(count, 64)] == list(range(min(count, 64)))
    assert found[-1] == count - 1
    assert found == sorted(set(found))


def test_a_part_without_files_is_left_out(tmp_path: Path) -> None:
    tables = [path for path in results_of(RESULTS) if path.suffix == ".csv"]
    write_page(RESULTS / "claims.csv", tables, [], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert 'id="curves"' in text
    assert 'id="bases"' not in text
    assert 'id="figures"' not in text
    with pytest.raises(ArtifactError, match="has no spectra, samples or tables"):
        results_of(tmp_path)


# ---------------------------------------------------------------------------------------------
# In a browser


def test_what_a_person_chooses_is_shown(page: Path) -> None:
    with opened(page) as browser:

        def at(name: str) -> Any:
            return browser.find_element(By.ID, name)

        def choose(name: str, text: str) -> None:
            Select(at(name)).select_by_visible_text(text)

        def sources(*names: str) -> list[str]:
            return [str(at(name).get_attribute("src")) for name in names]

        vectors = ("bases-vector-0", "bases-vector-1")
        before = sources(*vectors)
        at("bases-k").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        assert at("bases-k-now").text == "3"
        assert all(new != old for new, old in zip(sources(*vectors), before, strict=True))
        assert "eigenvector 3 of the network of N = 10:" in str(at(vectors[0]).get_attribute("alt"))
        assert browser.execute_script("return arguments[0].naturalWidth", at(vectors[0])) == 32
        denoised = sources("bases-denoised-0", "bases-denoised-1", "bases-clean")
        choose("bases-left", "network of N = 1")
        changed = sources("bases-denoised-0", "bases-denoised-1", "bases-clean")
        assert [new != old for new, old in zip(changed, denoised, strict=True)] == [
            True,
            False,
            False,
        ]
        choose("bases-image", "1")
        assert sources("bases-clean") != changed[2:]
        choose("bases-group", "disks")
        noisy = sources("bases-noisy")
        choose("bases-sigma", "0.4")
        assert sources("bases-noisy") != noisy
        assert "σ = 0.4" in str(at("bases-noisy").get_attribute("alt"))
        assert at("bases-k").get_attribute("max") == "10"

        samples = [f"samples-picture-{k}" for k in range(4)]
        first = sources(*samples)
        choose("samples-size", "10")
        assert all(new != old for new, old in zip(sources(*samples), first, strict=True))
        assert at("samples-status").text.startswith("N = 10: the two samples")

        lines = "#psnr .scatterlayer .trace"
        drawn = len(browser.find_elements(By.CSS_SELECTOR, lines))
        box = browser.find_element(By.CSS_SELECTOR, "#curves-labels input")
        box.send_keys(Keys.SPACE)  # as a keyboard does it: N = 1 off, on both sets
        assert len(browser.find_elements(By.CSS_SELECTOR, lines)) == drawn - 2
        box.send_keys(Keys.SPACE)
        assert len(browser.find_elements(By.CSS_SELECTOR, lines)) == drawn

        link = browser.find_element(By.CSS_SELECTOR, "#claims-table a")
        target = str(link.get_attribute("href")).split("#")[1]
        link.send_keys(Keys.ENTER)
        assert browser.current_url.endswith(target)
        assert (
            at(target).find_element(By.TAG_NAME, "img").get_attribute("alt").startswith("Figure: ")
        )
        assert complaints(browser) == []
        assert requests(browser) == []


def test_it_is_named_and_fits_on_a_phone_in_the_dark(page: Path) -> None:
    unnamed = """return [...document.querySelectorAll("select, input")].filter(one => !one.labels.length)
      .length + [...document.images].filter(one => !one.alt).length"""
    levels = (
        'return [...document.querySelectorAll("h1, h2, h3")].map(one => Number(one.tagName[1]))'
    )
    with opened(page, width=390, dark=True) as browser:
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 390
        assert browser.execute_script(unnamed) == 0
        headings = browser.execute_script(levels)
        assert headings[0] == 1
        assert all(b - a <= 1 for a, b in pairwise(headings))
        colour = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        assert browser.execute_script(colour, "body", "backgroundColor") == "rgb(20, 23, 26)"
        assert browser.execute_script(colour, "#psnr text", "fill") == "rgb(230, 233, 236)"
        assert complaints(browser) == []
