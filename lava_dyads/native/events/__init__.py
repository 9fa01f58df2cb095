"""The asynchronous network as one compiled loop over flat tables (numba, extra ``fast``)."""
