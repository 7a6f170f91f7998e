"""Keys, commits, locks and what counts as finished."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vidstyle.errors import OutputError
from vidstyle.media.segments import (
    Committed,
    Segment,
    WorkFolder,
    check_complete,
    hash_facts,
    key_facts,
)
from vidstyle.options import ApplyOptions

OPTIONS = ApplyOptions()


def committed(work: WorkFolder, number: int = 0, frames: int = 3, last: bool = False) -> Committed:
    part = work.part(number)
    part.write_bytes(b"picture data %d" % number)
    segment = Segment(number, number * 3, number * 3 + frames)
    return work.commit(part, segment, packet_pts=tuple(range(frames)), last=last, last_duration=1)


def work_folder(tmp_path: Path, key: str = "abc") -> WorkFolder:
    return WorkFolder(tmp_path / "out.mp4", key, OPTIONS)


def test_a_commit_is_found_again(tmp_path: Path):
    """A finished segment is read back as it was written."""
    with work_folder(tmp_path).claimed() as work:
        done = committed(work, 0), committed(work, 1, last=True)
        assert work.finished() == {0: done[0], 1: done[1]}
        assert not list(work.path.glob("*.part"))


@pytest.mark.parametrize(
    "harm", ["flip", "cut", "away", "sidecar", "half_sidecar", "other_key", "fewer_frames"]
)
def test_what_is_damaged_does_not_count(tmp_path: Path, harm: str):
    """Changed data, a cut sidecar or another key make a segment unfinished."""
    with work_folder(tmp_path).claimed() as work:
        kept, hurt = committed(work, 0), committed(work, 1)
        data, sidecar = work.path / hurt.data, work.path / "000001.json"
        if harm == "flip":
            data.write_bytes(data.read_bytes().replace(b"p", b"q"))
        elif harm == "cut":
            data.write_bytes(data.read_bytes()[:-3])
        elif harm == "away":
            data.unlink()
        elif harm == "sidecar":
            sidecar.unlink()
        elif harm == "half_sidecar":
            sidecar.write_text(sidecar.read_text()[:40])
        else:
            change = {"key": "other"} if harm == "other_key" else {"packet_pts": [0, 1]}
            sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | change))
        assert work.finished() == {0: kept}


def test_committing_twice_is_harmless(tmp_path: Path):
    """The second commit of the same bytes changes nothing."""
    with work_folder(tmp_path).claimed() as work:
        assert committed(work) == committed(work)
        assert len(work.finished()) == 1


def test_a_second_run_for_the_same_target_is_refused(tmp_path: Path):
    """In the same process, and with other options too; what is there is left alone."""
    with work_folder(tmp_path).claimed() as work:
        committed(work)
        for key in ("abc", "other"):
            with pytest.raises(OutputError) as caught, work_folder(tmp_path, key).claimed():
                pass
            assert str(caught.value) == (
                f"{tmp_path / 'out.mp4'}: another run is writing this file. "
                "Wait for it, or choose another target."
            )
        assert len(work.finished()) == 1


CLAIM = """
import sys, time
from pathlib import Path
from vidstyle.media.segments import WorkFolder
from vidstyle.options import ApplyOptions
with WorkFolder(Path(sys.argv[1]), "abc", ApplyOptions()).claimed():
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path):
    """Another process is kept out while one runs, and not after that was killed."""
    target = tmp_path / "out.mp4"
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(target)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "claimed\n"
        with pytest.raises(OutputError, match="another run"), work_folder(tmp_path).claimed():
            pass
        other.kill()
    with work_folder(tmp_path).claimed() as work:
        committed(work)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path):
    """No permission is told from a taken lock."""
    work_folder(tmp_path).root.mkdir()
    (work_folder(tmp_path).root / "abc").mkdir()
    work_folder(tmp_path).root.chmod(0o500)
    with pytest.raises(OutputError, match="may not be written"), work_folder(tmp_path).claimed():
        pass


def test_leftovers_of_a_killed_run_are_swept(tmp_path: Path):
    """Unfinished files of an earlier run are removed."""
    work = work_folder(tmp_path)
    work.path.mkdir(parents=True)
    (work.path / "000000.123.part").write_bytes(b"half")
    with work.claimed():
        assert not list(work.path.glob("*.part"))


def test_an_empty_folder_goes_away_and_a_filled_one_stays(tmp_path: Path):
    """Only finished segments keep a work folder."""
    with work_folder(tmp_path).claimed():
        pass
    assert not list(tmp_path.iterdir())
    with work_folder(tmp_path).claimed() as work:
        committed(work)
    assert work.finished()
    with work_folder(tmp_path).claimed() as work:
        work.remove()
    assert not list(tmp_path.iterdir())


def test_the_key_changes_with_all_that_changes_pixels(tmp_path: Path):
    """Options that only say where and how fast do not count."""
    software = {"av": "18"}

    def key(
        options: ApplyOptions = OPTIONS,
        source: str = "f",
        style: str = "s",
        software: dict[str, str] = software,
    ) -> str:
        return hash_facts(key_facts(source, style, options, software))

    first = key()
    changes = [
        {"crf": 3},
        {"strength": 0.5},
        {"codec": "hevc"},
        {"segment_frames": 10},
        {"encoder_threads": 2},
    ]
    assert len({first, *(key(replace(OPTIONS, **change)) for change in changes)}) == 1 + len(changes)
    same = [{"overwrite": True}, {"device": "cpu"}, {"batch_size": 3}, {"work_dir": tmp_path}]
    assert {key(replace(OPTIONS, **change)) for change in same} == {first}
    assert len({first, key(source="g"), key(style="t"), key(software={"av": "19"})}) == 4


def at(start: int, stop: int, last: bool = False) -> Committed:
    return Committed(start // 3, start, stop, "", 0, "", (), last, 0)


def test_only_an_unbroken_row_to_the_end_is_complete():
    """A gap, or a missing end, is an error."""
    target = Path("out.mp4")
    check_complete([at(0, 3), at(3, 6), at(6, 8, last=True)], target)
    for broken in ([], [at(3, 6, True)], [at(0, 3), at(6, 8, True)], [at(0, 3), at(3, 6)]):
        with pytest.raises(OutputError, match="missing"):
            check_complete(broken, target)


@pytest.mark.skipif(os.name == "nt", reason="flock is of POSIX")
def test_a_file_system_without_locks_is_worked_on_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Only a lock that is held means another run; one that cannot be taken at all is said."""
    import fcntl

    def unsupported(file: object, operation: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with WorkFolder(tmp_path / "out.mp4", "key", ApplyOptions()).claimed() as work:
        assert "cannot lock files" in " ".join(work.warnings)
    assert not list(tmp_path.iterdir())


RACE = """
import multiprocessing, sys
from pathlib import Path
from vidstyle.media.file_lock import take_lock

def run(together, winners):
    for number in range(len(winners)):
        together.wait()
        try:
            lock = take_lock(Path(sys.argv[1]))
        except BlockingIOError:
            lock = None
        together.wait()
        if lock:
            with winners.get_lock():
                winners[number] += 1
            lock.release()

fork = multiprocessing.get_context("fork")
together, winners = fork.Barrier(3), fork.Array("i", 400)
processes = [fork.Process(target=run, args=(together, winners)) for _ in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join()
print(set(winners))
"""


@pytest.mark.skipif(os.name == "nt", reason="flock is of POSIX")
def test_of_runs_that_start_together_exactly_one_goes_on(tmp_path: Path):
    """No run is refused because another one only looks whether it could lock."""
    race = [sys.executable, "-c", RACE, str(tmp_path / "lock")]
    assert subprocess.run(race, capture_output=True, text=True, check=True).stdout == "{1}\n"
