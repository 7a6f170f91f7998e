"""`vidstyle styles` from the outside: styles are listed, come, travel and go."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers.commands import Run, runner
from tests.helpers.styles import tiny_style
from vidstyle.errors import StyleError
from vidstyle.styles import library
from vidstyle.styles.bundle import PNG, copy_style
from vidstyle.styles.header import read_facts
from vidstyle.styles.style_file import read_network, save_style


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd, "styles")


def own() -> list[str]:
    """The files on the user's library."""
    folder = library.own_folder()
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_style_is_added_shown_and_removed(run: Run, tmp_path: Path) -> None:
    """Under the name of its file or another one, with its card; a built-in style cannot be removed."""
    file = tiny_style(tmp_path, "alice")
    file.with_suffix(".md").write_text("# alice\n")
    assert run("add", file)[0] == 0
    assert run("add", file, "--name", "bob")[0] == 0
    assert own() == ["alice.md", "alice.safetensors", "bob.md", "bob.safetensors"]
    listed = [line.split()[0] for line in run()[1].splitlines()]
    assert listed[-2:] == ["alice", "bob"] and "vlogger" in listed
    assert json.loads(run("--json")[1])["styles"][-1]["name"] == "bob"
    assert json.loads(run("bob", "--json")[1])["name"] == "bob"
    assert json.loads(run("show", "bob", "--json")[1])["name"] == "bob"
    assert run("remove", "alice", "bob")[0] == 0
    assert own() == []
    code, _, err = run("remove", "vlogger")
    assert code == 4 and "came with vidstyle" in err and "your own: there is none yet" in err
    assert run("remove", "alice")[0] == 4


def test_a_shared_file_carries_all(run: Run, tmp_path: Path) -> None:
    """Exported here, imported there: the same style with the same card and the same sheet."""
    file = tiny_style(tmp_path, "alice")
    file.with_suffix(".md").write_text("# alice\n\nHer own.\n")
    file.with_suffix(".png").write_bytes(PNG + b"picture")
    assert run("add", file)[0] == 0
    shared = tmp_path / "elsewhere" / "shared.safetensors"
    assert run("export", "alice", "-o", shared)[0] == 0
    assert [path.name for path in shared.parent.iterdir()] == ["shared.safetensors"]
    assert run("export", "alice", "-o", shared)[0] == 6, "not replaced unasked"
    assert run("import", shared, "--name", "carol")[0] == 0
    folder = library.own_folder()
    for suffix in (".md", ".png"):
        assert (folder / f"carol{suffix}").read_bytes() == file.with_suffix(suffix).read_bytes()
    from vidstyle.styles.load import load_style

    rgb = torch.rand(1, 3, 40, 56)
    assert torch.equal(load_style("carol")(rgb), load_style(file)(rgb))
    assert torch.equal(load_style(shared)(rgb), load_style(file)(rgb)), "it can also be used as it is"
    assert run("export", "alice", "-o", tmp_path / "alice.zip")[0] == 6


def test_nothing_is_replaced_unasked(run: Run, tmp_path: Path) -> None:
    """A style of that name stays as it is without --overwrite; with it, an old card goes too."""
    file = tiny_style(tmp_path, "alice")
    file.with_suffix(".md").write_text("old")
    assert run("add", file)[0] == 0
    before = (library.own_folder() / "alice.safetensors").read_bytes()
    other = tiny_style(tmp_path / "new", "alice", seed=1)
    code, _, err = run("add", other)
    assert code == 6 and "--overwrite" in err
    assert (library.own_folder() / "alice.safetensors").read_bytes() == before
    assert run("add", other, "--overwrite")[0] == 0
    assert own() == ["alice.safetensors"]
    assert (library.own_folder() / "alice.safetensors").read_bytes() != before


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "A", "x" * 41, "a b", "..", "vlogger", "é"])
def test_no_name_leads_out_of_the_folder(name: str, run: Run, tmp_path: Path) -> None:
    """Nor hides a built-in style; exit code 4, nothing is written."""
    before = sorted(tmp_path.parent.iterdir())
    file = tiny_style(tmp_path / "in", "fine")
    code, _, err = run("add", file, f"--name={name}") if name else run("remove", name)
    assert code == 4, err
    assert own() == [] and sorted(tmp_path.parent.iterdir()) == before


def test_one_style_shows_its_card(run: Run) -> None:
    """Its limits and figures, and not how it was trained, which stands in the JSON with all the rest."""
    code, out, _ = run("vlogger")
    assert code == 0 and "## Limits" in out and "## Figures" in out and "family: photographic" in out
    assert "training:" not in out
    document = json.loads(run("vlogger", "--json")[1])
    assert document["training"] and "## Limits" in document["card"]
    assert run("VLOGGER")[1] == out


def test_the_list_and_a_card_need_no_torch() -> None:
    """The facts are JSON in the header of the file, so both are printed in under half a second of work."""
    for arguments in (["styles"], ["styles", "vlogger"], ["styles", "--json"]):
        code = (
            "import sys, resource\nfrom vidstyle.cli import main\n"
            f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
            "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules)\n"
            "assert resource.getrusage(resource.RUSAGE_SELF).ru_utime < 0.5\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_facts_without_torch_are_those_of_the_file(tmp_path: Path) -> None:
    """The header tells what safetensors tells; a file that lacks its last byte is damaged."""
    file = tiny_style(tmp_path, "alice")
    assert read_facts(file) == read_network(file)[2]
    for cut in (file.read_bytes()[:-1], file.read_bytes()[:7], b"", b"\xff" * 40):
        file.write_bytes(cut)
        with pytest.raises(StyleError, match="damaged"):
            read_facts(file)


def _hostile(folder: Path) -> dict[str, Path]:
    """Files that are no styles, each in its own way."""
    files = {
        name: folder / f"{name}.safetensors" for name in ("text", "foreign", "newer", "cut", "card", "sheet")
    }
    good = tiny_style(folder, "good")
    files["text"].write_text("import os")
    save_file({"x": torch.zeros(3)}, files["foreign"])
    files["newer"].write_bytes(good.read_bytes().replace(b"vidstyle-style-1", b"vidstyle-style-9"))
    files["cut"].write_bytes(good.read_bytes()[:-100])
    from vidstyle.styles.bundle import Attachments

    copy_style(good, files["card"], "card", Attachments(card="x" * (1 << 19)))
    copy_style(good, files["sheet"], "sheet", Attachments(sheet=b"MZ program"))
    return files


def test_hostile_files_are_refused(run: Run, tmp_path: Path) -> None:
    """Exit code 4 and nothing on the shelf; a file of a newer version is called that."""
    for name, file in _hostile(tmp_path).items():
        for verb in ("add", "import"):
            code, _, err = run(verb, file)
            assert code == 4, f"{name}: {err}"
            assert ("another version of vidstyle" in err) == (name == "newer")
    assert run("add", tmp_path / "none.safetensors")[0] == 4
    assert own() == []


def test_a_damaged_style_does_not_hide_the_others(run: Run, tmp_path: Path) -> None:
    """The list names it, goes on, and ends with exit code 4; words of files cannot command a terminal."""
    folder = library.own_folder()
    shutil.copy(tiny_style(tmp_path, "zoe"), folder.mkdir(parents=True) or folder)
    (folder / "bad.safetensors").write_text("nothing")
    code, out, err = run()
    assert code == 4 and "bad.safetensors" in err
    assert [line.split()[0] for line in out.splitlines()][-1] == "zoe"
    assert run("remove", "bad")[0] == 0 and run()[0] == 0
    generator, codes, facts = read_network(folder / "zoe.safetensors")
    save_style(folder / "zoe.safetensors", generator, codes, replace(facts, summary="A \x1b[2Jlook."))
    code, out, _ = run()
    assert code == 0 and "look." in out and "\x1b" not in out
