"""Only local plain files are opened: nothing that a file says leads to another file or to the network."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.helpers.clips import left_over
from tests.helpers.styles import Identity
from vidstyle.errors import InputError, VidstyleError
from vidstyle.media.decode import Decoder
from vidstyle.pipeline.apply import apply


class Listener:
    """A port of this machine that counts who calls."""

    def __init__(self) -> None:
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.port = self._socket.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                self._socket.accept()[0].close()
                self.calls += 1
            except TimeoutError:
                continue

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


LISTS = {
    "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
    "hls_key": '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:9,\na\n',
    "hls_after_space": "{space}#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n",
    "concat": "ffconcat version 1.0\nfile '{target}'\nduration 5\n",
    "concat_after_comment": "# a list{space}\nffconcat version 1.0\nfile '{target}'\n",
    "dash": '<?xml version="1.0"?><MPD><Period><BaseURL>{target}</BaseURL></Period></MPD>',
    "smil": '<smil><body><video src="{target}"/></body></smil>',
    "asx": '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
    "pls": "[playlist]\nFile1={target}\nNumberOfEntries=1\n",
    "ram": "{target}\n",
    "rtsptext": "RTSPtext\nrtsp://127.0.0.1:{port}/a\n",
}


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ts", ".mkv", ".txt"])
@pytest.mark.parametrize("kind", LISTS)
def test_lists_are_not_followed(tmp_path: Path, listener: Listener, kind: str, suffix: str):
    """Neither to /etc/passwd nor to 127.0.0.1, whatever the list is called and wherever it begins."""
    source = tmp_path / f"keep{suffix}"
    for target in ("/etc/passwd", "file:///etc/passwd", f"http://127.0.0.1:{listener.port}/a.ts"):
        source.write_text(LISTS[kind].format(target=target, port=listener.port, space=" " * 700))
        with pytest.raises(InputError) as caught:
            apply(source, Identity(), tmp_path / "out.mp4")
        assert "root:" not in str(caught.value)
    assert listener.calls == 0
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        "http://127.0.0.1:{port}/a.mp4",
        "tcp://127.0.0.1:{port}",
        "rtsp://127.0.0.1:{port}/a",
        "concat:/etc/passwd|/etc/hosts",
        "file:/etc/passwd",
        "subfile,,start,0,end,100,,:/etc/passwd",
        "data:video/mp4;base64,AAAA",
        "crypto:/etc/passwd",
        "/dev/zero",
    ],
)
def test_names_are_paths_and_no_addresses(tmp_path: Path, listener: Listener, name: str):
    """Names are paths and no addresses."""
    with pytest.raises(InputError, match=r"no such file|not a regular file|a URL"):
        apply(name.format(port=listener.port), Identity(), tmp_path / "out.mp4")
    assert listener.calls == 0


def test_no_list_of_numbered_names_leaves_its_folder(tmp_path: Path, listener: Listener):
    """A sequence is made of the files in its folder; what they say inside is not followed either."""
    for number in range(3):
        (tmp_path / f"keep{number}.png").write_text(
            f"#EXTM3U\nhttp://127.0.0.1:{listener.port}/{number}.png\n"
        )
    with pytest.raises(InputError):
        Decoder(tmp_path / "keep%d.png", fps=Fraction(24))
    assert listener.calls == 0


def alias(path: str) -> bytes:
    """An `alis` entry of a QuickTime data reference to another file, laid out as FFmpeg reads it."""
    name = path.rpartition("/")[2].encode()
    body = bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    body += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + struct.pack(">hh", 1, 1) + bytes(16)
    full = path.encode() + b"\0" * (len(path) % 2)
    body += struct.pack(">hh", 2, len(path)) + full + struct.pack(">hh", -1, 0)
    return struct.pack(">I4sI", 12 + len(body), b"alis", 0) + body


def with_reference(data: bytes, path: str) -> bytes:
    """The same film with its first track's samples said to lie in another file; all sizes are put right."""
    at = data.index(b"url \0\0\0\1") - 4
    entry = alias(path)
    out = bytearray(data[:at] + entry + data[at + 12 :])
    for kind in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = data.rindex(kind, 0, at) - 4
        (size,) = struct.unpack(">I", data[place : place + 4])
        out[place : place + 4] = struct.pack(">I", size + len(entry) - 12)
    return bytes(out)


class Trap:
    """A named pipe that knows whether anybody has opened it."""

    def __init__(self, path: Path) -> None:
        self.path, self.opened = path, False
        os.mkfifo(path)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.is_set():
            try:
                os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody reads
                time.sleep(0.01)
            else:
                self.opened = True

    def close(self) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    made = Trap(tmp_path / "keeptrap")
    yield made
    made.close()


def test_a_film_whose_samples_lie_elsewhere(tmp_path: Path, clip: Callable[..., Path], trap: Trap):
    """QuickTime can name another file for its samples; that file is not opened."""
    source = tmp_path / "keepin.mov"
    source.write_bytes(with_reference(clip("two_tracks.mov").read_bytes(), str(trap.path)))
    with suppress(VidstyleError):
        apply(source, Identity(), tmp_path / "out.mp4")
    assert not trap.opened
    with suppress(av.error.FFmpegError):  # the trap is one: FFmpeg walks into it when it is allowed to
        av.open(str(source), options={"enable_drefs": "1", "use_absolute_path": "1"}).close()
    assert trap.opened
