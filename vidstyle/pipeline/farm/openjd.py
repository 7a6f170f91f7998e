"""Writes a job bundle of Open Job Description (2023-09), for AWS Deadline Cloud and openjd-cli."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from vidstyle.pipeline.farm.export import JobFiles, SchedulerJob

# Seconds that a cancelled task has to end by itself: it stops within two batches.
_NOTICE_SECONDS = 60
_GPU_MEMORY_MIB = 4096
_MEMORY_MIB = 4096


def bundle(job: SchedulerJob, folder: Path) -> JobFiles:
    """The files template.json, parameter_values.json and asset_references.json.

    Source: Open Job Description, 2023-09-Template-Schemas, with RFC 0001 (task chunking).
    """
    style = Path(job.style)
    assets = [str(job.source), *([str(style)] if style.is_absolute() else [])]
    values = {
        "JobName": job.name,
        "Vidstyle": job.command,
        "Source": str(job.source),
        "Style": job.style,
        "Work": str(job.work),
        "Output": str(job.output),
        "Segments": f"0-{job.segments - 1}",
        "ChunkSize": job.chunk,
    }
    references = {
        "inputs": {"filenames": assets, "directories": []},
        "outputs": {"directories": [str(job.work), str(job.output.parent)]},
        "referencedPaths": [],
    }
    files = {
        "template.json": _template(job),
        "parameter_values.json": {
            "parameterValues": [{"name": name, "value": value} for name, value in values.items()]
        },
        "asset_references.json": {"assetReferences": references},
    }
    parameters = " ".join(f"-p {shlex.quote(f'{name}={value}')}" for name, value in values.items())
    return JobFiles(
        files={name: json.dumps(content, indent=2) + "\n" for name, content in files.items()},
        submit=f"deadline bundle submit {shlex.quote(str(folder))} --yes\n"
        f"openjd run {shlex.quote(str(folder / 'template.json'))} {parameters}",
        ran="openjd-cli runs it in the tests; AWS Deadline Cloud itself was not tried.",
    )


def _template(job: SchedulerJob) -> dict[str, Any]:
    render = [
        "farm",
        "render",
        "--work",
        "{{Param.Work}}",
        "--segments",
        "{{Task.Param.Segment}}",
        "--past-end",
    ]
    render += ["--source", "{{Param.Source}}", "--style", "{{Param.Style}}"]
    plan = ["farm", "plan", "{{Param.Source}}", "--style", "{{Param.Style}}", "--work", "{{Param.Work}}"]
    join = ["farm", "join", "--work", "{{Param.Work}}", "--output", "{{Param.Output}}"]
    join += ["--source", "{{Param.Source}}", "--overwrite"]
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "extensions": ["TASK_CHUNKING"],
        "name": "{{Param.JobName}}",
        "parameterDefinitions": _parameters(job),
        "steps": [
            _step("Plan", [*plan, *job.settings]),
            _step("Render", render, after="Plan") | _chunks() | {"hostRequirements": _host(job)},
            _step("Join", join, after="Render"),
        ],
    }


def _parameters(job: SchedulerJob) -> list[dict[str, Any]]:
    style: dict[str, Any] = {"name": "Style", "type": "STRING", "description": "A style or a blend of them."}
    if Path(job.style).is_absolute():
        style = _path("Style", "FILE", "IN", "The style's file.")
    return [
        {"name": "JobName", "type": "STRING", "default": "vidstyle"},
        {
            "name": "Vidstyle",
            "type": "STRING",
            "default": "vidstyle",
            "description": "The program on the workers.",
        },
        _path("Source", "FILE", "IN", "The clip."),
        style,
        _path("Work", "DIRECTORY", "INOUT", "A folder that all workers share."),
        _path("Output", "FILE", "OUT", "The result."),
        {
            "name": "Segments",
            "type": "STRING",
            "description": "The range of segments, from 0; too many do no harm.",
        },
        {
            "name": "ChunkSize",
            "type": "INT",
            "default": 1,
            "minValue": 1,
            "description": "Segments in a task.",
        },
        {
            "name": "ChunkSeconds",
            "type": "INT",
            "default": 0,
            "minValue": 0,
            "description": "Let the scheduler find chunks that take so long; 0 keeps ChunkSize.",
        },
    ]


def _path(name: str, kind: str, flow: str, words: str) -> dict[str, Any]:
    return {"name": name, "type": "PATH", "objectType": kind, "dataFlow": flow, "description": words}


def _step(name: str, arguments: list[str], after: str | None = None) -> dict[str, Any]:
    action = {
        "command": "{{Param.Vidstyle}}",
        "args": [*arguments, "--progress", "openjd"],
        # Without this a cancelled task is killed at once.
        "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": _NOTICE_SECONDS},
    }
    step: dict[str, Any] = {"name": name, "script": {"actions": {"onRun": action}}}
    return step | ({"dependencies": [{"dependsOn": after}]} if after else {})


def _chunks() -> dict[str, Any]:
    segment = {
        "name": "Segment",
        "type": "CHUNK[INT]",
        "range": "{{Param.Segments}}",
        "chunks": {
            "defaultTaskCount": "{{Param.ChunkSize}}",
            "targetRuntimeSeconds": "{{Param.ChunkSeconds}}",
            "rangeConstraint": "CONTIGUOUS",
        },
    }
    return {"parameterSpace": {"taskParameterDefinitions": [segment]}}


def _host(job: SchedulerJob) -> dict[str, Any]:
    amounts = [{"name": "amount.worker.memory", "min": _MEMORY_MIB}]
    if job.device != "cpu":
        amounts += [
            {"name": "amount.worker.gpu", "min": 1},
            {"name": "amount.worker.gpu.memory", "min": _GPU_MEMORY_MIB},
        ]
    else:
        amounts += [{"name": "amount.worker.vcpu", "min": 2}]
    return {"amounts": amounts}
