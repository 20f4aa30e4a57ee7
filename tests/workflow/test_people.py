"""The verbs for people: plain options in, tables and figures out; a wrong option names the right one."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gahb import ArtifactError, read_spectra, read_table
from gahb.artifacts import check_output
from gahb.cli import main
from gahb.denoisers.pretrained import pretrained_file


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    ramp = np.linspace(0, 255, 16 * 16).reshape(16, 16).astype(np.uint8)
    path = tmp_path / "pictures" / "ramp.png"
    path.parent.mkdir()
    Image.fromarray(ramp).save(path)
    return path


def test_spectra_of_one_image(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, plot = tmp_path / "out.h5", tmp_path / "basis.png"
    main(
        [
            *(
                "spectra",
                "--weights",
                "alpha2/N10000_S1",
                "--image",
                str(picture),
                "--sigma",
                "0.2",
            ),
            *("--k", "20", "--output", str(out), "--plot", str(plot)),
        ]
    )
    found, made_from = read_spectra(out)
    assert found["eigenvectors"].shape == (1, 1, 20, 16, 16)
    assert found["sigma"] == [0.2]
    assert (found["noisy"] - found["clean"]).std() == pytest.approx(0.2, rel=0.1)
    assert made_from["spec"]["spectra"]["eigenvectors"] == 20
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.startswith(f"eigenvalues {found['eigenvalues'][0, 0, 0]:.3f}")


def test_psnr_of_a_folder(picture: Path, tmp_path: Path):
    out, plot = tmp_path / "psnr.csv", tmp_path / "psnr.pdf"
    names = ["alpha2/N10000_S1", "disks/N10000_S1"]
    main(
        [
            *(
                "psnr",
                "--weights",
                *names,
                "--images",
                str(picture.parent),
                "--sigmas",
                "0.1",
                "0.3",
            ),
            *("--repeats", "2", "--output", str(out), "--plot", str(plot)),
        ]
    )
    table = read_table(out)
    assert table["denoiser"].tolist() == np.repeat(names, 2).tolist()
    assert (table["psnr_of_mean_mse"] > table["input_psnr"]).all()
    assert plot.stat().st_size


def test_samples_as_a_picture_and_as_an_array(picture: Path, tmp_path: Path):
    common = ["sample", "--weights", "alpha2/N10000_S1", "--count", "2", "--steps", "3"]
    main([*common, "--size", "16", "--output", str(tmp_path / "samples.png")])
    assert (tmp_path / "samples.png").stat().st_size
    around = ["--around", str(picture.parent), "--sigma-range", "0.05", "1"]
    main([*common, *around, "--output", str(tmp_path / "samples.npy")])
    assert np.load(tmp_path / "samples.npy").shape == (2, 1, 16, 16)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "psnr --wieghts a --images b",
            r"unrecognized argument --wieghts: did you mean --weights\?",
        ),
        ("spectra --weights a --zzz b", "unrecognized argument --zzz: there are --help, --weights"),
        ("psrn --weights a", r"invalid choice: 'psrn': did you mean psnr\?"),
        (
            "provenance crate --spec {} --citation a --snakefile b --output c --versions d",
            "expected NAME=VERSION, found d",
        ),
        ("spectra --image a.png", "the following arguments are required: --weights"),
        ("spectra --weights a --image b --dataset c", "--dataset goes with --spec"),
        ("spectra --spec {} --dataset a --output b --k 3", "--k does not go with --spec"),
    ],
)
def test_a_wrong_option_names_the_right_one(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2
    assert re.search(message, capsys.readouterr().err)


def test_figures_lie_in_new_folders_and_say_what_made_them(picture: Path, tmp_path: Path):
    plot = tmp_path / "new" / "basis.png"
    given = ["--weights", "alpha2/N10000_S1", "--image", str(picture), "--k", "2"]
    main(["spectra", *given, "--plot", str(plot)])
    made_from = json.loads(Image.open(plot).info["Description"])
    assert made_from["spec"]["spectra"]["eigenvectors"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("psnr {w} --images b --plot a.gif", "a.gif: found the ending '.gif', expected .png, .pdf"),
        ("psnr {w} --images b --output a.json", "found the ending '.json', expected .csv"),
        ("psnr {w} --images b --output {here}/file/a.csv", "file is not a folder"),
        ("psnr {w} ./{w2} {w2} --images b", "--weights: found .*, expected each once"),
        ("spectra {w} --image {here}/file --plot {here}", "found no ending, expected .png"),
        ("spectra {w} --image {here}/file --output a.csv", "found the ending '.csv', expected .h5"),
        ("spectra {w} --image {here}/none.png", "--image: found no file .*none.png"),
        ("sample {w} --output {here}/folder.png", "folder.png is a folder"),
        (
            "sample {w} --output a.png --count 0",
            "count: found 0, allowed is a whole number of at least 1",
        ),
        ("sample {w} --output a.png --size -8", "shape: found -8, allowed is a side of at least 1"),
        ("import a.pt --output {here}/b.pt", "b.pt: found the ending '.pt', expected .safetensors"),
        ("page --output {here}", "found no ending, expected .html"),
        ("figures basis --spec {{}} --inputs a --output b", "'experiment' is a required property"),
    ],
)
def test_what_cannot_be_written_or_counted_is_told_before_any_work(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(pretrained_file("alpha2/N10000_S1").read_bytes())
    given = {"here": tmp_path, "w": "--weights alpha2/N10000_S1", "w2": copy.name}
    with pytest.raises(SystemExit, match=f"^gahb .*: error: .*{message}"):
        main(words.format(**given).split())


def test_a_folder_without_rights_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda folder, rights: folder != tmp_path)
    with pytest.raises(ArtifactError, match=r"cannot be written: the folder .* is not writable"):
        check_output(tmp_path / "new" / "a.png", ".png")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "this machine cannot do it: out of memory"),
        (
            RuntimeError("CUDA out of memory. Tried\nmore"),
            "cannot do it: CUDA out of memory. Tried$",
        ),
        (RuntimeError("Found no NVIDIA driver"), "cannot do it: Found no NVIDIA driver"),
        (
            AssertionError("Torch not compiled with CUDA enabled"),
            "cannot do it: Torch not compiled",
        ),
        (RuntimeError("a mistake in gahb"), None),
    ],
)
def test_what_the_machine_lacks_is_one_message(
    error: Exception, message: str | None, monkeypatch: pytest.MonkeyPatch
):
    def fail(options: object) -> None:
        raise error

    monkeypatch.setattr("gahb.people.pretrained", fail)
    with pytest.raises(SystemExit if message else type(error), match=message):
        main(["pretrained"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "psnr --weights alpha2/N1 --images {here}",
            "there is no file 'alpha2/N1'; with gahb come",
        ),
        ("psnr --weights alpha2/N10000_S1 --images {here}/none", "images: there is no"),
        ("spectra --weights alpha2/N10000_S1 --image {here}", "expected one PNG or JPEG file"),
        ("sample --weights alpha2/N10000_S1 --output a.gif", "expected .png, .pdf, .npy"),
        ("sample --weights alpha2/N10000_S1 --size 12 --output {here}/a.png", "multiples of 8"),
    ],
)
def test_errors_are_one_message(words: str, message: str, tmp_path: Path):
    with pytest.raises(SystemExit, match=message):
        main([word.format(here=tmp_path) for word in words.split()])


def test_pretrained_networks_are_listed(capsys: pytest.CaptureFixture[str]):
    main(["pretrained"])
    assert "disks/N10000_S1" in capsys.readouterr().out
