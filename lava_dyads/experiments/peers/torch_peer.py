"""Backprop in PyTorch: eager modules and torch.optim, Adam fused where there is that."""

from __future__ import annotations

import sys
from typing import Any


def main(folder: str) -> None:
    """Train in turns with the others."""
    # In here, so that the module can be looked at where there is no such framework.
    import torch
    from protocol import job, parameters, serve  # type: ignore[import-not-found]

    config, arrays = job(folder)
    torch.set_num_threads(config["threads"])
    depth, batch = len(config["layers"]) - 1, config["batch_size"]
    modules: list[Any] = []
    for k, (w, b) in enumerate(parameters(arrays, depth), 1):
        linear = torch.nn.Linear(*reversed(w.shape))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(w))
            linear.bias.copy_(torch.from_numpy(b))
        modules.append(linear)
        if k < depth:
            modules.append({"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[config["activation"]]())
    model = torch.nn.Sequential(*modules)
    x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    labels = y.argmax(1)
    test_x, test_labels = torch.from_numpy(arrays["test_x"]), arrays["test_labels"]
    rate = config["learning_rate"]
    form = "eager"
    if config["optimiser"] == "sgd":
        optimiser: Any = torch.optim.SGD(model.parameters(), lr=rate)
    else:
        try:
            optimiser, form = (
                torch.optim.Adam(model.parameters(), lr=rate, fused=True),
                "fused Adam",
            )
        except (RuntimeError, TypeError):
            optimiser = torch.optim.Adam(model.parameters(), lr=rate)

    def cost(rows: Any) -> Any:
        out = model(x[rows])
        if config["loss"] == "squared-error":
            return 0.5 * ((out - y[rows]) ** 2).sum(1).mean()
        return torch.nn.functional.cross_entropy(out, labels[rows])

    def train(number: int) -> None:
        for rows in torch.from_numpy(arrays["orders"][number]).split(batch):
            optimiser.zero_grad(set_to_none=True)
            cost(rows).backward()
            optimiser.step()

    def accuracy() -> float:
        with torch.no_grad():
            return float((model(test_x).argmax(1).numpy() == test_labels).mean())

    with torch.no_grad():
        accuracy()
    cost(torch.arange(batch)).backward()
    serve({"version": f"torch {torch.__version__}", "form": form}, train, accuracy)


if __name__ == "__main__":
    main(sys.argv[1])
