"""Writes job files for Slurm, Deadline 10, OpenCue, Flamenco and Kubernetes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from vidstyle.pipeline.farm.export import JobFiles, SchedulerJob

_WRITTEN = "Written from the engine's documentation; not run on such a farm."


def slurm(job: SchedulerJob, folder: Path) -> JobFiles:
    """A script that submits three jobs in a chain; the middle one is an array with a task for each chunk."""
    last = job.segments - 1
    gpu = "--gres=gpu:1 " if job.device != "cpu" else ""
    script = f"""#!/bin/bash
# vidstyle on Slurm: plan, an array of renders, join. Once more for a failed task: scontrol requeue JOB_TASK
set -euo pipefail
plan=$(sbatch --parsable --job-name=plan --wrap {shlex.quote("exec " + shlex.join(job.plan()))})
render=$(sbatch --parsable --job-name=render --requeue {gpu}\\
  --array=0-{last}:{job.chunk} --dependency=afterok:"$plan" --kill-on-invalid-dep=yes <<'END'
#!/bin/bash
{_range("$SLURM_ARRAY_TASK_ID", job)}
END
)
sbatch --parsable --job-name=join --dependency=afterok:"$render" --kill-on-invalid-dep=yes \\
  --wrap {shlex.quote("exec " + shlex.join(job.join()))}
"""
    return JobFiles({"submit.sh": script}, f"bash {shlex.quote(str(folder / 'submit.sh'))}", _WRITTEN)


def _range(first: str, job: SchedulerJob) -> str:
    """Shell lines that render one chunk. first: a shell expression, the number of its first segment."""
    render = shlex.join(job.render("RANGE")).replace("RANGE", '"$first-$last"')
    last = job.segments - 1
    return (
        f"first={first}\n"
        f"last=$((first + {job.chunk - 1}))\n"
        f'[ "$last" -le {last} ] || last={last}\n'
        f"exec {render}"
    )


def deadline10(job: SchedulerJob, folder: Path) -> JobFiles:
    """Job and plugin files for the CommandLine plugin, which reads lines such as `Progress: 42%`."""
    files = {}
    steps = {
        "plan": ([*job.plan(), "--progress", "farm"], "0", 1),
        "render": (job.render("<STARTFRAME>-<ENDFRAME>"), f"0-{job.segments - 1}", job.chunk),
        "join": (job.join(), "0", 1),
    }
    for step, (command, frames, chunk) in steps.items():
        files[f"{step}_job.txt"] = (
            f"Plugin=CommandLine\nName={job.name} {step}\nBatchName={job.name}\n"
            f"Frames={frames}\nChunkSize={chunk}\n"
        )
        words = " ".join(f"<QUOTE>{word}<QUOTE>" if " " in word else word for word in command[1:])
        files[f"{step}_plugin.txt"] = f"Executable={command[0]}\nArguments={words}\nShellExecute=False\n"
    files["submit.sh"] = """#!/bin/bash
# vidstyle on Thinkbox Deadline 10: three jobs, each waits for the one before.
set -euo pipefail
cd "$(dirname "$0")"
submit() {
  { cat "$1_job.txt"; [ -z "${2:-}" ] || echo "JobDependencies=$2"; } > "submitted_$1.txt"
  deadlinecommand "submitted_$1.txt" "$1_plugin.txt" | sed -n 's/^JobID=//p'
}
plan=$(submit plan)
render=$(submit render "$plan")
submit join "$render"
"""
    return JobFiles(files, f"bash {shlex.quote(str(folder / 'submit.sh'))}", _WRITTEN)


def opencue(job: SchedulerJob, folder: Path) -> JobFiles:
    """A script with an outline of three layers. After exit code 33 OpenCue gives a task more memory."""
    gpu = ', gpus=1, gpu_memory="4g"' if job.device != "cpu" else ""
    name = "".join(letter if letter.isalnum() else "_" for letter in job.name)
    script = f'''#!/usr/bin/env python3
"""vidstyle on OpenCue: pip install opencue-pyoutline, then run this file."""

import outline
import outline.cuerun
from outline.modules.shell import Shell

job = outline.Outline({name!r})
plan = Shell("plan", command={job.plan()!r}, range="1")
render = Shell(
    "render",
    command={job.render("#FRAME_START#-#FRAME_END#")!r},
    range="0-{job.segments - 1}",
    chunk={job.chunk},
    memory="4g"{gpu},
)
join = Shell("join", command={job.join()!r}, range="1")
render.depend_all(plan)
join.depend_all(render)
for layer in (plan, render, join):
    job.add_layer(layer)
outline.cuerun.launch(job, use_pycuerun=False)
'''
    return JobFiles({"submit.py": script}, f"python {shlex.quote(str(folder / 'submit.py'))}", _WRITTEN)


def flamenco(job: SchedulerJob, folder: Path) -> JobFiles:
    """A job type for the folder `scripts` of the Flamenco manager; jobs are then submitted as usual."""
    script = f"""// vidstyle on Flamenco 3: put this file into the manager's folder "scripts".
const JOB_TYPE = {{
    label: {json.dumps(job.name)},
    settings: [
        {{ key: "segments", type: "string", required: true, default: "0-{job.segments - 1}" }},
        {{ key: "chunk_size", type: "int32", default: {job.chunk} }},
    ],
}};
const RENDER = {json.dumps(job.render("SEGMENTS"))};

function compileJob(job) {{
    const plan = task("plan", {json.dumps(job.plan())});
    const join = task("join", {json.dumps(job.join())});
    job.addTask(plan);
    for (const segments of frameChunker(job.settings.segments, job.settings.chunk_size)) {{
        const words = RENDER.map((word) => (word === "SEGMENTS" ? segments : word));
        const render = task("render " + segments, words);
        render.addDependency(plan);
        join.addDependency(render);
        job.addTask(render);
    }}
    job.addTask(join);
}}

function task(name, words) {{
    const made = author.Task(name, "misc");
    made.addCommand(author.Command("exec", {{ exe: words[0], args: words.slice(1) }}));
    return made;
}}
"""
    submit = f"cp {shlex.quote(str(folder / 'vidstyle.js'))} FLAMENCO_MANAGER/scripts/"
    return JobFiles({"vidstyle.js": script}, submit, _WRITTEN)


def kubernetes(job: SchedulerJob, folder: Path) -> JobFiles:
    """Three Jobs, the middle one Indexed. The user sets the image and the volume that all pods share."""
    count = -(-job.segments // job.chunk)
    indexed = {
        "completionMode": "Indexed",
        "completions": count,
        "parallelism": min(count, 16),
        "backoffLimitPerIndex": 3,
        # A wrong clip, style or machine fails every time.
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailIndex",
                    "onExitCodes": {"containerName": "vidstyle", "operator": "In", "values": [3, 4, 5]},
                }
            ]
        },
    }
    limits = {"nvidia.com/gpu": 1} if job.device == "cuda" else {}
    chunk = ["sh", "-c", _range(f"$((JOB_COMPLETION_INDEX * {job.chunk}))", job)]
    files = {
        "plan.json": _kubernetes("plan", job.plan(), {"backoffLimit": 3}, {}),
        "render.json": _kubernetes("render", chunk, indexed, limits),
        "join.json": _kubernetes("join", job.join(), {"backoffLimit": 3}, {}),
        "submit.sh": """#!/bin/bash
# vidstyle on Kubernetes: put your image and the claim of your shared volume into the three files first.
set -euo pipefail
cd "$(dirname "$0")"
for step in plan render join; do
  kubectl apply -f "$step.json"
  kubectl wait --for=condition=complete --timeout=-1s "job/vidstyle-$step"
done
""",
    }
    return JobFiles(files, f"bash {shlex.quote(str(folder / 'submit.sh'))}", _WRITTEN)


def _kubernetes(step: str, command: list[str], spec: dict[str, object], limits: dict[str, int]) -> str:
    container = {
        "name": "vidstyle",
        "image": "vidstyle",
        "command": command,
        "resources": {"limits": limits},
        "volumeMounts": [{"name": "show", "mountPath": "/show"}],
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 60,
        "containers": [container],
        "volumes": [{"name": "show", "persistentVolumeClaim": {"claimName": "show"}}],
    }
    document = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"vidstyle-{step}"},
        "spec": {**spec, "template": {"spec": pod}},
    }
    return json.dumps(document, indent=2) + "\n"
