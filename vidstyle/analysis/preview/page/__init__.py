"""The HTML page of a preview: one file that needs nothing else.

What comes from files (names, facts, titles) reaches the page as JSON, which its script shows as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

_HOME = Path(__file__).parent
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def page(title: str, data: dict[str, Any]) -> str:
    """The HTML of a preview.

    Its policy lets it run its own script and style, which it names by their hashes, and load nothing from
    anywhere: no request can leave it, whatever stands in the data.
    """
    style, script = ((_HOME / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src {_hash_of(style)}; script-src {_hash_of(script)}; "
        "img-src data: blob:; media-src blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": html.escape(policy),
        "title": html.escape(printable(title)),
        "style": style,
        "script": script,
        "data": json_for_script(data),
    }
    # In one go, so that nothing that was put in is taken for a place again.
    return _PLACE.sub(lambda match: parts[match[1]], (_HOME / "page.html").read_text(encoding="utf-8"))


def json_for_script(data: dict[str, Any]) -> str:
    """JSON that can stand in a <script> element: whatever its strings hold, they cannot end it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def packed(data: bytes) -> str:
    """Bytes as the page holds them."""
    return base64.b64encode(data).decode()


def printable(text: str) -> str:
    """A name as it can be shown: bytes that are no text, and control characters, as the replacement sign."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def quoted(word: str) -> str:
    """A word of a command as it is typed into a shell: bare, in quotes where it must be.

    $'...' stands for what a line cannot show: bytes that are no text, line ends.
    """
    if os.name == "nt":
        return subprocess.list2cmdline([word])
    if word.isprintable():
        return shlex.quote(word)
    plain = "".join(
        f"\\{c}" if c in "\\'" else c if c.isprintable() else "".join(f"\\x{b:02x}" for b in os.fsencode(c))
        for c in word
    )
    return f"$'{plain}'"


def _hash_of(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
