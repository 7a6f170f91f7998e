"""What is handed to a farm's own engine: checked, and run as far as the engine is here or can be played."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.clips import Clip
from tests.helpers.styles import tiny_style
from vidstyle.cli import main
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.farm.ranges import parse_segments
from vidstyle.styles.load import load_style

openjd_model = pytest.importorskip("openjd.model", reason="the extra farm is not installed")


ENGINES = ["openjd", "slurm", "deadline10", "opencue", "flamenco", "kubernetes"]


def digest(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


class Show:
    """A folder with a clip of 60 frames in a path with a blank, and jobs exported for it."""

    def __init__(self, folder: Path, clip: Path) -> None:
        self.home = folder / "my show"
        self.home.mkdir()
        self.source, self.work, self.output = (self.home / name for name in ("in.mp4", "work", "out.mp4"))
        self.source.write_bytes(clip.read_bytes())
        self.style = tiny_style(self.home)
        self.job = folder / "job"

    def export(self, engine: str, *more: Any) -> None:
        arguments = ["farm", "export", self.source, "-s", self.style, "--engine", engine, "--dir", self.job]
        arguments += [
            "--work",
            self.work,
            "-o",
            self.output,
            "--segment-frames",
            12,
            "--device",
            "cpu",
            *more,
        ]
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        assert not ended.value.code

    def read(self, name: str) -> Any:
        return json.loads((self.job / name).read_text())


@pytest.fixture
def show(tmp_path: Path, clip: Clip) -> Show:
    return Show(tmp_path, clip("sound.mp4", frames=60))


def test_the_bundle_is_valid(show: Show) -> None:
    """Open Job Description's own model takes the template with the values; assets and look are in it."""
    show.export("openjd", "--smooth", "1", "--deinterlace", "--chunk", "2")
    template = openjd_model.decode_job_template(
        template=show.read("template.json"), supported_extensions=["TASK_CHUNKING"]
    )
    assert [step.name for step in template.steps] == ["Plan", "Render", "Join"]
    values = {v["name"]: v["value"] for v in show.read("parameter_values.json")["parameterValues"]}
    named = {parameter.name for parameter in template.parameterDefinitions}
    assert set(values) == named - {"ChunkSeconds"}
    assert (values["Segments"], values["ChunkSize"]) == ("0-4", 2)
    references = show.read("asset_references.json")["assetReferences"]
    assert references["inputs"]["filenames"] == [str(show.source), str(show.style)]
    steps = show.read("template.json")["steps"]
    arguments = steps[0]["script"]["actions"]["onRun"]["args"]
    settings = ["--device", "cpu", "--smooth", "1", "--deinterlace", "--segment-frames", "12"]
    assert arguments[7:-2] == settings
    assert all(
        step["script"]["actions"]["onRun"]["cancelation"]["mode"] == "NOTIFY_THEN_TERMINATE" for step in steps
    )
    show.export("openjd", "--device", "cuda")
    amounts = show.read("template.json")["steps"][1]["hostRequirements"]["amounts"]
    assert {"name": "amount.worker.gpu", "min": 1} in amounts


WORKER = """#!/bin/sh
exec {python} -c '
import os, signal, sys
from pathlib import Path
from vidstyle.cli import main
if {dies} and not Path("{mark}").exists():
    from vidstyle.styles.style import Style
    restyle = Style.restyle
    def dies(self, batch):
        if batch.index >= 40:
            Path("{mark}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return restyle(self, batch)
    Style.restyle = dies
main(sys.argv[1:])
' "$@"
"""


def run_bundle(show: Show, *more: str, mapped: bool = False, dies: bool = False) -> tuple[int, str]:
    """`openjd run` of the job. mapped: its values name /elsewhere, which a rule maps to the real place."""
    worker = show.home.parent / "worker"
    worker.write_text(WORKER.format(python=sys.executable, dies=dies, mark=show.home.parent / "mark"))
    worker.chmod(0o755)
    values = {v["name"]: v["value"] for v in show.read("parameter_values.json")["parameterValues"]}
    values["Vidstyle"] = str(worker)
    rules = []
    if mapped:
        rule = {
            "source_path_format": "POSIX",
            "source_path": "/elsewhere",
            "destination_path": str(show.home),
        }
        path = show.home.parent / "rules.json"
        path.write_text(json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [rule]}))
        rules = ["--path-mapping-rules", path.as_uri()]
        for name in ("Source", "Style", "Work", "Output"):
            values[name] = values[name].replace(str(show.home), "/elsewhere")
    parameters = [word for name, value in values.items() for word in ("-p", f"{name}={value}")]
    done = subprocess.run(
        [sys.executable, "-m", "openjd", "run", str(show.job / "template.json"), *parameters, *rules, *more],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def whole(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of what `apply` makes of the clip."""
    folder = tmp_path_factory.mktemp("whole")
    options = ApplyOptions(segment_frames=12, device="cpu")
    apply(clip("sound.mp4", frames=60), load_style(tiny_style(folder)), folder / "out.mp4", options)
    return digest(folder / "out.mp4")


@pytest.mark.slow
@pytest.mark.parametrize("chunk", ["1", "2", "5", "adaptive"])
def test_openjd_runs_it(chunk: str, show: Show, whole: str) -> None:
    """Three chunk sizes and chunks that the scheduler chooses: each time the bytes of `apply`."""
    show.export("openjd", *(() if chunk == "adaptive" else ("--chunk", chunk)))
    code, out = run_bundle(show, *(("-p", "ChunkSeconds=1") if chunk == "adaptive" else ()))
    assert code == 0, out
    ranges = re.findall(r"openjd_status: segments ([\d-]+) ", out)
    assert sorted(n for text in dict.fromkeys(ranges) for n in parse_segments(text)) == list(range(5))
    if chunk != "adaptive":
        assert len(dict.fromkeys(ranges)) == -(-5 // int(chunk))
    assert digest(show.output) == whole


@pytest.mark.slow
def test_openjd_retries_a_killed_task(show: Show, whole: str) -> None:
    """A render that is killed fails the run; the same run again goes on. Paths are mapped."""
    show.export("openjd", "--chunk", "5")
    code, out = run_bundle(show, mapped=True, dies=True)
    assert code != 0, out
    assert (show.home.parent / "mark").exists()
    made = len(list(show.work.glob("*/*.json")))  # frames are restyled some way ahead of what is encoded
    assert 1 <= made < 5
    assert not show.output.exists()
    code, out = run_bundle(show, mapped=True, dies=True)
    assert code == 0, out
    assert re.search(rf"{5 - made} segments? made, {made} found finished", out), out
    assert digest(show.output) == whole


FAKES = {
    "vidstyle": 'for word; do printf "%s|" "$word"; done >> "$LOG"; echo >> "$LOG"',
    "sbatch": """
for word; do
  case "$word" in
    --array=*)
      range=${word#--array=}; first=${range%%-*}; rest=${range#*-}; step=${rest#*:}; last=${rest%%:*};;
    --wrap) wrapped=yes;;
    *) [ -z "$wrapped" ] || { bash -c "$word"; echo 7; exit; };;
  esac
done
script=$(cat)
for SLURM_ARRAY_TASK_ID in $(seq "$first" "$step" "$last"); do
  export SLURM_ARRAY_TASK_ID
  bash -c "$script"
done
echo 8""",
    "deadlinecommand": 'cat "$1" "$2" >> "$LOG"; echo "Result=Success"; echo "JobID=id_of_$1"',
    "kubectl": 'echo "$@" >> "$LOG"',
}


def submit(show: Show) -> list[str]:
    """Lines that a script and its stand-ins have logged."""
    place = show.home.parent / "bin"
    place.mkdir(exist_ok=True)
    for name, body in FAKES.items():
        (place / name).write_text(f"#!/bin/bash\n{body}\n")
        (place / name).chmod(0o755)
    log = show.home.parent / "log"
    environment = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}", "LOG": str(log)}
    script = "submit.sh"
    done = subprocess.run(
        ["bash", str(show.job / script)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return log.read_text().splitlines()


def test_slurm(show: Show) -> None:
    """With a stand-in for sbatch: plan, every segment once, join, with blanks in the paths intact."""
    show.export("slurm", "--chunk", "2")
    plan, *renders, join = submit(show)
    assert plan.startswith(f"farm|plan|{show.source}|--style|{show.style}|--work|{show.work}|--device|cpu|")
    assert renders == [
        f"farm|render|--work|{show.work}|--segments|{part}|--past-end|" for part in ("0-1", "2-3", "4-4")
    ]
    assert join == f"farm|join|--work|{show.work}|--output|{show.output}|"


def test_deadline10(show: Show) -> None:
    """With a stand-in for deadlinecommand: three jobs, each after the one before."""
    show.export("deadline10", "--chunk", "2")
    lines = submit(show)
    assert [line for line in lines if line.startswith("JobDependencies=")] == [
        "JobDependencies=id_of_submitted_plan.txt",
        "JobDependencies=id_of_submitted_render.txt",
    ]
    arguments = [line for line in lines if line.startswith("Arguments=")]
    work = f"<QUOTE>{show.work}<QUOTE>"
    assert (
        arguments[1] == f"Arguments=farm render --work {work} --segments <STARTFRAME>-<ENDFRAME> --past-end"
    )
    assert "Frames=0-4" in lines and "ChunkSize=2" in lines


def test_kubernetes(show: Show) -> None:
    """The pods' own shell line, run with each index: every segment once; wrong plans are not tried again."""
    show.export("kubernetes", "--chunk", "2", "--device", "cuda")
    assert [line.split()[-1] for line in submit(show) if line.startswith("apply")] == [
        "plan.json",
        "render.json",
        "join.json",
    ]
    spec = show.read("render.json")["spec"]
    container = spec["template"]["spec"]["containers"][0]
    assert (spec["completionMode"], spec["completions"]) == ("Indexed", 3)
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}
    log = show.home.parent / "log"
    log.unlink()
    path = f"{show.home.parent / 'bin'}:{os.environ['PATH']}"
    for index in range(3):
        environment = {**os.environ, "PATH": path, "LOG": str(log), "JOB_COMPLETION_INDEX": str(index)}
        subprocess.run(container["command"], env=environment, check=True)
    parts = re.findall(r"--segments\|([\d-]+)\|", log.read_text())
    assert [n for part in parts for n in parse_segments(part)] == [0, 1, 2, 3, 4]


def test_opencue(show: Show) -> None:
    """Valid Python with OpenCue's tokens, three layers."""
    show.export("opencue", "--device", "cuda")
    script = (show.job / "submit.py").read_text()
    ast.parse(script)
    assert '"#FRAME_START#-#FRAME_END#"' in script.replace("'", '"')
    assert "gpus=1" in script and 'range="0-4"' in script


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_flamenco(show: Show) -> None:
    """Compiled with stand-ins for the manager's functions: tasks and what they wait for."""
    show.export("flamenco", "--chunk", "2")
    played = """
const author = {
  Task: (name) => ({
    name,
    after: [],
    addCommand(command) { this.command = command; },
    addDependency(task) { this.after.push(task.name); },
  }),
  Command: (name, settings) => ({ name, ...settings }),
};
const frameChunker = (range, size) => ["0-1", "2-3", "4"];
"""
    run = """
const tasks = [];
compileJob({ settings: { segments: "0-4", chunk_size: 2 }, addTask: (t) => tasks.push(t) });
console.log(JSON.stringify(tasks));
"""
    script = played + (show.job / "vidstyle.js").read_text() + run
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    tasks = json.loads(done.stdout)
    assert [task["name"] for task in tasks] == ["plan", "render 0-1", "render 2-3", "render 4", "join"]
    assert tasks[1]["after"] == ["plan"] and tasks[4]["after"] == ["render 0-1", "render 2-3", "render 4"]
    assert tasks[3]["command"]["args"] == [
        "farm",
        "render",
        "--work",
        str(show.work),
        "--segments",
        "4",
        "--past-end",
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_is_told_how_to_submit(
    engine: str, show: Show, capfd: pytest.CaptureFixture[str]
) -> None:
    """The command is printed, and nothing but the files is made."""
    show.export(engine)
    out = capfd.readouterr().out.splitlines()
    assert "for 5 segments" in out[0]
    assert len(out) >= 2
    assert not show.work.exists() and not show.output.exists()
