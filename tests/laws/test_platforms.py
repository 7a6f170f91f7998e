"""What is only of Linux stands behind a door: the package is read, and files are named, on other systems."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import vidstyle
from vidstyle.media.segments import WorkFolder
from vidstyle.options import ApplyOptions
from vidstyle.styles.spec import names_a_file, parse_style, style_name

HOME = Path(vidstyle.__file__).parent
FILES = sorted(HOME.rglob("*.py"))

# Modules and names that Windows does not have (docs.python.org, "Availability: Unix").
MODULES = (
    *("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "crypt", "spwd", "nis"),
    *("posix", "readline", "curses", "_posixsubprocess", "_posixshmem"),
)
NAMES = {
    "os": (
        *("fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "getpgid", "killpg", "setsid", "nice"),
        *("uname", "getloadavg", "statvfs", "fchmod", "fchown", "chown", "mkfifo", "wait", "wait3", "wait4"),
        *("sched_getaffinity", "sched_setaffinity", "pread", "pwrite", "sysconf", "register_at_fork"),
        *(
            "getpriority",
            "setpriority",
            "posix_fallocate",
            "posix_fadvise",
            "sendfile",
            "openpty",
            "O_NOFOLLOW",
        ),
    ),
    "signal": (
        *("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGCHLD", "SIGCONT", "SIGSTOP"),
        *("SIGTSTP", "SIGQUIT", "SIGWINCH", "alarm", "setitimer", "pause", "pthread_sigmask", "pthread_kill"),
        *("sigwait", "siginterrupt", "set_wakeup_fd"),
    ),
    "time": ("tzset", "CLOCK_BOOTTIME", "pthread_getcpuclockid"),
    "socket": ("AF_UNIX",),
}
# Imports every module, each as on a system without them; what other libraries need is there before.
PROGRAM = f"""
import importlib, importlib.abc, os, pkgutil, signal, socket, sys, time
import av, click, concurrent.futures, cv2, multiprocessing, numpy, safetensors.torch, subprocess, tempfile
import tifffile, torch, torch.utils.checkpoint, tqdm, webbrowser
for name in {("matplotlib.pyplot", "torchvision", "onnx", "triton")!r}:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
missing = {MODULES!r}

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

for name in missing:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
for module, names in {NAMES!r}.items():
    for name in names:
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)
import vidstyle
count = 0
for found in pkgutil.walk_packages(vidstyle.__path__, "vidstyle."):
    if found.name != "vidstyle.__main__" and not found.name.startswith("vidstyle.models.cuda."):
        importlib.import_module(found.name)
        count += 1
print(count)
"""


def test_every_module_is_read_without_them() -> None:
    """Nothing of POSIX alone is needed to import the package; only the kernels for NVIDIA are left out."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 180


TREES = {path.relative_to(HOME).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def uses(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """`os.fork`, `signal.SIGHUP` and the like, with their line, where no `hasattr` asks first."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    asked = {ast.unparse(call) for call in calls if ast.unparse(call.func) == "hasattr"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            place, name = node.value.id, node.attr
            if name in NAMES.get(place, ()) and f"hasattr({place}, '{name}')" not in asked:
                yield f"{place}.{name}", node.lineno


def test_names_of_posix_are_asked_for_first() -> None:
    """`hasattr(os, ...)` stands in the same file; imports of its modules stand in a function or in `try`."""
    for name, tree in TREES.items():
        assert not list(uses(tree)), name
        for node in tree.body:
            if isinstance(node, ast.Import):
                assert not {alias.name.partition(".")[0] for alias in node.names} & set(MODULES), name
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in MODULES, name


def test_texts_are_utf8_everywhere() -> None:
    """On Windows a text file is cp1252 unless its encoding is named: a card with an umlaut would break."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            named = {keyword.arg for keyword in node.keywords}
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            if called in ("read_text", "write_text"):
                assert "encoding" in named, f"{name}: line {node.lineno}"
            modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
            if called == "open" and {"r", "w", "a", "x", "r+", "w+"} & set(modes):
                assert "encoding" in named or "av.open" in ast.unparse(node), f"{name}: line {node.lineno}"


def test_names_of_files_are_allowed_on_windows(tmp_path: Path) -> None:
    """Results, work folders and segments have none of the characters that Windows refuses."""
    refused = set('<>:"/\\|?*')
    work = WorkFolder(tmp_path / "out.mp4", "key", ApplyOptions())
    names = [work.root.name, work.part(3).name, work.sidecar(3).name]
    names.append(style_name(parse_style("C:\\looks\\a.safetensors#it: is/dusk:0.4,vlogger:0.6")))
    for name in names:
        assert not refused & set(name) and not name.endswith((".", " ")), name
    assert names_a_file("looks/a")
    (part,) = parse_style("C:\\looks\\a.safetensors")
    assert part.style == "C:\\looks\\a.safetensors"
