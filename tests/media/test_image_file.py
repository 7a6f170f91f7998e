"""Still pictures: kind, depth, opacity and metadata survive; damage is named; nothing half-done is left."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.errors import InputError, OutputError
from vidstyle.media.image_file import read_picture, read_whole, write_png
from vidstyle.media.picture_facts import PictureFacts, app13_of, iptc_of, read_facts, with_facts
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.still import restyle_still

ICC = b"\0" * 12 + b"mntrRGB XYZ " + bytes(range(100))
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'


def identity(rgb: Tensor) -> Tensor:
    return rgb


def warm(rgb: Tensor) -> Tensor:
    return rgb * torch.tensor([1.0, 0.8, 0.6]).view(1, 3, 1, 1)


def exif(orientation: int, thumbnail: bool = False) -> bytes:
    """A block of EXIF with an orientation and, if wanted, a second directory as previews have one."""
    first = struct.pack("<HHHIHH", 1, 274, 3, 1, orientation, 0)
    follow = struct.pack("<I", 8 + len(first) + 4) if thumbnail else b"\0" * 4
    second = struct.pack("<HHHIHHI", 1, 259, 3, 1, 6, 0, 0) if thumbnail else b""
    return b"II*\0" + struct.pack("<I", 8) + first + follow + second


def picture(channels: int = 3, dtype: type = np.uint8, size: tuple[int, int] = (37, 53)) -> NDArray:
    """A soft picture that compresses well; opacity (channel 3) is a ramp."""
    rows, columns = np.mgrid[: size[0], : size[1]] / max(size)
    waves = [0.5 + 0.4 * np.sin(4 * rows * (k + 1) + 3 * columns + k) for k in range(channels)]
    pixels = (np.stack(waves, -1) * np.iinfo(dtype).max).astype(dtype)
    return pixels[..., 0] if channels == 1 else pixels


def save(path: Path, pixels: NDArray, blocks: dict[int, bytes] | None = None, *options: int) -> Path:
    kinds = list(blocks or {})
    data = [np.frombuffer(block, np.uint8) for block in (blocks or {}).values()]
    _, encoded = cv2.imencodeWithMetadata(path.suffix, pixels, kinds, data, list(options))
    path.write_bytes(encoded.tobytes())
    return path


def load(path: Path) -> NDArray:
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)


def metadata(path: Path) -> dict[int, bytes]:
    _, kinds, blocks = cv2.imdecodeWithMetadata(
        np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED
    )
    return {int(kind): block.tobytes() for kind, block in zip(kinds, blocks, strict=True)}


@pytest.mark.parametrize(
    ("suffix", "channels", "dtype"),
    [
        *((s, c, d) for s in (".png", ".tif") for c in (1, 3, 4) for d in (np.uint8, np.uint16)),
        (".webp", 3, np.uint8),
        (".webp", 4, np.uint8),
    ],
)
def test_the_identity_gives_the_same_pixels(tmp_path: Path, suffix: str, channels: int, dtype: type) -> None:
    """Lossless kinds come back bit for bit, at 8 and 16 bits, gray, color and with opacity."""
    pixels = picture(channels, dtype)
    source = save(
        tmp_path / f"in{suffix}",
        pixels,
        None,
        *((cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ()),
    )
    assert np.array_equal(load(source), pixels)
    report = restyle_still(source, identity, tmp_path / f"out{suffix}")
    assert np.array_equal(load(report.target), pixels)
    assert load(report.target).dtype == dtype
    assert (report.width, report.height, report.warnings) == (53, 37, ())


def test_jpeg_comes_out_at_quality_95_without_subsampling(tmp_path: Path) -> None:
    """Three components sampled 1x1 each, and close to the source."""
    source = save(tmp_path / "in.jpg", picture())
    target = tmp_path / "out.jpg"
    restyle_still(source, identity, target)
    data = target.read_bytes()
    start = data.index(b"\xff\xc0")
    assert [data[start + 11 + 3 * k] for k in range(3)] == [0x11] * 3
    table = data[data.index(b"\xff\xdb") + 5 :][:64]
    assert table[0] == 2  # 16 at quality 50, so 1.6 at 95
    assert np.abs(load(target).astype(int) - load(source)).mean() < 1.0


def test_lossy_webp_stays_lossy(tmp_path: Path) -> None:
    """A lossy source gives no file of many times its size."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    source = save(tmp_path / "in.webp", noise, None, cv2.IMWRITE_WEBP_QUALITY, 80)
    restyle_still(source, identity, tmp_path / "out.webp")
    assert b"VP8 " in (tmp_path / "out.webp").read_bytes()[:40]


def test_color_changes_and_opacity_does_not(tmp_path: Path) -> None:
    """The style sees RGB in [0, 1] in this order and no alpha."""
    pixels = picture(4)
    source = save(tmp_path / "in.png", pixels)
    restyle_still(source, warm, tmp_path / "out.png")
    result = load(tmp_path / "out.png").astype(int)
    wanted = np.floor(pixels[..., :3] * np.array([0.6, 0.8, 1.0]) + 0.5)
    assert np.abs(result[..., :3] - wanted).max() <= 1
    assert np.array_equal(result[..., 3], pixels[..., 3])


def test_a_gray_picture_becomes_color_only_if_the_style_colors_it(tmp_path: Path) -> None:
    """Gray in, gray style: one channel. Gray in, warm style: three."""
    source = save(tmp_path / "in.jpg", picture(1))
    restyle_still(source, lambda rgb: rgb.mul(0.5), tmp_path / "dark.jpg")
    restyle_still(source, warm, tmp_path / "warm.jpg")
    assert load(tmp_path / "dark.jpg").ndim == 2
    assert load(tmp_path / "warm.jpg").shape == (37, 53, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_metadata_survive_and_orientation_is_not_applied_twice(tmp_path: Path, suffix: str) -> None:
    """EXIF, XMP and profile come out byte for byte; pixels stay as stored beside their orientation tag."""
    blocks = {cv2.IMAGE_METADATA_EXIF: exif(6), cv2.IMAGE_METADATA_XMP: XMP}
    if suffix != ".png":  # libpng checks profiles, and this one is made up
        blocks[cv2.IMAGE_METADATA_ICCP] = ICC
    source = save(tmp_path / f"in{suffix}", picture(), blocks)
    before = metadata(source)
    assert cv2.IMAGE_METADATA_EXIF in before
    target = tmp_path / f"out{suffix}"
    restyle_still(source, identity, target)
    assert metadata(target) == before
    assert load(target).shape == (37, 53, 3)


def test_the_preview_of_the_unstyled_picture_is_dropped(tmp_path: Path) -> None:
    """EXIF keeps its first directory and loses the link to the second, the thumbnail."""
    source = save(tmp_path / "in.jpg", picture(), {cv2.IMAGE_METADATA_EXIF: exif(3, thumbnail=True)})
    restyle_still(source, identity, tmp_path / "out.jpg")
    after = metadata(tmp_path / "out.jpg")[cv2.IMAGE_METADATA_EXIF]
    assert after.startswith(exif(3))


def test_profiles_that_are_not_rgb_are_left_behind(tmp_path: Path) -> None:
    """An ink profile on RGB pixels would turn every color wrong."""
    ink = ICC.replace(b"RGB ", b"CMYK")
    source = save(tmp_path / "in.jpg", picture(), {cv2.IMAGE_METADATA_ICCP: ink})
    restyle_still(source, identity, tmp_path / "out.jpg")
    assert cv2.IMAGE_METADATA_ICCP not in metadata(tmp_path / "out.jpg")


def tiff(pixels: NDArray, order: str, tags: dict[int, tuple[int, bytes]]) -> bytes:
    """An uncompressed TIFF of 8-bit pixels, little ("<") or big (">") endian, with extra tags."""
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    short = {
        256: width,
        257: height,
        258: 8,
        259: 1,
        262: 2 if samples == 3 else 1,
        277: samples,
        278: height,
    }
    body, start = bytearray(), 8
    entries = {n: struct.pack(order + "HHIHH", n, 3, 1, value, 0) for n, value in short.items()}
    if samples > 1:
        entries[258] = struct.pack(order + "HHII", 258, 3, samples, start + len(body))
        body += struct.pack(order + "H", 8) * samples + b"\0" * (samples * 2 % 4)
    for number, (kind, value) in tags.items():
        count = len(value) // {1: 1, 2: 1, 3: 2, 7: 1}[kind]
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", start + len(body))
        entries[number] = struct.pack(order + "HHI", number, kind, count) + place
        if len(value) > 4:
            body += value + b"\0" * (len(value) % 2)
    entries[273] = struct.pack(order + "HHII", 273, 4, 1, start + len(body))
    entries[279] = struct.pack(order + "HHII", 279, 4, 1, pixels.nbytes)
    body += pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    table = struct.pack(order + "H", len(entries)) + b"".join(entries[n] for n in sorted(entries))
    at = start + len(body)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    return head + bytes(body) + table + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_keeps_profile_and_words(tmp_path: Path, order: str) -> None:
    """Profile, XMP, maker and copyright come out of a TIFF of either byte order."""
    tags = {34675: (7, ICC), 700: (1, XMP), 271: (2, b"Maker of cameras\0"), 33432: (2, b"me\0")}
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    source.write_bytes(tiff(picture(), order, tags))
    restyle_still(source, identity, target)
    assert np.array_equal(load(target), load(source))
    data = target.read_bytes()
    assert all(value in data for _, value in tags.values())
    again = tmp_path / "again.tif"
    restyle_still(target, identity, again)
    assert all(value in again.read_bytes() for _, value in tags.values())
    restyle_still(source, identity, tmp_path / "out.webp")
    assert metadata(tmp_path / "out.webp")[cv2.IMAGE_METADATA_ICCP] == ICC
    back = tmp_path / "back.tif"
    restyle_still(tmp_path / "out.webp", identity, back)
    assert ICC in back.read_bytes()


def test_an_oriented_tiff_comes_out_upright_once(tmp_path: Path) -> None:
    """TIFF is turned while reading, so its tag must not be written again."""
    source, target = tmp_path / "in.tiff", tmp_path / "out.tiff"
    source.write_bytes(tiff(picture(), "<", {274: (3, struct.pack("<H", 6)), 34675: (7, ICC)}))
    restyle_still(source, identity, target)
    assert load(source).shape == (53, 37, 3)
    assert np.array_equal(load(target), load(source))


def test_tiff_pages_are_counted(tmp_path: Path) -> None:
    """A second page is not dropped without a word."""
    source = tmp_path / "in.tif"
    tifffile.imwrite(source, np.stack([picture(), picture()]), photometric="rgb")
    report = restyle_still(source, identity, tmp_path / "out.tif")
    assert "more than one page" in report.warnings[0]
    assert report.to_dict()["warnings"] == report.warnings


@pytest.mark.parametrize(("unit", "number"), [("inch", 2), ("centimeter", 3)])
def test_tiff_keeps_its_resolution(tmp_path: Path, unit: str, number: int) -> None:
    """A print size survives: pixels per unit across and down, and the unit."""
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    resolution = ((300, 1), (3001, 10))
    tifffile.imwrite(source, picture(), photometric="rgb", resolution=resolution, resolutionunit=unit)
    restyle_still(source, identity, target)
    with tifffile.TiffFile(target) as file:
        tags = file.pages.first.tags
        assert (tags[282].value, tags[283].value, int(tags[296].value)) == (*resolution, number)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_bigtiff_is_read_like_a_tiff(tmp_path: Path, dtype: type) -> None:
    """Pixels and words come out of the 64-bit kind of TIFF, too."""
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    pixels = picture(3, dtype)
    tifffile.imwrite(source, pixels, photometric="rgb", bigtiff=True, description="a wall", metadata=None)
    assert source.read_bytes()[2] == 43
    restyle_still(source, identity, target)
    assert np.array_equal(load(target), pixels[..., ::-1])
    with tifffile.TiffFile(target) as file:
        assert file.pages.first.description == "a wall"
        assert not file.is_bigtiff


def bad_inputs(folder: Path) -> list[tuple[Path, str]]:
    """Pictures that are none, or none that can be restyled, with a word of the complaint."""
    cases = []
    for suffix in (".jpg", ".png", ".webp", ".tif"):
        half = save(folder / f"half{suffix}", picture(size=(200, 300)))
        half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
        cases.append((half, "damaged"))
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "stub.tif").write_bytes(b"II*\0\x08")
    (folder / "ink.tif").write_bytes(tiff(picture(4), "<", {262: (3, struct.pack("<H", 5))}))
    (folder / "moving.webp").write_bytes(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02" + b"\0" * 40)
    tifffile.imwrite(folder / "float.tif", picture().astype(np.float32), photometric="rgb")
    gray_alpha = picture()[..., :2]
    tifffile.imwrite(folder / "gray_alpha.tif", gray_alpha, photometric="minisblack", planarconfig="contig")
    (folder / "folder.png").mkdir()
    words = {
        "text.png": "not a picture",
        "empty.jpg": "not a picture",
        "stub.tif": "damaged",
        "ink.tif": "CMYK",
    }
    words |= {
        "moving.webp": "animated",
        "float.tif": "floating point",
        "gray_alpha.tif": "gray with transparency",
        "folder.png": "cannot be read",
        "gone.jpg": "no such",
    }
    return cases + [(folder / name, word) for name, word in words.items()]


def test_bad_pictures_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    """Law 9 for stills: an InputError says what is wrong and what to do; no target, no leftover."""
    folder = tmp_path / "in"
    folder.mkdir()
    out = tmp_path / "out"
    out.mkdir()
    for source, word in bad_inputs(folder):
        with pytest.raises(InputError, match=word) as caught:
            restyle_still(source, identity, out / source.name)
        assert str(caught.value).startswith(f"{source}: ") and str(caught.value).count(". ") == 1
    assert not list(out.iterdir())


def test_targets_are_protected(tmp_path: Path) -> None:
    """No overwriting unless asked, never the source, nothing outside picture names, no half file."""
    source = save(tmp_path / "in.png", picture(4))
    target = tmp_path / "out.png"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="already exists"):
        restyle_still(source, identity, target)
    assert target.read_bytes() == b"mine"
    restyle_still(source, identity, target, ApplyOptions(overwrite=True))
    assert np.array_equal(load(target), load(source))
    with pytest.raises(OutputError, match="same file"):
        restyle_still(source, identity, source, ApplyOptions(overwrite=True))
    with pytest.raises(OutputError, match="no name for a picture"):
        restyle_still(source, identity, tmp_path / "out.mp4")
    with pytest.raises(OutputError, match="no transparency"):
        restyle_still(source, identity, tmp_path / "out.jpg")
    with pytest.raises(OutputError, match="cannot be written"):
        restyle_still(source, identity, source / "out.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "out.png"]


def test_a_failing_style_leaves_nothing(tmp_path: Path) -> None:
    """An exception on the way passes through and no file appears."""

    def fail(rgb: Tensor) -> Tensor:
        raise RuntimeError("no")

    source = save(tmp_path / "in.png", picture())
    with pytest.raises(RuntimeError):
        restyle_still(source, fail, tmp_path / "out.png")
    assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


def test_sixteen_bits_into_a_kind_of_eight_are_said(tmp_path: Path) -> None:
    """16-bit PNG to JPEG rounds and warns."""
    source = save(tmp_path / "in.png", picture(3, np.uint16))
    report = restyle_still(source, identity, tmp_path / "out.jpg")
    assert "8 bits" in report.warnings[0]
    assert np.abs(load(report.target).astype(int) - (load(source) / 257).round()).mean() < 1


def test_a_picture_is_read_as_it_is_looked_at(tmp_path: Path) -> None:
    """Upright, white behind what is transparent, 8 bits, three channels, whatever is stored."""
    upright = read_picture(save(tmp_path / "a.jpg", picture(), {cv2.IMAGE_METADATA_EXIF: exif(6)}))
    stored = read_picture(save(tmp_path / "b.jpg", picture()))
    assert upright.shape == (3, 53, 37) and stored.shape == (3, 37, 53)
    assert torch.equal(torch.rot90(upright, 1, (1, 2)), stored)
    for dtype in (np.uint8, np.uint16):
        pixels = picture(4, dtype)
        pixels[..., 3] = 0
        pixels[20:, :, 3] = np.iinfo(dtype).max
        read = read_picture(save(tmp_path / "a.png", pixels))
        assert int(read[:, :20].min()) == 255
        truth = pixels[20:, :, 2::-1].astype(float) * 255 / np.iinfo(dtype).max
        assert np.abs(read[:, 20:].permute(1, 2, 0).numpy() - truth).max() <= 0.51
    gray = read_picture(save(tmp_path / "g.png", picture(1)))
    assert torch.equal(gray, torch.from_numpy(picture(1)).expand(3, -1, -1))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8 no picture", None])
def test_a_picture_that_cannot_be_read_is_an_error_in_words(data: bytes | None, tmp_path: Path) -> None:
    """Empty, damaged, cut off."""
    path = save(tmp_path / "a.jpg", picture())
    path.write_bytes(path.read_bytes()[:-400] if data is None else data)
    with pytest.raises(InputError, match=r"a\.jpg: is damaged"):
        read_picture(path)
    with pytest.raises(InputError, match="no such file"):
        read_picture(tmp_path / "none.jpg")


def test_written_png_pixels_come_back(tmp_path: Path) -> None:
    """Every level, in RGB order; a folder that is a file is an error in words."""
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    assert np.array_equal(read_picture(write_png(tmp_path / "a.png", pixels)).permute(1, 2, 0), pixels)
    with pytest.raises(OutputError, match="cannot be written"):
        write_png(tmp_path / "a.png" / "b.png", pixels)


def test_cmyk_jpeg_is_refused(tmp_path: Path) -> None:
    """A JPEG of four inks is an error; its header is found behind other segments."""
    done, data = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))
    assert done
    raw = data.tobytes()
    start = raw.index(b"\xff\xc0")
    (tmp_path / "in.jpg").write_bytes(raw[: start + 9] + b"\x04" + raw[start + 10 :])
    with pytest.raises(InputError, match="is CMYK"):
        read_whole(tmp_path / "in.jpg")


def test_resolution_texts_and_iptc_are_kept_or_named(tmp_path: Path) -> None:
    """PNG keeps its texts, JPEG its IPTC, both the resolution; what another kind cannot hold is named."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    facts = PictureFacts((11811, 11811), ((b"tEXt", b"Title\0T"),), b"Photoshop 3.0\0words")
    for suffix, kept in ((".png", replace(facts, iptc=None)), (".jpg", replace(facts, texts=()))):
        source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
        source.write_bytes(with_facts(cv2.imencode(suffix, pixels)[1].tobytes(), facts))
        report = restyle_still(source, lambda rgb: rgb, target)
        assert read_facts(target.read_bytes()) == kept and not report.warnings
        report = restyle_still(source, lambda rgb: rgb, tmp_path / f"{suffix[1:]}.webp")
        assert any("does not keep the resolution" in warning for warning in report.warnings)


def test_a_transparent_gray_is_transparency(tmp_path: Path) -> None:
    """A gray PNG that names one level as transparent becomes a picture with opacity."""
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    data = cv2.imencode(".png", pixels)[1].tobytes()
    body = b"tRNS" + struct.pack(">H", 7)
    chunk = struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "in.png").write_bytes(data[:33] + chunk + data[33:])
    found = read_whole(tmp_path / "in.png").pixels
    assert np.array_equal(found[..., 3] == 0, pixels == 7) and np.array_equal(found[..., 0], pixels)


IPTC = b"\x1c\x02\x19\x00\x07holiday"


@pytest.mark.parametrize("source", [".tif", ".jpg", ".png"])
@pytest.mark.parametrize("target", [".tif", ".jpg", ".png", ".webp"])
def test_resolution_and_iptc_go_from_kind_to_kind(tmp_path: Path, source: str, target: str) -> None:
    """TIFF, JPEG and PNG say the resolution, TIFF and JPEG hold IPTC; what gets lost is named."""
    made = tmp_path / f"in{source}"
    pixels = np.full((8, 8, 3), 99, np.uint8)
    holds_iptc = source != ".png"
    if source == ".tif":
        more = [(33723, 7, len(IPTC), IPTC, True), (315, 2, 4, b"Ann\0", True)]
        tifffile.imwrite(made, pixels, resolution=(300, 150), resolutionunit="inch", extratags=more)
    else:
        facts = PictureFacts((11811, 5906), iptc=app13_of(IPTC) if holds_iptc else None)
        made.write_bytes(with_facts(cv2.imencode(source, pixels)[1].tobytes(), facts))
    result = tmp_path / f"out{target}"
    warnings = " ".join(restyle_still(made, identity, result).warnings)
    found = read_whole(result).facts
    assert found.per_meter == (None if target == ".webp" else (11811, 5906))
    kept = holds_iptc and target in (".tif", ".jpg")
    assert (None if found.iptc is None else iptc_of(found.iptc)) == (IPTC if kept else None)
    assert ("resolution" in warnings) == (target == ".webp")
    assert ("IPTC" in warnings) == (holds_iptc and not kept)
    assert ("artist" in warnings) == (source == ".tif" and target != ".tif")
