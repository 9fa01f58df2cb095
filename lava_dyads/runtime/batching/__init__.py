"""In-process neurons that are the same automaton take their step together."""
