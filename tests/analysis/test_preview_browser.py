"""The page of a preview in a real browser: wiped by mouse, keys and touch, clips in step, no net."""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.browser import Browser, find_chromium
from tests.helpers.clips import Clip
from tests.helpers.styles import tiny_style
from vidstyle.analysis.preview.build import preview
from vidstyle.options import PreviewOptions

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or os.name == "nt",
    reason="no Chromium is installed: on Debian, apt-get install chromium",
)

NAME = "<img src=x onerror=alert(1)> it's.mp4"


@pytest.fixture(scope="module")
def page(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preview of a clip of two seconds in two looks, its name and theirs full of markup."""
    folder = tmp_path_factory.mktemp("page")
    source = folder / NAME
    source.write_bytes(clip("plain.mp4", frames=60, width=320, height=180).read_bytes())
    names = ("plain", "<b onclick=alert(2)>&amp; bold")
    styles = [str(tiny_style(folder, name, seed)) for seed, name in enumerate(names)]
    return preview(source, styles, None, PreviewOptions(device="cpu")).page


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None
    with Browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def browser(chromium: Browser, page: Path) -> Iterator[Browser]:
    """The page, open; a test fails where the browser complained or asked for anything but the page."""
    chromium.resize(1440, 900)
    chromium.requests.clear()
    chromium.complaints.clear()
    chromium.open(page)
    chromium.wait_for("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    yield chromium
    asked = {url.partition(":")[0] for url in chromium.requests}
    assert chromium.complaints == []
    assert asked <= {"file", "data", "blob"}
    assert sum(url.startswith("file:") for url in chromium.requests) == 1


def wipe(browser: Browser) -> float:
    return float(browser.run("document.getElementById('wipe').getAttribute('aria-valuenow')"))


def stage(browser: Browser) -> np.ndarray:
    """What is seen of the picture, without tags and handle: RGB [H, W, 3]."""
    left, top, width, height = (round(side) for side in browser.box("#stage"))
    shot = cv2.imdecode(np.frombuffer(browser.screenshot(), np.uint8), cv2.IMREAD_COLOR_RGB)
    return shot[top + height // 2 + 30 : top + height - 10, left : left + width].astype(np.float32)


def change(a: np.ndarray, b: np.ndarray, part: slice) -> float:
    """Mean difference in levels of a part of the width."""
    return float(np.abs(a[:, part] - b[:, part]).mean())


def test_the_wipe_follows_the_mouse(browser: Browser) -> None:
    """Dragged to the right it shows more of the source, there and only there."""
    left, top, width, height = browser.box("#stage")
    y = top + height / 2
    browser.mouse("mousePressed", left + width * 0.2, y)
    assert wipe(browser) == 20
    early = stage(browser)
    for share in (0.4, 0.6, 0.8):
        browser.mouse("mouseMoved", left + width * share, y)
    browser.mouse("mouseReleased", left + width * 0.8, y)
    assert wipe(browser) == 80
    late = stage(browser)
    columns = early.shape[1]
    between = slice(int(columns * 0.25), int(columns * 0.75))
    assert change(early, late, between) > 2
    assert change(early, late, slice(0, int(columns * 0.15))) < 0.5
    assert change(early, late, slice(int(columns * 0.85), columns)) < 0.5
    browser.mouse("mouseMoved", left + width * 0.3, y)
    assert wipe(browser) == 80  # let go of


def test_the_wipe_follows_the_keys(browser: Browser) -> None:
    """Arrows, pages, ends; its value is told to who cannot see it."""
    browser.run("document.getElementById('wipe').focus()")
    for name, code, shift, value in (
        ("ArrowRight", 39, False, 52),
        ("ArrowLeft", 37, True, 42),
        ("PageUp", 33, False, 52),
        ("Home", 36, False, 0),
        ("ArrowLeft", 37, False, 0),
        ("End", 35, False, 100),
    ):
        browser.key(name, code, shift)
        assert wipe(browser) == value
    said = browser.run("document.getElementById('wipe').getAttribute('aria-valuetext')")
    assert said == "100 % source, 0 % plain"


def test_the_wipe_follows_a_finger(browser: Browser) -> None:
    """On a phone, which the page fits into."""
    browser.resize(390, 844, 2, touch=True)
    assert browser.run("document.documentElement.scrollWidth") == 390
    left, top, width, height = browser.box("#stage")
    y = top + height / 2
    browser.touch("touchStart", (left + width * 0.5, y))
    for share in (0.6, 0.75, 0.9):
        browser.touch("touchMove", (left + width * share, y))
    browser.touch("touchEnd")
    assert wipe(browser) == pytest.approx(90, abs=1)


def test_every_control_is_reached_by_tab(browser: Browser) -> None:
    """In the order of the page, each with a name and a focus that can be seen."""
    browser.run("document.activeElement.blur()")
    seen = []
    for _ in range(6):
        browser.key("Tab", 9)
        seen.append(browser.run("document.activeElement.name || document.activeElement.id"))
        assert browser.run(
            "(() => { const e = document.activeElement; const s = getComputedStyle(e.id === 'wipe' ? "
            "e.firstElementChild : e.closest('label') || e); "
            "return s.outlineStyle !== 'none' || s.boxShadow !== 'none'; })()"
        ), seen
    assert seen == ["style", "wipe", "strength", "view", "copy", "command"]


def test_looks_and_stops_change_the_picture_and_the_command(browser: Browser) -> None:
    """By the arrow keys of the radio buttons; the strength of the dial stands in the command."""
    browser.run("document.getElementById('wipe').focus()")
    browser.key("Home", 36)
    full = stage(browser)
    browser.run("document.querySelector('[name=strength]:checked').focus()")
    for _ in range(3):
        browser.key("ArrowLeft", 37)
    weak = stage(browser)
    assert change(full, weak, slice(None)) > 2
    words = shlex.split(browser.run("document.getElementById('command').textContent"))
    assert words[:2] == ["vidstyle", "apply"]
    assert Path(words[2]).name == NAME
    assert words[5:] == ["--strength", "0.25"]
    browser.run("document.querySelector('[name=style]:checked').focus()")
    browser.key("ArrowRight", 39)
    assert change(weak, stage(browser), slice(None)) > 0.5
    assert browser.run("document.getElementById('name').textContent") == "<b onclick=alert(2)>&amp; bold"


def test_names_are_shown_as_text(browser: Browser) -> None:
    """No element comes of a name, no handler runs."""
    assert browser.run("document.getElementById('title').textContent") == NAME
    assert browser.run("document.querySelectorAll('img[src=x], b[onclick], [onerror]').length") == 0


def test_clips_play_in_step(browser: Browser) -> None:
    """Source and look run, and stay within a tenth of a second; again after a change of look."""
    browser.click("#strip label:first-of-type")
    videos = "[...document.querySelectorAll('video')].filter(v => !v.hidden)"
    for look in (1, 2):
        browser.click(f"#styles label:nth-of-type({look})")
        browser.wait_for(f"{videos}.length === 2 && {videos}.every(v => !v.paused && v.readyState > 2)")
        script = (
            f"new Promise(done => {{ const v = {videos}, seen = []; const began = performance.now(); "
            "(function look() { if (v.every(x => !x.seeking && !x.ended)) "
            "seen.push([v[0].currentTime, v[1].currentTime]); "
            "performance.now() - began < 2500 ? setTimeout(look, 40) : done(seen); })(); })"
        )
        pairs = browser.run(script)
        assert len(pairs) > 10
        times = [first for first, _ in pairs]
        assert max(times) - min(times) > 0.5
        settled = [abs(a - b) for a, b in pairs[5:]]
        assert sorted(settled)[int(len(settled) * 0.9)] < 0.1
    browser.click("#play")
    browser.wait_for(f"{videos}.every(v => v.paused)")
    browser.run("document.getElementById('seek').value = 0.5")
    browser.run("document.getElementById('seek').dispatchEvent(new Event('input'))")
    browser.wait_for(f"{videos}.every(v => !v.seeking && Math.abs(v.currentTime - 0.5) < 0.04)")


def test_the_plot_is_drawn_and_leads_to_its_places(browser: Browser) -> None:
    """A line for the source and for each look; a click goes to that moment."""
    assert browser.run("document.querySelectorAll('#plot path').length") == 3
    left, top, width, height = browser.box("#plot")
    for kind in ("mousePressed", "mouseReleased"):
        browser.mouse(kind, left + width * 0.5, top + height / 2)
    browser.wait_for("document.querySelectorAll('video').length === 2")
    browser.wait_for("Math.abs(document.querySelector('video').currentTime - 1) < 1")
    assert browser.run("document.querySelector('[name=view]:checked').value") == "0"


def test_the_time_axis_has_ticks(browser: Browser) -> None:
    """With times of the clip in order, inside the plot; how calm a look is stands in words."""
    labels = browser.run(
        "[...document.querySelectorAll('#plot text[text-anchor=middle]')]"
        ".map(t => [t.textContent, t.getBoundingClientRect().left, t.getBoundingClientRect().right])"
    )
    times = [float(text.split(":")[0]) * 60 + float(text.split(":")[1]) for text, _, _ in labels]
    assert len(times) >= 2 and times == sorted(times)
    assert all(before[2] < after[1] for before, after in itertools.pairwise(labels))
    left, _, width, _ = browser.box("#plot")
    assert left < labels[0][1] and labels[-1][2] <= left + width + 1
    assert browser.run("document.querySelectorAll('#plot .tick').length") >= len(labels)
    words = browser.run("document.getElementById('legend').textContent")
    assert "the clip" in words and "times" not in words


def test_the_strength_stays_between_stills_and_moving_pictures(browser: Browser) -> None:
    """Chosen on either, it is that of both and of the command; moving pictures show it."""
    chosen = "document.querySelector('[name=strength]:checked').value"
    browser.click("#strength label:nth-of-type(2)")
    browser.click("#strip label:first-of-type")
    assert browser.run(chosen) == "1"
    shown = "[...document.querySelectorAll('#after video')].find(v => !v.hidden)"
    browser.wait_for(f"{shown} && getComputedStyle({shown}).opacity === '0.5'")
    assert browser.run("document.getElementById('command').textContent").endswith("--strength 0.5")
    browser.click("#strength label:nth-of-type(3)")
    assert browser.run(f"getComputedStyle({shown}).opacity") == "0.75"
    browser.click("#strip label:nth-of-type(2)")
    assert browser.run(chosen) == "2"
    assert browser.run("document.getElementById('after-tag').textContent").endswith("75 %")
    assert browser.run("document.getElementById('command').textContent").endswith("--strength 0.75")


def test_the_command_is_copied(browser: Browser) -> None:
    """All of it, and the button says so."""
    browser.run("document.execCommand = () => true")
    browser.click("#copy")
    browser.wait_for("document.getElementById('copy').textContent === 'Copied'")


def test_light_and_dark(browser: Browser) -> None:
    """The page is as bright as the system wishes; words stay readable on both."""
    seen = []
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        shot = cv2.imdecode(np.frombuffer(browser.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
        corner = shot[:20, :20].mean()
        seen.append(corner)
        words = browser.run(
            "getComputedStyle(document.getElementById('details'))"
            ".color.match(/\\d+/g).slice(0, 3).map(Number)"
        )
        assert abs(np.mean(words) - corner) > 110
    assert seen[0] > 200 > 60 > seen[1]


def test_a_browser_without_the_codec_is_told(chromium: Browser, page: Path) -> None:
    """Words instead of a black picture, and the stills go on."""
    spoilt = chromium.call(
        "Page.addScriptToEvaluateOnNewDocument",
        source="window.Blob = class extends Blob { constructor() { super(['no video'], {}); } };",
    )
    chromium.open(page)
    chromium.call("Page.removeScriptToEvaluateOnNewDocument", identifier=spoilt["identifier"])
    chromium.click("#strip label:first-of-type")
    chromium.wait_for("!document.getElementById('broken').hidden")
    chromium.click("#strip label:nth-of-type(2)")
    chromium.wait_for("document.getElementById('broken').hidden")
