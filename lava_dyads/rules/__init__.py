"""The mathematics: units, connections, losses, optimisers, elements and the reference engine.

numpy only; nothing in here knows Lava.
"""
