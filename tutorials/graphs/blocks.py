"""Write a network of residual blocks, h + relu(W h), on digits as TOML.

python tutorials/graphs/blocks.py 128 > blocks.toml
lava-dyads check gradient --graph blocks.toml --networks 3
lava-dyads train digits --graph blocks.toml --runtime reference
"""

import sys

NODE = """
[nodes.{name}]
kind = "{kind}"
{rest}
"""


def toml(blocks: int, size: int = 32) -> str:
    """Return the graph: 64 pixels, a first layer, so many blocks, ten classes."""
    dense = 'from = "{below}"\nsize = {size}'

    def node(name: str, kind: str, rest: str) -> str:
        return NODE.format(name=name, kind=kind, rest=rest).strip() + "\n"

    nodes, below = [node("image", "input", "shape = [64]")], "first"
    first = dense.format(below="image", size=size) + '\nactivation = "relu"'
    nodes.append(node("first", "dense", first))
    for k in range(1, blocks + 1):
        branch = dense.format(below=below, size=size) + '\nactivation = "relu"'
        nodes.append(node(f"branch_{k}", "dense", branch))
        nodes.append(node(f"sum_{k}", "sum", f'from = ["branch_{k}", "{below}"]'))
        below = f"sum_{k}"
    nodes.append(node("class", "dense", dense.format(below=below, size=10)))
    return "\n".join(nodes)


if __name__ == "__main__":
    print(toml(int(sys.argv[1]) if len(sys.argv) > 1 else 16), end="")
