"""MNIST through two convolutions with max pooling: dyads against backprop, see ``convolution``."""

from benchmarks.convolution import accuracy, graph


def run(seeds: int = 2, epochs: int = 3) -> dict[str, list[float]]:
    """Print a table; return the final test accuracies (official test part) by rule."""
    return accuracy("mnist", graph(28, 8, 5), splits=1, seeds=seeds, epochs=epochs, batch_size=100)
