"""The equations: units, connections, losses, nudges, optimisers, arithmetic.

numpy only; nothing in here knows Lava, or how a network is wired.
"""
