"""The page of a preview as text: what is put in stays data, and the command is what was meant."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from vidstyle.analysis.preview.page import json_for_script, page, printable, shell_quoted

HOSTILE = (
    "<img src=x onerror=alert(1)>.mp4",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "{{script}}",
    "&lt;b&gt;'\"\u2028",
    "--overwrite; rm -rf ~ $(id) `id` \\",
    "line\nend\ttab",
    b"not\xfftext.mp4".decode("utf-8", "surrogateescape"),
)


@pytest.mark.parametrize("text", HOSTILE)
def test_data_cannot_end_its_element(text: str) -> None:
    """JSON in the page holds no angle bracket, and reads back as what it was."""
    written = json_for_script({"title": text})
    assert not set("<>&\u2028") & set(written)
    assert json.loads(written) == {"title": text}


@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_no_markup(text: str) -> None:
    """The page has the elements of its template, whatever the clip is called."""
    plain, hostile = page("a", {"title": "a"}), page(text, {"title": text})
    assert re.findall(r"<\w+", hostile) == re.findall(r"<\w+", plain)
    hostile.encode()
    title = re.search("<title>(.*?)</title>", hostile)
    assert title is not None
    assert html.unescape(title[1]) == f"{printable(text)} · vidstyle preview"


def test_the_policy_names_what_the_page_runs() -> None:
    """Script and style by their hashes, and nothing from anywhere else."""
    text = page("a", {})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    rules = html.unescape(policy[1])
    assert rules.startswith("default-src 'none'")
    assert "unsafe" not in rules
    assert "http" not in rules
    for kind, element in (("style", "style"), ("script", "script")):
        found = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
        assert len(found) == 1
        digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in rules


def test_the_page_names_no_address() -> None:
    """No link, no font, no script of elsewhere; the name of SVG is one, and is never asked for."""
    text = page("a", {}).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//\w+\.\w+/|@import|url\(", text)


@pytest.mark.skipif(os.name == "nt", reason="asks a POSIX shell")
@pytest.mark.parametrize("text", [*HOSTILE, "in.mp4", "a b's", "", "*?[x]", "ü 漢.mp4"])
def test_what_is_quoted_is_one_word_of_a_shell(text: str) -> None:
    """bash hands over exactly the word, byte for byte."""
    command = f"printf %s {shell_quoted(text)}"
    assert command.isprintable()
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stdout == os.fsencode(text)


def test_every_part_of_the_page_is_packed() -> None:
    """The three files lie beside the module, so that an installation has them."""
    from vidstyle.analysis.preview import page

    home = Path(page.__file__).parent
    assert {path.name for path in home.glob("page.*")} == {"page.html", "page.css", "page.js"}
    written = (home.parents[3] / "pyproject.toml").read_text()
    assert all(f'"analysis/preview/page/*{kind}"' in written for kind in (".html", ".css", ".js"))
