"""Asynchronous messages in-process: a discrete-event simulation in virtual time."""
