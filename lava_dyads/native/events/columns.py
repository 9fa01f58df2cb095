"""What lies where in the tables of the event loop."""

from __future__ import annotations

HEADER = (
    "lanes", "valid", "learn", "number", "free", "space", "day", "today", "waiting", "deliveries",
    "limit", "latency_key", "hold_key", "cursor", "argument", "traced", "tracing", "traces",
    "worst", "followers", "peak", "row", "load_free", "load_space", "worst_loads",
    "elements", "learners", "resets", "wires", "now", "rate", "coded", "coded_rows", "fault_key",
    "presentation", "understood", "arrived", "scout", "uniform",
)  # fmt: skip
(
    S_LANES, S_VALID, S_LEARN, S_NUMBER, S_FREE, S_SPACE, S_DAY, S_TODAY, S_WAITING, S_DELIVERIES,
    S_LIMIT, S_LATENCY, S_HOLD, S_CURSOR, S_ARGUMENT, S_TRACED, S_TRACING, S_TRACES,
    S_WORST, S_FOLLOWERS, S_PEAK, S_ROW, S_LOAD_FREE, S_LOAD_SPACE, S_WORST_LOADS,
    S_ELEMENTS, S_LEARNERS, S_RESETS, S_WIRES, S_NOW, S_RATE, S_CODED, S_CODED_ROWS, S_FAULT,
    S_PRESENTATION, S_UNDERSTOOD, S_ARRIVED, S_SCOUT, S_UNIFORM,
) = range(len(HEADER))  # fmt: skip

SECTIONS = (
    "pool", "heap", "days", "used", "elements", "reals", "addresses", "channels", "channel_reals",
    "ports", "start", "destinations", "ways", "model", "mean", "count", "messages", "events",
    "pending", "followers", "program_start", "program", "constants", "results", "work", "message",
    "table_start", "table_target", "table_weight", "table_value", "table_count", "trace", "loads",
    "uses", "learners", "numbers", "resets", "wires", "faults", "says", "parts", "said",
    "heard", "last", "newest", "kept", "stuck", "turns",
)  # fmt: skip
"""``pool``: the messages on their way; a target of -1 - e is element e at the end of its hold time.
``heap``: today's, with their times. ``days``: the first of each day's list. ``destinations``: of
entry i of a port, from ``start[base + i]`` on; ``ways``: their wires once more, close together.
``model``, ``mean``: latencies of the wires, or of all of them (``uniform``). ``table_...``: ops
that are not dense, of entry i from ``table_start[up + i]`` on: targets, addresses of weights (0:
the constant ``table_value``); ``table_count``: operations of an event. ``loads``: what messages of
several lanes share, ``uses``: by how many; of a free one, which comes next. ``numbers``: what a
step of each optimiser depends on, first the share of a weight that decay leaves. ``resets``:
stretches that are 0 at first.
The rest is for messages with a coding of their own, and else empty. ``wires``: rows of the wires.
``says``, ``parts``: for the message that is being sent, by lane. By destination and lane, ``said``:
the value; ``last``: number of the last message; ``heard``, ``newest``: the same at the receiver;
``stuck``: the value at the end of the first presentation. ``kept``: by wire and lane. ``turns``:
destinations in the order of wires and entries."""
(
    X_POOL, X_HEAP, X_DAYS, X_USED, X_ELEMENTS, X_REALS, X_ADDRESSES, X_CHANNELS, X_CHANNEL_REALS,
    X_PORTS, X_START, X_DESTINATIONS, X_WAYS, X_MODEL, X_MEAN, X_COUNT, X_MESSAGES, X_EVENTS,
    X_PENDING, X_FOLLOWERS, X_PROGRAM_START, X_PROGRAM, X_CONSTANTS, X_RESULTS, X_WORK, X_MESSAGE,
    X_TABLE_START, X_TABLE_TARGET, X_TABLE_WEIGHT, X_TABLE_VALUE, X_TABLE_COUNT, X_TRACE, X_LOADS,
    X_USES, X_LEARNERS, X_NUMBERS, X_RESETS, X_WIRES, X_FAULTS, X_SAYS, X_PARTS, X_SAID,
    X_HEARD, X_LAST, X_NEWEST, X_KEPT, X_STUCK, X_TURNS,
) = range(len(HEADER), len(HEADER) + len(SECTIONS))  # fmt: skip

LATENCY_MODELS = ("constant", "uniform", "exponential", "heavy-tailed")
"""Those that are compiled (``memory.latency``), in the order of their numbers."""

POPULATION, LINEAR, HEAD, RELAY, COLLECT, CALLED = range(6)
"""Kinds of elements."""

ELEMENT = (
    "kind", "n", "holding", "got", "coalesces", "spoken", "holds", "number", "stride", "looked",
    "pend_0", "pend_1", "reg_0", "reg_1", "stride_0", "stride_1", "bias",
    "state", "states", "nudged", "free", "channel_0", "channel_1", "instant", "mutual", "frozen",
    "table", "n_in", "n_out", "weights", "weights_out", "weights_in",
    "feedback", "feedback_out", "feedback_in", "port_0", "port_1", "count_0", "count_1",
    "up", "down", "native", "residual", "settled", "straddling", "straddles",
    "learning", "factor",
)  # fmt: skip
(
    E_KIND, E_N, E_HOLDING, E_GOT, E_COALESCES, E_SPOKEN, E_HOLDS, E_NUMBER, E_STRIDE, E_LOOKED,
    E_PEND0, E_PEND1, E_REG0, E_REG1, E_STRIDE0, E_STRIDE1, E_BIAS,
    E_STATE, E_STATES, E_NUDGED, E_FREE, E_CH0, E_CH1, E_INSTANT, E_MUTUAL, E_FROZEN,
    E_TABLE, E_NIN, E_NOUT, E_W, E_WOUT, E_WIN,
    E_B, E_BOUT, E_BIN, E_PORT0, E_PORT1, E_COUNT0, E_COUNT1,
    E_UP, E_DOWN, E_NATIVE, E_RESIDUAL, E_SETTLED, E_STRADDLING, E_STRADDLES,
    E_LEARNING, E_FACTOR,
) = range(len(ELEMENT))  # fmt: skip

CACHE_LINE = 64
"""Bytes: rows begin there, and what a message changes of an element lies in its first line."""

REALS = ("hold", "beta", "threshold")
R_HOLD, R_BETA, R_THRESHOLD = range(len(REALS))

CHANNEL = ("result", "sent", "stride", "port", "messages", "events", "heard")
C_RESULT, C_SENT, C_STRIDE, C_PORT, C_MESSAGES, C_EVENTS, C_HEARD = range(len(CHANNEL))
CHANNEL_REALS = ("threshold", "scale")
CR_THRESHOLD, CR_SCALE = range(len(CHANNEL_REALS))

LEARNER = (
    "value", "size", "accumulator", "state", "state_stride", "slots", "updates", "program",
    "numbers", "numbers_end", "down", "down_stride", "up", "up_stride", "n_out", "n_in", "beta",
)  # fmt: skip
"""What learns: weights from ``down`` and ``up``, biases (``up`` 0) from ``down`` alone."""
(
    L_VALUE, L_SIZE, L_ACCUMULATOR, L_STATE, L_STATE_STRIDE, L_SLOTS, L_UPDATES, L_PROGRAM,
    L_NUMBERS, L_NUMBERS_END, L_DOWN, L_DOWN_STRIDE, L_UP, L_UP_STRIDE, L_NOUT, L_NIN, L_BETA,
) = range(len(LEARNER))  # fmt: skip

LEAD = (
    "count", "presentation", "phase", "first", "seed", "cap", "frozen", "batches", "numbers",
    "numbers_size", "sources", "sinks",
)  # fmt: skip
"""What ``conducting`` does: presentations, and how many are done; then for every source its port,
address and width, and for every sink its register, distance of lanes, width and where to put it."""
(
    LD_COUNT, LD_PRESENTATION, LD_PHASE, LD_FIRST, LD_SEED, LD_CAP, LD_FROZEN, LD_BATCHES,
    LD_NUMBERS, LD_NUMBERS_SIZE, LD_SOURCES, LD_SINKS,
) = range(len(LEAD))  # fmt: skip
LD_SIZE, LEAD_SOURCE, LEAD_SINK = len(LEAD), 3, 4

STEPS = 256
"""Numbers for which a step of an optimiser is taken in one go."""

PORT = ("base", "n", "sends")
P_BASE, P_N, P_SENDS = range(len(PORT))

DESTINATION = ("element", "role", "index", "wire", "place", "offset", "stride", "slot")
D_ELEMENT, D_ROLE, D_INDEX, D_WIRE, D_PLACE, D_OFFSET, D_STRIDE, D_SLOT = range(len(DESTINATION))

WIRE = ("flags", "kept", "kept_number", "key")
W_FLAGS, W_KEPT, W_KEPT_NUMBER, W_KEY = range(len(WIRE))
DEAD, MUTE, DEAF = 1, 2, 4
"""Flags of wires: one end killed; source frozen; target frozen."""
CODED, BY_VALUE, CHECKED = 1, 2, 4
"""How messages are coded (``coded`` of the header): somehow; as values; with check bits."""
FAULTS = ("drop", "delay", "duplicate", "reorder", "flip", "noise", "delay_time", "noise_size")
F_DROP, F_DELAY, F_DUPLICATE, F_REORDER, F_FLIP, F_NOISE, F_DELAY_TIME, F_NOISE_SIZE = range(
    len(FAULTS)
)

PEND, UP, DOWN, ADD, PASS = range(5)
"""Roles: wait in a mailbox; go through weights up or down; be added to a register; be passed on."""

MESSAGE = ("time", "order", "target", "next", "sent", "load", "source", "number")
M_TIME, M_ORDER, M_TARGET, M_NEXT, M_SENT, M_LOAD, M_SOURCE, M_NUMBER = range(len(MESSAGE))
"""Columns of the pool. Where samples lie side by side, a message carries ``load`` times row
``source`` of the section ``loads``, one number per lane, which it shares with all that come from
the same event; else it carries ``load``, and has no ``source``. Coded ones have a ``number``."""

TRACE = ("sent", "arrived", "channel", "lane", "index", "payload")
"""Columns of the trace."""

INSTRUCTION = ("code", "x", "y", "z")

SILENT, GROW, CALL, SPEAK, FLUSH, LIMIT, AGAIN = range(7)
"""Why the loop returns: silence; the pool is too small; an element has to be called, with messages
or to speak; the trace is full; too many deliveries; to let others have their turn."""

DAYS = 1 << 14
"""Days in the calendar at once; a header's ``rate`` is how many a unit of time has, ``used`` has a
bit for every day with messages."""
WORDS = DAYS // 64
ROUND = 1 << 17
"""Deliveries after which the caller may look for interrupts."""

ROUNDING = 1e-14
"""As in ``rules.meter``, of float64."""

B_ELEMENT, B_CHANNEL, B_DESTINATION = 8 * len(ELEMENT), 8 * len(CHANNEL), 8 * len(DESTINATION)
B_PORT, B_REALS, B_CHANNEL_REALS = 8 * len(PORT), 8 * len(REALS), 8 * len(CHANNEL_REALS)
B_INSTRUCTION, B_TRACE, B_LEARNER = 8 * len(INSTRUCTION), 8 * len(TRACE), 8 * len(LEARNER)
B_WIRE = 8 * len(WIRE)
"""Bytes of the rows."""
