"""Programs that ``bench training`` runs side by side, each in an interpreter of its own.

A program gets the path of a folder with ``config.json`` and ``data.npz`` (written by
:mod:`lava_dyads.experiments.bench_training`), prints one JSON line with its facts once it is warm,
and then for every line it reads trains one epoch and prints its seconds and test accuracy. The
peers import nothing of lava_dyads, so that they run where only their framework is installed.
"""
