"""A training runs in whatever worker it is sent to, on every runtime, to equal weights."""

import ast
import multiprocessing
import pickle
import subprocess
import sys
import threading

import pytest
from workers import RUNTIMES, resume, train, training_data

from lava_dyads import Dyad, Execution, NetworkSpec, Trainer, TrainingConfig

pytestmark = [pytest.mark.lava, pytest.mark.timeout(300)]
lava = pytest.importorskip("lava.magma")


def by_pool(context):
    def work():
        with multiprocessing.get_context(context).Pool(2) as pool:  # its workers are daemonic
            return pool.map(train, RUNTIMES, chunksize=1)

    return work


def by_joblib():
    joblib = pytest.importorskip("joblib")
    try:
        return joblib.Parallel(2, backend="loky")(joblib.delayed(train)(name) for name in RUNTIMES)
    finally:
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


def by_dask():
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        return client.gather(client.map(train, RUNTIMES))


def by_threads():
    found = dict.fromkeys(RUNTIMES)

    def work(name):
        found[name] = train(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in RUNTIMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(found.values())


def by_fork():
    """Fork a program of its own: what the tests before have left in this one would be inherited."""
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from multiprocessing import get_context\n"
        "from workers import RUNTIMES, train\n"
        "with get_context('fork').Pool(2) as pool:\n"
        "    print(repr(pool.map(train, RUNTIMES)))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return ast.literal_eval(run.stdout.strip().splitlines()[-1])


WAYS = {
    "joblib": by_joblib,
    "spawn": by_pool("spawn"),
    "fork": by_fork,
    "dask": by_dask,
    "threads": by_threads,
}


@pytest.mark.sampled(2)
@pytest.mark.sampled(3)
@pytest.mark.parametrize("way", list(WAYS))
def test_a_worker_trains_on_every_runtime_with_equal_weights(way):
    assert WAYS[way]() == [train("reference")] * len(RUNTIMES)


def test_a_notebook_trains_on_every_runtime_with_equal_weights():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    source = f"""
import sys
sys.path[:0] = {sys.path!r}
from workers import RUNTIMES, train
print(*[train(name).hex() for name in RUNTIMES])
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, timeout=200, kernel_name="python3").execute()
    printed = [o for o in notebook.cells[0].outputs if o.get("name") == "stdout"]
    said = "".join(output["text"] for output in printed)
    assert said.split() == [train("reference").hex()] * len(RUNTIMES)


def test_a_trainer_goes_on_in_the_worker_it_is_sent_to():
    config = TrainingConfig(epochs=2, batch_size=6)
    execution = Execution("layer", runtime="in-process")
    with (
        Trainer(NetworkSpec((4, 3, 3)), training_data(), config, execution) as trainer,
        multiprocessing.get_context("spawn").Pool(1) as pool,
    ):
        sent = []
        # Copied before it goes on: the pool's own thread would copy it some time later.
        trainer.fit(
            lambda entry: sent or sent.append(pool.apply_async(resume, (pickle.dumps(trainer),)))
        )
        assert sent[0].get(100) == train("reference")


def test_a_session_outlives_the_thread_that_has_opened_it():
    from lava_dyads import LavaSession

    sessions, dyad = [], Dyad((2,), bias=[0.5, -0.5])
    thread = threading.Thread(target=lambda: sessions.append(LavaSession(dyad)))
    thread.start()
    thread.join()
    with sessions[0] as session:
        assert session.run(2) == 2
    assert dyad.read("s_plus").tolist() == [0.5, 0.0]
