"""The doors to other programs, with the real host where it installs, else with what it asks for."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
import torch

import vidstyle
from tests.helpers.clips import save_picture
from tests.helpers.styles import panned, tiny_style
from vidstyle.hosts.comfyui.node import VidstyleRestyle
from vidstyle.hosts.vapoursynth import restyle
from vidstyle.hosts.web_page import server

FOLDER = Path(vidstyle.__file__).parent / "hosts" / "comfyui"


class Format:
    """What VapourSynth says of a format."""

    def __init__(self, name: str, bits: int, is_float: bool = False) -> None:
        self.name, self.bits_per_sample, self.sample_type = name, bits, int(is_float)
        self.bytes_per_sample, self.num_planes, self.subsampling_w = bits // 8, 3, 0


class Clip:
    """A stand-in: frames are lists of planes, and ModifyFrame is done at once."""

    def __init__(self, frames: list[list[np.ndarray[Any, Any]]], fmt: Format) -> None:
        self.frames, self.format, self.std = frames, fmt, self

    def ModifyFrame(self, clips: Clip, selector: Callable[..., Any]) -> Clip:  # noqa: N802
        class Planes(list[Any]):
            def copy(self) -> Planes:
                return Planes(plane.copy() for plane in self)

        made = [list(selector(n=n, f=Planes(frame))) for n, frame in enumerate(clips.frames)]
        return Clip(made, clips.format)


@pytest.mark.parametrize(("kind", "bits"), [(np.uint8, 8), (np.uint16, 16), (np.float32, 32)])
def test_a_clip_of_vapoursynth(tmp_path: Path, kind: Any, bits: int) -> None:
    """Planes in, planes of the same type out: what the look makes of the picture."""
    style = str(tiny_style(tmp_path))
    look = vidstyle.load_style(style).with_(strength=0.5)
    white = 1 if kind == np.float32 else np.iinfo(kind).max
    scene = [(frame.numpy() / 255 * white).astype(kind) for frame in panned(0, 2)]
    clip = Clip([list(frame) for frame in scene], Format("RGB", bits, kind == np.float32))
    made = restyle(clip, style, strength=0.5, device="cpu")
    for frame, before in zip(made.frames, scene, strict=True):
        wanted = look(before.transpose(1, 2, 0))
        assert np.array_equal(np.stack(frame, axis=-1), wanted) and frame[0].dtype == kind


def test_what_vapoursynth_has_to_convert_first() -> None:
    """YUV, 10 bits: a sentence that says what to do."""
    for fmt in (Format("YUV444P8", 8), Format("RGB30", 10)):
        with pytest.raises(ValueError, match=r"must be RGB24, RGB48 or RGBS, not .*\. Convert it first"):
            restyle(Clip([], fmt))


@pytest.mark.skipif(
    importlib.util.find_spec("vapoursynth") is None, reason="VapourSynth needs Python 3.12: extra hosts"
)
def test_vapoursynth_itself() -> None:
    """The real host: a clip of its own, restyled frame by frame, in any order."""
    vs: Any = importlib.import_module("vapoursynth")
    blank = vs.core.std.BlankClip(width=64, height=48, format=vs.RGB24, length=3, color=[10, 20, 30])
    made = restyle(blank, lambda picture: 255 - picture)
    assert [np.asarray(made.get_frame(2)[plane])[0, 0] for plane in range(3)] == [245, 235, 225]


def test_comfyui_loads_the_folder() -> None:
    """As ComfyUI does it: the folder under a name of its own, without ComfyUI; its node says all it must."""
    spec = importlib.util.spec_from_file_location("custom_node", FOLDER / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (name,) = module.NODE_CLASS_MAPPINGS
    node = module.NODE_CLASS_MAPPINGS[name]
    assert name in module.NODE_DISPLAY_NAME_MAPPINGS and "comfy" not in sys.modules
    inputs = node.INPUT_TYPES()
    assert inputs["required"]["image"] == ("IMAGE",) and "vlogger" in inputs["required"]["style"][0]
    assert node.RETURN_TYPES == ("IMAGE",) and callable(getattr(node, node.FUNCTION)) and node.CATEGORY


@pytest.mark.parametrize("clip", [False, True])
def test_the_node_restyles(tmp_path: Path, clip: bool) -> None:
    """IMAGE in, IMAGE out: [N, H, W, 3] float32 in 0..1, as the look gives it; a clip is smoothed."""
    style = str(tiny_style(tmp_path))
    image = panned(0, 3).movedim(1, -1).float() / 255
    (made,) = VidstyleRestyle().restyled(image, "vlogger", 0.8, clip, style_file=style)
    assert made.shape == image.shape and made.dtype == torch.float32 and 0 <= made.min() <= made.max() <= 1
    wanted = vidstyle.load_style(style).with_(strength=0.8)(image.movedim(-1, 1)).movedim(1, -1)
    assert (made - wanted).abs().mean() < (0.02 if clip else 1e-6)


def test_a_page_of_your_own(tmp_path: Path) -> None:
    """A picture is sent, and comes back restyled."""
    style = tiny_style(tmp_path)
    save_picture(tmp_path / "p.png")
    with server(str(style), 0) as page:
        thread = threading.Thread(target=page.serve_forever)
        thread.start()
        try:
            data = (tmp_path / "p.png").read_bytes()
            with urlopen(f"http://127.0.0.1:{page.server_port}", data) as answer:
                made = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR_RGB)
        finally:
            page.shutdown()
            thread.join()
    before = cv2.imread(str(tmp_path / "p.png"), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(made, vidstyle.load_style(style)(before))
