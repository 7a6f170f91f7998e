"""From files to batches: exact times, plain planes, and words for everything that is no video."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.helpers.clips import SPECS, ClipSpec, frame_times, jittered, luma, make_clip
from vidstyle.errors import DeviceError, InputError
from vidstyle.media.decode import Decoder
from vidstyle.media.digests import luma_digest


def decoded_times(path: Path) -> list[Fraction]:
    with Decoder(path) as decoder:
        return [pts * batch.time_base for batch in decoder.batches(7) for pts in batch.pts]


@pytest.mark.parametrize("name", [n for n in SPECS if n not in ("bframes.avi", "raw.h264")])
def test_times_are_those_of_the_frames(clip: Callable[..., Path], name: str):
    """Timestamps are those that FFmpeg decodes, in every container."""
    assert decoded_times(clip(name)) == frame_times(clip(name))


def test_variable_frame_rate_is_exact(clip: Callable[..., Path]):
    """Uneven timestamps come out to the tick."""
    assert decoded_times(clip("vfr.mp4")) == [Fraction(t, 90000) for t in jittered(30)]


def test_avi_with_b_frames_gets_its_times_in_order(clip: Callable[..., Path]):
    """AVI stores times in decoding order; frames get them in the order of presentation."""
    shuffled = frame_times(clip("bframes.avi"))
    assert shuffled != sorted(shuffled), "the trap is gone; the cure can go too"
    assert decoded_times(clip("bframes.avi")) == [Fraction(i, 30) for i in range(40)]


def test_a_raw_stream_gets_the_times_of_its_rate(clip: Callable[..., Path]):
    """Without any timestamps the frames follow at the rate of the stream, and a warning says so."""
    with Decoder(clip("raw.h264")) as decoder:
        found = [pts * batch.time_base for batch in decoder.batches(8) for pts in batch.pts]
        assert "no timestamps" in " ".join(decoder.warnings)
    assert found == [Fraction(i, 25) for i in range(30)]


def test_the_last_b_frames_are_drained(clip: Callable[..., Path]):
    """Frames that the decoder still holds at the end of the file are not lost."""
    assert len(decoded_times(clip("bframes.mkv"))) == 40


def test_planes_are_the_decoded_samples(clip: Callable[..., Path]):
    """Luma is what FFmpeg decodes, sample by sample."""
    with Decoder(clip("plain.mp4")) as decoder:
        found = np.concatenate([batch.planes[0].numpy() for batch in decoder.batches(4)])
    assert np.array_equal(found, luma(clip("plain.mp4")))


def test_ten_bit_planes_are_sixteen_bit_words(clip: Callable[..., Path]):
    """Samples above 8 bit are uint16, with the value in the low bits."""
    with Decoder(clip("ten_bit.mp4")) as decoder:
        batch = next(decoder.batches(4))
    assert batch.format.bit_depth == 10
    assert 255 < int(batch.planes[0].numpy().max()) < 1024


@pytest.mark.parametrize(
    ("name", "shift"), [("plain.mp4", (1, 1)), ("chroma_422.mp4", (1, 0)), ("chroma_444.mp4", (0, 0))]
)
def test_chroma_keeps_its_own_size(clip: Callable[..., Path], name: str, shift: tuple[int, int]):
    """Subsampled chroma is not enlarged."""
    with Decoder(clip(name)) as decoder:
        batch = next(decoder.batches(1))
    assert decoder.info.format.chroma_shift == shift
    assert tuple(batch.planes[1].shape[1:]) == (48 >> shift[1], 64 >> shift[0])


def test_an_odd_size_is_decoded_as_it_is(clip: Callable[..., Path]):
    """Odd widths and heights are neither cut nor padded."""
    with Decoder(clip("odd.mkv")) as decoder:
        batch = next(decoder.batches(2))
    assert [tuple(p.shape) for p in batch.planes] == [(2, 47, 63), (2, 24, 32), (2, 24, 32)]


def test_gray_gets_neutral_chroma_so_that_a_style_can_color_it(clip: Callable[..., Path]):
    """A gray source is carried as YUV with chroma in the middle."""
    with Decoder(clip("grey.mkv")) as decoder:
        batch = next(decoder.batches(2))
    assert len(batch.planes) == 3
    assert (batch.planes[1] == 128).all()


def test_packed_rgb_becomes_planes_in_the_order_g_b_r(clip: Callable[..., Path]):
    """Packed RGB samples come out as planes without a change of value."""
    with Decoder(clip("rgb.mkv")) as decoder:
        batch = next(decoder.batches(1))
    assert batch.format.matrix == "rgb" and batch.format.full_range
    # In the test picture red grows to the right and blue downwards.
    _, blue, red = (plane[0].float() for plane in batch.planes)
    assert red[:, -1].mean() > red[:, 0].mean() + 20
    assert blue[-1].mean() > blue[0].mean() + 20


def test_facts_of_the_picture(clip: Callable[..., Path]):
    """Size, rate, color tags, rotation and pixel aspect are read from the file."""
    tagged = clip(
        "sound.mp4",
        color=(1, 1, 1, 1),
        aspect=Fraction(4, 3),
        rotation=(0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
    )
    with Decoder(tagged) as decoder:
        info = decoder.info
    assert (info.width, info.height, info.average_fps) == (64, 48, 30)
    assert (info.format.matrix, info.primaries, info.transfer, info.matrix_was_guessed) == (
        "bt709",
        1,
        1,
        False,
    )
    assert info.rotation == (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30)
    assert (info.sample_aspect_ratio, info.audio_streams, info.frames_announced) == (Fraction(4, 3), 1, 30)


@pytest.mark.parametrize(("height", "matrix"), [(48, "bt601"), (720, "bt709")])
def test_an_untagged_source_is_guessed_by_its_lines(clip: Callable[..., Path], height: int, matrix: str):
    """Without a tag, HD is taken as BT.709 and SD as BT.601."""
    with Decoder(clip("plain.mp4", height=height, frames=2)) as decoder:
        assert (decoder.info.format.matrix, decoder.info.matrix_was_guessed) == (matrix, True)


@pytest.mark.parametrize("start", [0, 1, 11, 12, 29])
@pytest.mark.parametrize("name", ["bframes.mp4", "vfr.mp4", "bframes.ts"])
def test_a_range_is_the_same_frames_as_in_the_whole(clip: Callable[..., Path], name: str, start: int):
    """start and stop give those very frames, with their numbers and times."""
    with Decoder(clip(name)) as decoder:
        whole = [(p, f.numpy()) for b in decoder.batches(8) for p, f in zip(b.pts, b.planes[0], strict=True)]
    with Decoder(clip(name), start=start, stop=start + 5) as decoder:
        batches = list(decoder.batches(8))
        part = [(p, f.numpy()) for b in batches for p, f in zip(b.pts, b.planes[0], strict=True)]
    assert batches[0].index == start
    assert [p for p, _ in part] == [p for p, _ in whole[start : start + 5]]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(part, whole[start:], strict=False))


def test_batches_respect_the_grid_and_leave_out_what_is_skipped(clip: Callable[..., Path]):
    """Batches end at segment borders, and skipped segments are not given out."""
    with Decoder(clip("plain.mp4")) as decoder:
        found = [(b.index, len(b)) for b in decoder.batches(8, segment_frames=12, skip={1})]
    assert found == [(0, 8), (8, 4), (24, 6)]


def not_a_video(kind: str, folder: Path, clip: Callable[..., Path]) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("This is a shopping list, not a film.\n" * 40)
    elif kind == "empty":
        path.touch()
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(1).bytes(5000))
    elif kind == "sound_only":
        make_clip(path.with_suffix(".m4a"), SPECS["sound.mp4"])
        return strip_picture(path.with_suffix(".m4a"), path)
    elif kind == "cut_before_the_index":
        data = clip("sound.mp4").read_bytes()
        path.write_bytes(data[: len(data) // 2])
    elif kind == "playlist":
        path.write_text(
            "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n"
        )
    elif kind == "concat_script":
        path.write_text("ffconcat version 1.0\nfile /etc/passwd\nfile http://127.0.0.1:9/a.ts\n")
    elif kind == "picture_list":
        path.write_text('<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>')
    return path


def strip_picture(source: Path, target: Path) -> Path:
    import av

    with av.open(str(source)) as original, av.open(str(target), "w") as out:
        track = out.add_stream_from_template(original.streams.audio[0])
        for packet in original.demux(original.streams.audio[0]):
            if packet.size:
                packet.stream = track
                out.mux(packet)
    return target


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "no such file"),
        ("folder", "not a regular file"),
        ("text", "no video that can be read"),
        ("empty", "empty"),
        ("noise", "no video that can be read"),
        ("sound_only", "no picture stream"),
        ("cut_before_the_index", "no video that can be read"),
        ("playlist", "points to other files"),
        ("concat_script", "points to other files"),
        ("picture_list", "points to other files"),
    ],
)
def test_what_is_no_video_is_refused_in_words(
    tmp_path: Path, clip: Callable[..., Path], kind: str, words: str
):
    """One line names the file and says what is wrong and what to do."""
    path = not_a_video(kind, tmp_path, clip)
    with pytest.raises(InputError, match=words) as caught:
        Decoder(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith(".")


def test_a_clip_without_frames_is_refused(tmp_path: Path):
    """A file with a picture stream but no frame is an error in words."""
    path = tmp_path / "none.avi"
    make_clip(path, SPECS["plain.mp4"].__class__(frames=0, codec="mpeg4", options={}))
    with pytest.raises(InputError):
        Decoder(path)


def faststart(path: Path, target: Path) -> Path:
    """The same clip with its index in front, so that a cut file still opens."""
    import av

    with av.open(str(path)) as original, av.open(str(target), "w", options={"movflags": "faststart"}) as out:
        streams = [out.add_stream_from_template(s) for s in original.streams]
        for packet in original.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    return target


def test_a_file_cut_off_in_the_middle_is_refused(tmp_path: Path, clip: Callable[..., Path]):
    """An index that points far beyond the end of the file is an error."""
    path = faststart(clip("plain.mp4"), tmp_path / "cut.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(InputError, match=r"cut off: \d+ of 30 frames are missing"):
        Decoder(path)


def test_a_file_that_lacks_its_last_frame_is_decoded_and_said_so(tmp_path: Path, clip: Callable[..., Path]):
    """A small part missing at the end is a warning."""
    path = faststart(clip("plain.mp4"), tmp_path / "cut.mp4")
    path.write_bytes(path.read_bytes()[:-20])
    with Decoder(path) as decoder:
        count = sum(len(b) for b in decoder.batches(8))
        assert "cut off: 1 of 30" in " ".join(decoder.warnings)
    assert count in (29, 30)


def damaged(path: Path, target: Path, places: int, seed: int = 0) -> Path:
    """Overwrite picture data at some places with noise."""
    shutil.copy(path, target)
    import av

    with av.open(str(path)) as file:
        spots = [(p.pos, p.size) for p in file.demux(video=0) if p.size]
    chance = np.random.default_rng(seed)
    data = bytearray(target.read_bytes())
    for number in chance.choice(len(spots) - 2, places, replace=False):
        at, size = spots[number + 1]
        data[at + 4 : at + size] = chance.bytes(size - 4)
    target.write_bytes(data)
    return target


def test_a_few_damaged_packets_are_tolerated_and_named(tmp_path: Path, clip: Callable[..., Path]):
    """The frame before a damaged place is held, and a warning names the place."""
    path = damaged(clip("plain.mp4", frames=120), tmp_path / "hurt.mp4", 3)
    with Decoder(path) as decoder:
        count = sum(len(b) for b in decoder.batches(8))
        words = " ".join(decoder.warnings)
    assert 110 <= count <= 120
    assert "damaged packets near" in words


def test_too_much_damage_is_refused(tmp_path: Path, clip: Callable[..., Path]):
    """A clip of which over a tenth is damaged is an error."""
    path = damaged(clip("plain.mp4", frames=120), tmp_path / "hurt.mp4", 80)
    with pytest.raises(InputError, match="damaged"), Decoder(path) as decoder:
        for _ in decoder.batches(8):
            pass


def test_a_change_of_size_is_refused(tmp_path: Path, clip: Callable[..., Path]):
    """Frames of another size in the middle of a clip are an error that names the frame."""
    small, large = clip("raw.h264"), clip("raw.h264", width=96)
    path = tmp_path / "grows.h264"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(InputError, match="64x48 to 96x48"), Decoder(path) as decoder:
        for _ in decoder.batches(8):
            pass


def test_a_time_that_comes_twice_moves_one_frame_only(tmp_path: Path, clip: Callable[..., Path]):
    """The frame is kept, half a step later, and those after it stay where they were."""
    import av

    path = tmp_path / "twice.mkv"
    with av.open(str(clip("plain.mp4"))) as original, av.open(str(path), "w") as out:
        track = out.add_stream_from_template(original.streams.video[0])
        for number, packet in enumerate(p for p in original.demux(video=0) if p.size):
            packet.pts = packet.dts = 512 * (number - 1 if number == 10 else number)
            packet.stream = track
            out.mux(packet)
    found = decoded_times(path)
    wanted = frame_times(path)
    assert wanted[9] == wanted[10] and len(found) == 30
    assert found[:10] == wanted[:10] and found[11:] == wanted[11:]
    assert wanted[9] < found[10] < wanted[11]


def test_frames_faster_than_the_clock_do_not_make_the_clip_longer(tmp_path: Path):
    """2000 frames per second in a clock of 1 ms: each frame stays within its millisecond, in rising order."""
    pts = tuple(i // 2 for i in range(60))
    source = tmp_path / "fast.mkv"
    with (
        av.open(str(make_clip(tmp_path / "in.mp4", ClipSpec(frames=60, rate=Fraction(2000))))) as file,
        av.open(str(source), "w") as out,
    ):
        track = out.add_stream_from_template(file.streams.video[0])
        for time, packet in zip(pts, (p for p in file.demux(video=0) if p.size), strict=True):
            packet.pts = packet.dts = time
            packet.time_base, packet.stream = Fraction(1, 1000), track
            out.mux(packet)
    with Decoder(source) as decoder:
        found = [t * batch.time_base for batch in decoder.batches(8) for t in batch.pts]
        assert not decoder.warnings
    assert found == sorted(set(found)) and len(found) == 60
    assert [int(time * 1000) for time in found] == list(pts)


def test_hardware_that_is_not_there_is_said_in_words(clip: Callable[..., Path]) -> None:
    """Decoding in hardware is never replaced by software unasked: a name that FFmpeg does not know, and a
    card that is not there, are device errors."""
    for name, words in (("nonsense", "knows no such decoding hardware"), ("cuda", "Leave --hwaccel out")):
        if name == "cuda" and torch.cuda.is_available():
            continue
        with pytest.raises(DeviceError, match=words):
            Decoder(clip("plain.mp4"), hwaccel=name)


def test_a_digest_does_not_depend_on_who_decoded(clip: Callable[..., Path]) -> None:
    """Hardware gives the same samples in other layouts: NV12, and P010 with ten bits at the upper end."""
    for name, layout in (("plain.mp4", "nv12"), ("ten_bit.mp4", "p010le")):
        with av.open(str(clip(name))) as container:
            frame = next(container.decode(video=0))
        assert luma_digest(frame.reformat(format=layout)) == luma_digest(frame), name


@pytest.mark.cuda
def test_hardware_decodes_the_same_frames(clip: Callable[..., Path]) -> None:
    """NVDEC gives the planes and times of the software."""
    for here, there in zip(
        Decoder(clip("bframes.mp4")).batches(4),
        Decoder(clip("bframes.mp4"), hwaccel="cuda").batches(4),
        strict=True,
    ):
        assert here.pts == there.pts
        assert all(torch.equal(a, b) for a, b in zip(here.planes, there.planes, strict=True))
