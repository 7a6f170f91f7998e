"""Faces and skin get less of the style: softly, and alike in whatever pieces a clip is made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.helpers.clips import TURNED_90, planes_of
from tests.helpers.commands import Run
from tests.helpers.faces import face_in_walk, tile, walk, write_yuv
from tests.helpers.styles import Brighter, DiesOnce, clip_of, panned, tiny_style
from vidstyle.media.decode import Decoder
from vidstyle.media.image_file import read_picture
from vidstyle.options import ApplyOptions, Region
from vidstyle.pipeline.apply import Report, apply
from vidstyle.pipeline.farm.plan_file import read_plan
from vidstyle.pipeline.farm.pool import Pool
from vidstyle.pipeline.farm.tasks import FarmRenderer, join_work, plan_work, style_for
from vidstyle.pipeline.grab import grab_frame
from vidstyle.pipeline.plan import plan
from vidstyle.styles.face_finder import find_faces, size_for_faces
from vidstyle.styles.load import load_style
from vidstyle.when import Keyframes, Range
from vidstyle.where import Protect

FFV1 = ApplyOptions(codec="ffv1", segment_frames=16, smooth=0.0, device="cpu")
FACES = Protect(faces=1.0)


def restyled(source: Path, target: Path, **changes: Any) -> tuple[Report, Tensor]:
    """(report, luma of the result) of 20 levels more light."""
    report = apply(source, Brighter(), target, replace(FFV1, overwrite=True, **changes))
    return report, planes_of(target)[0]


def digest(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def walking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face that goes to the right for 22 frames, then 14 frames of a scene without one."""
    frames = torch.cat((walk(22), panned(3, 14, 1, 192, 192)))
    return write_yuv(tmp_path_factory.mktemp("walk") / "walk.mkv", frames)


def test_the_finder_tells_faces_from_other_things():
    """The one face of eight pictures, where it is; not that of a cat, and none in a cup or a flower."""
    for number in range(8):
        picture = tile(number)[None].float() / 255
        size = size_for_faces(*picture.shape[2:])
        found = [f for f in find_faces(F.interpolate(picture, size, mode="area")) if f[4] > 0.45]
        assert len(found) == (number == 0)
        for left, top, right, bottom, _ in found:
            scale = 240 / size[1]
            assert abs((left + right) / 2 * scale - 102) < 6 and abs((top + bottom) / 2 * scale - 27) < 8


def test_a_face_stays_and_the_rest_is_as_without(walking: Path, tmp_path: Path):
    """In the middle of a face not one sample changes; far from it, and in other scenes, all are as ever."""
    before = planes_of(walking)[0]
    report, kept = restyled(walking, tmp_path / "kept.mkv", protect=FACES)
    _, plain = restyled(walking, tmp_path / "plain.mkv")
    assert not any("face" in warning for warning in report.warnings)
    for number in range(22):
        x, y = face_in_walk(number)
        middle = slice(y - 8, y + 8), slice(x - 6, x + 6)
        assert torch.equal(kept[number][middle], before[number][middle])
        assert torch.equal(kept[number, 130:], plain[number, 130:])
    assert torch.equal(kept[22:], plain[22:])
    share = (plain[:22] - kept[:22]).float() / 20
    assert float(share.diff(dim=1).abs().max()) < 0.25, "the edge is soft"
    assert float(share.diff(dim=2).abs().max()) < 0.25


def test_the_amount_is_what_is_taken_away(walking: Path, tmp_path: Path):
    """At 0.5 the middle of a face gets half of the style."""
    before = planes_of(walking)[0]
    _, kept = restyled(walking, tmp_path / "kept.mkv", protect=Protect(faces=0.5))
    x, y = face_in_walk(12)
    middle = slice(y - 8, y + 8), slice(x - 6, x + 6)
    assert torch.equal(kept[12][middle], before[12][middle] + 10)


def test_it_is_eased_where_a_face_comes_and_goes(tmp_path: Path):
    """No pixel takes more than a step of 2 of 20 levels from frame to frame because a face is uncovered."""
    frames = walk(1).repeat(60, 1, 1, 1)
    x, y = face_in_walk(0)
    for covered in (slice(0, 20), slice(40, 60)):
        frames[covered, :, y - 30 : y + 30, x - 30 : x + 30] = 96
    source = write_yuv(tmp_path / "in.mkv", frames)
    _, kept = restyled(source, tmp_path / "kept.mkv", protect=FACES)
    share = (kept - planes_of(source)[0])[:, y, x].float()
    assert float(share[20:36].max()) == 0
    assert float(share[:8].min()) == float(share[49:].min()) == 20
    assert float(share.diff().abs().max()) <= 2


def test_pieces_give_the_same_samples(walking: Path, tmp_path: Path):
    """In one segment, in pieces of 10 frames, in a cut-out of a range; also the one frame of --at."""
    style = load_style(tiny_style(tmp_path))
    options = replace(FFV1, smooth=1.0, protect=Protect(faces=0.9, skin=0.4))

    def made(name: str, **changes: Any) -> list[Tensor]:
        apply(walking, style, tmp_path / name, replace(options, **changes))
        return planes_of(tmp_path / name)

    whole = made("whole.mkv", segment_frames=240)
    pieces = made("pieces.mkv", segment_frames=10)
    assert all(torch.equal(a, b) for a, b in zip(whole, pieces, strict=True))
    part = made("part.mkv", ranges=(Range.from_text("13f-26f"),))
    assert all(torch.equal(a[13:26], b) for a, b in zip(whole, part, strict=True))
    apply(walking, style, tmp_path / "%02d.png", replace(options, codec="png", start_number=0))
    grab_frame(walking, style, tmp_path / "at.png", "17f", options)
    assert torch.equal(read_picture(tmp_path / "at.png"), read_picture(tmp_path / "17.png"))


def test_a_stopped_run_goes_on_to_the_same_bytes(walking: Path, tmp_path: Path):
    """The faces around the place where it goes on are found again."""
    options = replace(FFV1, protect=Protect(faces=0.8, skin=0.5), segment_frames=10)
    apply(walking, Brighter(), tmp_path / "one.mkv", options)

    class EnoughError(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.frames >= 25:
            raise EnoughError

    with pytest.raises(EnoughError):
        apply(walking, Brighter(), tmp_path / "two.mkv", options, stop)
    report = apply(walking, Brighter(), tmp_path / "two.mkv", options)
    assert report.segments_resumed >= 1
    assert digest(tmp_path / "one.mkv") == digest(tmp_path / "two.mkv")


def test_a_farm_gives_the_bytes_of_apply(walking: Path, tmp_path: Path):
    """Segments in any order, each by itself."""
    options, path = replace(FFV1, protect=Protect(faces=0.8, skin=0.5)), tiny_style(tmp_path)
    apply(walking, load_style(path), tmp_path / "one.mkv", options)
    planned = plan_work(walking, load_style(path), str(path), tmp_path / "work", options)
    stored = read_plan(tmp_path / "work")
    assert stored.options().protect == options.protect
    here = stored.options(device="cpu")
    style = style_for(tmp_path / "work", stored, None, here)
    renderer = FarmRenderer(tmp_path / "work", stored, style, here)
    for number in (2, 0, 1):
        renderer.render_segments([number])
    join_work(tmp_path / "work", tmp_path / "two.mkv")
    assert len(planned.tasks) == 3
    assert digest(tmp_path / "one.mkv") == digest(tmp_path / "two.mkv")


@pytest.mark.slow
def test_two_workers_give_the_bytes_of_one(walking: Path, tmp_path: Path):
    """Also when one of them dies on its way."""
    options = replace(FFV1, protect=Protect(faces=0.8, skin=0.5), segment_frames=10)
    apply(walking, Brighter(), tmp_path / "one.mkv", options)
    apply(walking, DiesOnce(tmp_path / "mark", 25), tmp_path / "two.mkv", options, engine=Pool(["cpu"] * 2))
    assert digest(tmp_path / "one.mkv") == digest(tmp_path / "two.mkv")


def test_where_there_is_no_face_the_whole_clip_is_styled(tmp_path: Path):
    """That is said; the samples are those without the option."""
    source = clip_of(tmp_path / "in.mkv", panned(1, 20, 1, 64, 96))
    report, kept = restyled(source, tmp_path / "kept.mkv", protect=Protect(faces=1.0, skin=1.0))
    assert any("no face was found" in warning for warning in report.warnings)
    report, plain = restyled(source, tmp_path / "plain.mkv")
    assert not any("face" in warning for warning in report.warnings)
    assert torch.equal(kept, plain)


def test_a_face_in_a_turned_clip_is_found(tmp_path: Path):
    """Clips that are stored turned are looked at upright; what stays is in its place as it is stored."""
    stored = torch.rot90(walk(9), -1, (2, 3)).contiguous()
    source = write_yuv(tmp_path / "in.mp4", stored, TURNED_90)
    with Decoder(source) as decoder:
        assert decoder.info.quarter_turns == 1
    before = planes_of(source)[0]
    report, kept = restyled(source, tmp_path / "kept.mkv", protect=FACES)
    assert not any("face" in warning for warning in report.warnings)
    x, y = face_in_walk(4)
    upright = torch.rot90(kept - before, 1, (1, 2))[4]
    assert int(upright[y - 8 : y + 8, x - 6 : x + 6].max()) == 0
    assert int(upright[140:].min()) == 20


def test_skin_is_what_has_the_color_of_the_face(tmp_path: Path):
    """A patch of the face's color keeps what is asked for, one of blue nothing; the edge between is sharp."""
    frames = walk(9, step=0)
    x, y = face_in_walk(0)
    skin = frames[0, :, y + 2 : y + 8, x - 6 : x + 6].float().mean((1, 2)).byte()
    frames[:, :, 130:170, 20:60] = skin[:, None, None]
    frames[:, :, 130:170, 60:100] = torch.tensor([60, 90, 180], dtype=torch.uint8)[:, None, None]
    source = write_yuv(tmp_path / "in.mkv", frames)
    before = planes_of(source)[0]
    _, kept = restyled(source, tmp_path / "kept.mkv", protect=Protect(skin=0.5))
    change = (kept - before).float()[4]
    assert float(change[140:160, 30:52].mean()) < 13
    assert float(change[140:160, 68:90].min()) > 19
    assert float(change[140:160, 58].mean()) < 15 and float(change[140:160, 63].mean()) > 17


def test_it_goes_with_a_region_and_keyframes(walking: Path, tmp_path: Path):
    """What is left of the style is the product; outside the region nothing changes."""
    before = planes_of(walking)[0]
    region, keyframes = Region.from_text("0,0,192,140"), Keyframes.from_text("0=0.5")
    _, kept = restyled(
        walking, tmp_path / "kept.mkv", protect=Protect(faces=0.6), region=region, keyframes=keyframes
    )
    x, y = face_in_walk(12)
    assert torch.equal(kept[12, 140:], before[12, 140:])
    assert int(kept[12, y, x] - before[12, y, x]) == 4  # of 20: half of it, and of that two fifths
    assert int(kept[12, 130, 10] - before[12, 130, 10]) == 10


def test_other_amounts_are_other_work(walking: Path, tmp_path: Path):
    """The key of segments tells them apart; without protection it is that of earlier versions."""

    def made(protect: Protect | None) -> Any:
        return plan(walking, Brighter(), tmp_path / "o.mkv", replace(FFV1, protect=protect))

    keys = {made(protect).key for protect in (None, FACES, Protect(faces=0.5), Protect(skin=0.5))}
    assert len(keys) == 4
    assert "protect" not in made(None).facts["options"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("eyes", "faces or skin"),
        ("faces=2", "from 0 to 1"),
        ("faces=much", "with a number"),
        ("faces,faces=0.5", "twice"),
        ("faces=0", "above 0"),
    ],
)
def test_what_is_no_protection_is_refused(text: str, what: str, run: Run, walking: Path):
    """A sentence, and exit code 2."""
    with pytest.raises(ValueError, match=what):
        Protect.from_text(text)
    code, _, err = run("apply", walking, "-s", "vlogger", "--protect", text, "--dry-run")
    assert code == 2 and what in err


def test_a_dry_run_says_what_is_protected(run: Run, walking: Path):
    """In words, and as a text that is read again."""
    arguments = (
        "apply",
        walking,
        "-s",
        "vlogger",
        "--protect",
        "faces",
        "--protect",
        "skin=30%",
        "--dry-run",
    )
    code, out, _ = run(*arguments)
    assert code == 0 and "less style on faces by 70 % and skin by 30 %" in out
    code, out, _ = run(*arguments, "--json")
    text = json.loads(out)["results"][0]["facts"]["options"]["protect"]
    assert text == "faces=0.7,skin=0.3"
    assert str(Protect.from_text(text)) == text
