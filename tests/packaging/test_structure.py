"""The shape of the package: short modules and functions, few parameters, no import circle.

What is still beyond a limit stands here by name: a list can only get shorter.
``python tests/packaging/test_structure.py`` prints all of it, with sizes.
"""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lava_dyads"

MODULE_LINES = 500
FUNCTION_LINES = 80  # docstring not counted
PARAMETERS = 12  # self not counted
FOLDER_SHARE = 0.2

LONG_MODULES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
MANY_PARAMETERS: set[str] = set()
CIRCLES: set[frozenset[str]] = set()


@cache
def trees():
    """Return the syntax tree of every module by its dotted name."""
    made = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        made[name] = (path, ast.parse(path.read_text()))
    return made


def module_lines():
    return {name: len(path.read_text().splitlines()) for name, (path, _) in trees().items()}


def folder_shares():
    """Return what share of the package's lines each of its folders holds, subfolders included."""
    lines = module_lines()
    found = Counter()
    for name, (path, _) in trees().items():
        found[path.relative_to(PACKAGE).parts[0]] += lines[name]
    whole = sum(lines.values())
    return {folder: n / whole for folder, n in found.items() if not folder.endswith(".py")}


def functions():
    """Yield name and node of every function, nested ones included."""

    def walk(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{prefix}.{child.name}", child
                yield from walk(child, f"{prefix}.{child.name}")
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}.{child.name}")
            else:
                yield from walk(child, prefix)

    for name, (_, tree) in trees().items():
        yield from walk(tree, name)


def lines_of(function):
    """Return the lines of a function without its docstring."""
    whole = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        whole -= first.end_lineno - first.lineno + 1
    return whole


def parameters_of(function):
    """Return how many parameters a function has, self and cls not counted."""
    a = function.args
    names = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def imported(name, path, tree):
    """Yield the modules of the package that a module imports, in functions, too."""
    known = trees()

    def walk(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                yield from (x for other in child.orelse for x in walk(other))
            elif isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    inner = f"{child.module}.{alias.name}"
                    yield inner if inner in known else child.module
            else:
                if isinstance(child, ast.Call) and ast.unparse(child.func).endswith(
                    "import_module"
                ):
                    argument = child.args[0]
                    if isinstance(argument, ast.Constant):
                        yield argument.value
                    elif isinstance(argument, ast.JoinedStr):  # a package brings all its modules
                        yield from (m for m in known if m.rpartition(".")[0] == name)
                yield from walk(child)

    return {module for module in walk(tree) if module in known}


def circles():
    """Return the sets of modules that import each other, but for how Lava finds models."""
    graph = nx.DiGraph()
    for name, (path, tree) in trees().items():
        graph.add_edges_from((name, other) for other in imported(name, path, tree))
    graph.remove_edges_from([THE_LOOK_UPWARDS])
    return [frozenset(c) for c in nx.strongly_connected_components(graph) if len(c) > 1]


THE_LOOK_UPWARDS = ("lava_dyads.processes.base", "lava_dyads.models")
"""Lava has to find the models of a Process, whoever has imported it: ``find_models``."""


def long_modules():
    return {name: n for name, n in module_lines().items() if n > MODULE_LINES}


def long_functions():
    return {name: n for name, f in functions() if (n := lines_of(f)) > FUNCTION_LINES}


def many_parameters():
    return {name: n for name, f in functions() if (n := parameters_of(f)) > PARAMETERS}


@pytest.mark.parametrize(
    ("find", "known"),
    [
        (long_modules, LONG_MODULES),
        (long_functions, LONG_FUNCTIONS),
        (many_parameters, MANY_PARAMETERS),
        (circles, CIRCLES),
    ],
)
def test_only_what_is_named_here_is_beyond_a_limit(find, known):
    found = find()
    assert set(found) == known, found


def test_no_field_of_a_dataclass_has_a_default_that_python_3_11_refuses():
    # It takes none without a hash: there slices and views of dictionaries have none.
    fields = [
        f"{path}: {ast.unparse(field)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and field.value is not None
        if ast.unparse(field.value).startswith(("slice(", "MappingProxyType("))
        if "ClassVar" not in ast.unparse(field.annotation)
    ]
    assert not fields


def test_no_folder_holds_a_fifth_of_the_package():
    shares = folder_shares()
    assert max(shares.values()) <= FOLDER_SHARE, shares


if __name__ == "__main__":
    for find in (long_modules, long_functions, many_parameters, circles):
        print(find.__name__, find())
    print({k: round(v, 3) for k, v in sorted(folder_shares().items(), key=lambda i: -i[1])})
