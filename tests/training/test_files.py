"""Files are whole or not there, whatever happens to the disk, the program or the machine."""

import os
import stat
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from lava_dyads.files import is_part, opened_arrays, write_arrays, write_atomically
from lava_dyads.training import RunState


def test_a_file_is_on_the_disk_before_it_takes_the_place_of_another(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        call = getattr(os, name)

        def noted(*arguments, name=name, call=call):
            done.append(name)
            return call(*arguments)

        monkeypatch.setattr(os, name, noted)
    write_atomically(tmp_path / "result.json", "{}")
    assert done == ["fsync", "replace", "fsync"]  # the file, then its name, then the folder


@pytest.mark.parametrize("size", [0, 1000, 100_000])
def test_a_full_disk_ends_in_an_error_and_leaves_the_file_before(tmp_path, size):
    pytest.importorskip("resource")
    # In an interpreter of its own: what is wrong here can end it without a word. One that writes no
    # bytecode, either: Python would take half of it for whole.
    program = f"""
        import resource, sys
        from pathlib import Path
        import numpy as np
        from lava_dyads.files import write_arrays
        path = Path(sys.argv[1])
        write_arrays(path, "before", {{"x": np.zeros(3)}})
        resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
        try:
            write_arrays(path, "after", {{"x": np.random.rand(100_000)}})
        except OSError as error:
            print("refused", error.errno)
    """
    path = tmp_path / "state.npz"
    command = [sys.executable, "-B", "-c", textwrap.dedent(program), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout[:7]) == (0, "refused"), done.stderr
    with opened_arrays(path) as file:
        assert str(file["header"]) == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_threads_that_write_at_once_leave_whole_files_with_the_usual_permissions(tmp_path):
    umask = os.umask(0o027)
    try:
        path, wanted = tmp_path / "state.npz", stat.S_IMODE(0o666 & ~0o027)

        def work(k):
            for _ in range(20):
                write_arrays(path, "", {"x": np.full(1000, k)})

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(umask)
    with opened_arrays(path) as file:
        assert np.ptp(file["x"]) == 0
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == wanted
    assert not any(is_part(p) for p in tmp_path.iterdir())


def test_a_state_that_does_not_fit_is_no_state(tmp_path, monkeypatch):
    state = RunState({}, {}, {"x": np.zeros(3)}, {})
    path = tmp_path / "state.npz"
    state.save(path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        state.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]
