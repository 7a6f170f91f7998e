"""The documents of --json: every field that is printed is in the table of the README, and no other."""

from __future__ import annotations

import json
import re
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.clips import Clip, save_picture
from tests.helpers.commands import Run
from tests.helpers.styles import tiny_style
from vidstyle.analysis.bench import BenchReport
from vidstyle.cli import shared
from vidstyle.styles import library
from vidstyle.train.personal.learn import LearnedStyle

README = Path(shared.__file__).with_name("README.md")


def table() -> dict[str, set[str]]:
    """The fields of each document; those that come with an option are not in it."""
    rows = {}
    for line in README.read_text().splitlines():
        found = re.fullmatch(r"\| (.+?) \| (`.+?)(?:, with .+)? \|", line)
        if found and " " in found[2]:
            rows[found[1].replace("`", "")] = set(re.findall("`([a-z_]+)`", found[2]))
        elif found:
            rows[found[1].replace("`", "")] = {found[2].strip("`")}
    return rows


def test_every_field_that_is_printed_is_documented(
    run: Run, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every command that takes no training, of refusals and failures, of clips and pictures."""
    tiny_style(library.own_folder(), "stub")
    monkeypatch.chdir(tmp_path)
    source, picture = clip("plain.mp4", frames=4), save_picture(tmp_path / "p.png")

    def fields(*words: str | Path) -> dict[str, Any]:
        document = json.loads(run(*words, "--json")[1].splitlines()[-1])
        assert document.pop("version") == 1
        return document

    style = ("-s", "stub")
    planned = fields("apply", source, picture, *style, "--dry-run", "-d", "out")
    applied = fields("apply", source, picture, "gone.mp4", *style, "-d", "out")
    result = Path("out") / source.name
    farm = ("--work", "work")
    found = {
        "any command that is refused": fields("apply", source),
        "apply": applied,
        "apply, a result that is a clip": applied["results"][0],
        "apply, a result that is a picture": applied["results"][1],
        "apply, a failure": applied["failures"][0],
        "apply --dry-run, a clip": planned["results"][0],
        "apply --dry-run, a picture": planned["results"][1],
        "preview": fields("preview", picture, *style),
        "evaluate, clips": fields("evaluate", source, result),
        "evaluate, pictures": fields("evaluate", picture, "out/p.png"),
        "styles": fields("styles"),
        "styles NAME": fields("styles", "stub"),
        "export": fields("export", "stub", "--cube", "33", "--force"),
        "farm plan": fields("farm", "plan", source, *style, *farm),
        "farm render": fields("farm", "render", *farm, "--segments", "0"),
        "farm status": fields("farm", "status", *farm),
        "farm join": fields("farm", "join", *farm, "-o", "joined.mp4"),
    }
    documented = table()
    assert documented["learn"] == {f.name for f in dataclass_fields(LearnedStyle)} | {"name", "card", "sheet"}
    assert documented["bench"] == {f.name for f in dataclass_fields(BenchReport)}
    for name, document in found.items():
        assert set(document) == documented[name], name
    assert set(documented) - set(found) >= {"doctor", "train", "farm export"}
