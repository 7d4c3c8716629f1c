import os
import subprocess
import sys
from pathlib import Path

import pytest
from local_stack.data_folder import DataFolder, DataFolderInUse


def test_a_second_runner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with DataFolder(tmp_path).held():
        assert DataFolder(tmp_path).runner_pid() == os.getpid()
        with pytest.raises(DataFolderInUse, match=f"pid: {os.getpid()}"), DataFolder(tmp_path).held():
            pass
    assert DataFolder(tmp_path).runner_pid() is None
    with DataFolder(tmp_path).held():
        pass


def test_data_are_not_deleted_under_a_running_platform(tmp_path: Path) -> None:
    (tmp_path / "mongo").mkdir()
    with DataFolder(tmp_path).held(), pytest.raises(DataFolderInUse):
        DataFolder(tmp_path).delete_data()
    assert (tmp_path / "mongo").exists()


def test_a_reset_deletes_what_the_platform_wrote_and_nothing_else(tmp_path: Path) -> None:
    for name in ("mongo/data", "secrets", "tools/bin"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("mailbox.jsonl", "audit-anchors.jsonl"):
        (tmp_path / name).write_text("{}\n")
    (tmp_path / "bench.json").write_text("[]")
    DataFolder(tmp_path).delete_data()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "stack.lock", "tools"]


@pytest.mark.parametrize("words", [["up"], ["up", "--detach"]])
def test_a_folder_that_cannot_be_made_is_named_without_a_traceback(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "file").write_text("")
    environment = {**os.environ, "CRYPTOVAULT_DATA_DIR": str(tmp_path / "file" / "data")}
    command = [sys.executable, "-P", "-m", "local_stack", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"{tmp_path}/file/data cannot be written" in said
    assert "Traceback" not in said
