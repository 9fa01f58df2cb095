"""The one place that touches Lava's private parts (lava-nc 0.10.0, pinned).

``os_processes`` and ``children``: the OS processes of Lava's own runtime.

For the in-process runtime: ``discovery``, which Processes are connected and which models run them;
``build``, their models with our channels; ``ports``, the ends of these; ``node``, the turns of a
model in a time step.
"""
