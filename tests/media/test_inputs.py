"""Names: what is taken in and what comes out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidstyle.errors import InputError
from vidstyle.media.inputs import (
    check_distinct,
    expand,
    is_still,
    picture_pairs,
    still_pictures,
    target_of,
)

MP4 = (".mp4", ".mov", ".mkv")


def touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_pictures_are_known_by_their_names() -> None:
    """Any case of the suffix; videos are none."""
    assert all(is_still(Path(n)) for n in ("a.jpg", "a.JPEG", "a.png", "a.webp", "a.tif", "b.TIFF"))
    assert not any(is_still(Path(n)) for n in ("a.mp4", "a.gif", "a", "jpg"))


def test_files_are_taken_once_and_in_order(tmp_path: Path) -> None:
    """Named twice, or once by name and once by its folder: one run."""
    b, a = touch(tmp_path, "b.mp4", "a.mp4")
    assert expand([str(b), str(tmp_path), str(a)], "vlogger") == [b, a]


def test_a_folder_gives_its_clips_and_pictures(tmp_path: Path) -> None:
    """Not its notes, not hidden files, not what lies deeper, not results of an earlier run."""
    touch(tmp_path, "notes.txt", ".hidden.mp4", "deep/c.mp4", "in.vlogger.mp4", "._in.mp4")
    wanted = touch(tmp_path, "Lone.vlogger.mov", "in.MP4", "pic.JPG", "some.sketch.mp4")
    assert expand([str(tmp_path)], "vlogger") == wanted


def test_a_missing_file_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    """Its error then stands beside the other inputs' results."""
    assert expand([str(tmp_path / "no.mp4")], "vlogger") == [tmp_path / "no.mp4"]


def test_patterns(tmp_path: Path) -> None:
    """Quoted patterns work like the shell's, across folders with **; a real file may look like one."""
    a, b, odd = touch(tmp_path, "one/a.mp4", "two/b.mp4", "x[1].mp4")
    assert expand([f"{tmp_path}/**/?.mp4"], "vlogger") == [a, b]
    assert expand([str(odd)], "vlogger") == [odd]


@pytest.mark.parametrize(("name", "words"), [("*.mp4", "no file matches"), ("", "no videos")])
def test_nothing_found_is_an_error(tmp_path: Path, name: str, words: str) -> None:
    """A pattern without a match and a folder without videos are told apart."""
    touch(tmp_path, "notes.txt")
    with pytest.raises(InputError, match=words):
        expand([f"{tmp_path}/{name}"], "vlogger")


@pytest.mark.parametrize(
    ("source", "folder", "target"),
    [
        ("v/in.mp4", None, "v/in.vlogger.mp4"),
        ("v/in.MOV", None, "v/in.vlogger.MOV"),
        ("v/in.webm", None, "v/in.vlogger.mp4"),
        ("v/in.tar.mkv", None, "v/in.tar.vlogger.mkv"),
        ("v/in.jpg", None, "v/in.vlogger.jpg"),
        ("v/in.mp4", "out", "out/in.mp4"),
        ("v/in.webm", "out", "out/in.mp4"),
        ("v/pic.TIFF", "out", "out/pic.TIFF"),
        ("v/noname", "out", "out/noname.mp4"),
    ],
)
def test_targets(source: str, folder: str | None, target: str) -> None:
    """Beside the source with the style in the name; in a folder under the same name."""
    assert target_of(Path(source), "vlogger", Path(folder) if folder else None, MP4) == Path(target)


def test_two_results_under_one_name_are_refused(tmp_path: Path) -> None:
    """Also if the paths are spelt differently, and if a result would replace another input."""
    a, b = touch(tmp_path, "one/a.mp4", "two/a.mp4")
    with pytest.raises(ValueError, match="would both be written"):
        check_distinct([(a, tmp_path / "out.mp4"), (b, tmp_path / "one" / ".." / "out.mp4")])
    with pytest.raises(ValueError, match="another input"):
        check_distinct([(a, b), (b, tmp_path / "out.mp4")])
    check_distinct([(a, a), (b, tmp_path / "out.mp4")])  # the same file is refused by whoever writes it


def test_pictures_find_their_results(tmp_path: Path) -> None:
    """By the same name, the same stem, or the stem before a style's name, in this order."""
    source, result = tmp_path / "s", tmp_path / "r"
    touch(source, "a.jpg", "b.jpg", "c.jpg", "notes.txt", ".hidden.png")
    a, b, c, *_ = touch(result, "a.jpg", "b.png", "c.vlogger.jpg", "a.vlogger.jpg", "d.jpg")
    found = [(source / "a.jpg", a), (source / "b.jpg", b), (source / "c.jpg", c)]
    assert picture_pairs(source, result) == found
    assert picture_pairs(a, b) == [(a, b)]
    assert [path.name for path in still_pictures(source)] == ["a.jpg", "b.jpg", "c.jpg"]
    touch(result, "c.other.jpg")
    with pytest.raises(InputError, match="several results of c"):
        picture_pairs(source, result)
    b.unlink()
    with pytest.raises(InputError, match="no result of b"):
        picture_pairs(source, result)
