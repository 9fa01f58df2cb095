"""The one place that touches Lava's private parts (lava-nc 0.10.0, pinned).

``os_processes``: the OS processes of Lava's own runtime. ``build``: Processes to ProcessModels with
our channels, for the in-process runtime.
"""
