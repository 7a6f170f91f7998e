"""The HTML page of a preview: one file that loads nothing else.

Text from files (names, descriptions) reaches the page as JSON. Its script shows it as text, never as HTML.
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
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def page(title: str, data: dict[str, Any]) -> str:
    """The HTML of a preview.

    data: see `PreviewContent.page_data`. The page's content security policy allows its own script and style,
    by their hashes, and no other resource: no request can leave the page, whatever the data hold.
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
    # All in one pass, so that inserted text is not searched for placeholders again.
    return _PLACEHOLDER.sub(lambda match: parts[match[1]], (_HOME / "page.html").read_text(encoding="utf-8"))


def json_for_script(data: dict[str, Any]) -> str:
    """JSON for a <script> element: no string in it can end the element."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def base64_text(data: bytes) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(data).decode()


def printable(text: str) -> str:
    """Text with control characters and undecodable bytes replaced by U+FFFD."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def shell_quoted(word: str) -> str:
    """A word of a command line, quoted for the shell where needed.

    $'...' is used for line ends and for bytes that are not text.
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
