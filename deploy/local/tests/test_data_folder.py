import os
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
