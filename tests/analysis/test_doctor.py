"""What doctor finds on a sound machine and on broken ones."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import pytest

from tests.helpers.styles import tiny_style
from vidstyle.analysis import doctor
from vidstyle.analysis.doctor import EXTRAS, PACKAGES, Finding, examine
from vidstyle.cli import main
from vidstyle.codecs import CODECS
from vidstyle.errors import DeviceError
from vidstyle.styles import library

PROJECT = (Path(__file__).parents[2] / "pyproject.toml").read_text()


@pytest.fixture(autouse=True)
def one_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped styles are one tiny one, and the user has none; their folder."""
    shipped = tmp_path / "shipped"
    tiny_style(shipped)
    monkeypatch.setattr(library, "STYLE_FOLDER", shipped)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "results"
    made.mkdir()
    return made


def by_name(folder: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(folder)}


def run(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--dir", str(folder), *more])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_a_sound_machine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, every codec opens, a clip was restyled, and nothing is left behind."""
    code, out = run(folder, capsys, "--json")
    report = json.loads(out)
    assert code == report["exit_code"] == 0
    found = {finding["name"]: finding for finding in report["findings"]}
    assert {*CODECS, *PACKAGES.values(), *EXTRAS, "vidstyle", "Python", "cpu", "tiny"} - {"cv2"} <= set(found)
    assert not [found[codec]["words"] for codec in CODECS if found[codec]["state"] != "ok"]
    assert "tiny on 12 frames" in found["apply"]["words"]
    assert re.search(r"threads.*memory", found["cpu"]["words"])
    assert "free in" in found["work folder"]["words"]
    assert not [f for f in report["findings"] if f["state"] == "broken"]
    assert list(folder.iterdir()) == []


def test_in_words(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each finding, and below it what to do; the verdict comes last."""
    missing = Finding("extras", "ray", "note", "not installed", "pip install it")
    monkeypatch.setattr("vidstyle.analysis.doctor.examine", lambda _: iter([missing]))
    code, out = run(folder, capsys)
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["note", "extras", "ray:", "not", "installed"],
        ["pip", "install", "it"],
        ["Clips", "can", "be", "restyled", "on", "this", "machine."],
    ]


def test_a_missing_package(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named with the command that brings it; what needs it is not tried."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    code, out = run(folder, capsys)
    assert code == DeviceError.exit_code
    assert "pip install --upgrade opencv-python-headless" in out
    assert "trial" not in out
    assert out.endswith("Clips cannot be restyled on this machine yet.\n")


def test_damaged_styles(folder: Path, one_style: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that was shipped means to install again, code 4, one of the user's own is only named."""
    own = library.own_folder()
    own.mkdir(parents=True)
    (own / "mine.safetensors").write_bytes(b"no style")
    assert by_name(folder)["mine"].state == "note"
    assert run(folder, capsys)[0] == 0
    (one_style / "broken.safetensors").write_bytes(b"no style")
    found = by_name(folder)
    assert (found["broken"].state, found["broken"].exit_code) == ("broken", 4)
    assert found["apply"].state == "ok"
    (one_style / "broken.safetensors").unlink()
    (one_style / "tiny.safetensors").unlink()
    found = by_name(folder)
    assert (found["shipped"].exit_code, found["apply"].exit_code) == (4, 4)


def test_a_style_that_is_not_the_installed_one(
    folder: Path, one_style: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip wrote down its hash."""
    path = (one_style / "tiny.safetensors").resolve()
    right = hashlib.sha256(path.read_bytes()).digest()
    monkeypatch.setattr(doctor, "_recorded_hashes", lambda: {path: right})
    assert by_name(folder)["tiny"].words == "intact"
    monkeypatch.setattr(doctor, "_recorded_hashes", lambda: {path: b"other"})
    assert by_name(folder)["tiny"].exit_code == 4


def test_no_place_for_results(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that cannot be written to ends with the exit code of outputs."""
    code, out = run(folder / "gone", capsys)
    assert code == 6
    assert "cannot be written to" in out


def test_little_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nearly full disk is a note: the run may still fit."""
    monkeypatch.setattr(doctor, "LITTLE_ROOM_BYTES", 1 << 62)
    assert by_name(folder)["work folder"].state == "note"


def test_it_knows_all_that_is_installed() -> None:
    """The dependencies and the extras of pyproject.toml, no more and no less."""
    block = re.search(r"^dependencies = \[(.*?)^\]", PROJECT, re.MULTILINE | re.DOTALL)
    extras = re.search(r"^\[project.optional-dependencies\]\n(.*?)^\[", PROJECT, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert extras is not None
    assert set(re.findall(r'"([\w-]+)[><=]', block[1])) == set(PACKAGES.values())
    assert set(re.findall(r"^(\w+) = \[", extras[1], re.MULTILINE)) == {*EXTRAS, "dev"}
