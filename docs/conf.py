"""The documentation as a site: what Sphinx reads, and the little that it cannot do by itself.

The sources lie where they are read on the repository's page, too: docs/*.md, tutorials/*.ipynb,
CONTRIBUTING.md and CHANGELOG.md. So the root of the sources is the repository, and links between
them mean the same in both places. ``make docs`` builds docs/_build/html.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
from pathlib import Path
from typing import Any, get_origin

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from jinja2 import FileSystemLoader
from jinja2.sandbox import SandboxedEnvironment
from numpydoc import docscrape_sphinx
from sphinx.util.nodes import make_refnode

import lava_dyads

ROOT = Path(__file__).parents[1]

project, author = "lava_dyads", "The lava_dyads authors"
release = version = lava_dyads.__version__
root_doc = "docs/index"
include_patterns = ["docs/**", "tutorials/*.ipynb", "CONTRIBUTING.md", "CHANGELOG.md"]
exclude_patterns = ["docs/_build", "docs/_templates", "**/.ipynb_checkpoints"]
read = ("docs", "tutorials")  # the other folders would be walked through in vain
exclude_patterns += [p.name for p in ROOT.iterdir() if p.is_dir() and p.name not in read]

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
templates_path = [str(ROOT / "docs" / "_templates")]

# Pages
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "docs" / "_build" / "executed")
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_execution_raise_on_error = True
os.environ.pop("LAVA_DYADS_DATA", None)

# API
nitpick_ignore_regex = [
    # Pages of others, and modules that are not public.
    (r"py:.*", r"(abc|collections|contextlib|enum|lava|numpy|pathlib|reprlib|sklearn|typing)\..*"),
    (r"py:.*", r"lava_dyads\.(\w+\.)+\w+"),
]
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
# numpydoc would compile its template anew for every docstring, a quarter of the time.
_templates = SandboxedEnvironment(
    loader=FileSystemLoader(Path(docscrape_sphinx.__file__).parent / "templates")
)
docscrape_sphinx.SandboxedEnvironment = lambda loader: _templates

# Look
html_theme = "pydata_sphinx_theme"
html_title = f"lava_dyads {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
html_additional_pages = {"index": "redirect.html"}
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "header_links_before_dropdown": 9,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
}
project_copyright = "The lava_dyads authors, BSD-3-Clause"


def public_packages() -> dict[str, list[str]]:
    """Return every package with public names, and those that no other has had before it."""
    found: dict[str, list[str]] = {}
    seen: set[int] = set()
    below = pkgutil.walk_packages(lava_dyads.__path__, "lava_dyads.")
    packages = [module.name for module in below if module.ispkg]
    for name in ["lava_dyads", "lava_dyads.errors", *packages]:
        package = importlib.import_module(name)
        classes = [n for n, v in vars(package).items() if inspect.isclass(v)]
        public = classes if name == "lava_dyads.errors" else getattr(package, "__all__", [])
        own = [n for n in public if id(getattr(package, n)) not in seen]
        own = [n for n in own if not get_origin(getattr(package, n))]  # types with no page
        seen |= {id(getattr(package, n)) for n in own}
        if own:
            found[name] = own
    return found


def write_api(folder: Path) -> None:
    """Write a page per package: its docstring and its names; those of the first have pages."""
    folder.mkdir(exist_ok=True)
    packages = public_packages()
    for package, names in packages.items():
        lines = [package, "=" * len(package), ""]
        lines += [f".. automodule:: {package}", "   :no-members:", ""]
        lines += [f".. currentmodule:: {package}", ""]
        if package == lava_dyads.__name__:
            lines += [".. autosummary::", "   :toctree: of", "   :nosignatures:", ""]
            lines += [f"   {name}" for name in names]
        else:
            for name in names:
                lines += [name, "-" * len(name), "", *described(package, name), ""]
        write_changed(folder / f"{package}.rst", "\n".join(lines))
    for there in folder.glob("*.rst"):
        if there.stem not in packages:
            there.unlink()


def described(package: str, name: str) -> list[str]:
    """Return the directive that describes a name."""
    value = getattr(importlib.import_module(package), name)
    if inspect.isclass(value):
        return [f".. autoclass:: {name}", "   :members:", "   :show-inheritance:"]
    return [f".. auto{'function' if callable(value) else 'data'}:: {name}"]


def write_changed(path: Path, text: str) -> None:
    """Write a file unless it holds the text: what has not changed is not read again."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def as_mathml(self: Any, node: Any, block: bool = False) -> None:
    """Write mathematics as MathML, which browsers show without scripts and without a network."""
    formula = tex2mathml(node.astext(), as_block=block)
    self.body.append(f'<div class="mathematics">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def elsewhere(app: Any, env: Any, node: Any, contents: Any) -> Any:
    """Return a link to a name where it is documented: modules lie deeper than what they export."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    python = env.get_domain("py")
    for length in (2, 1):  # Trainer.cost, or DyadDense
        ending = "." + ".".join(target.split(".")[-length:])
        found = [name for name in python.objects if name.endswith(ending)]
        if found:
            shortest = min(found, key=lambda name: name.count("."))
            there, where = python.objects[shortest], (app.builder, node["refdoc"])
            return make_refnode(*where, there.docname, there.node_id, contents, shortest)
    return None


def plain_bars(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let |w| in a docstring be a norm, and not the name of a substitution."""
    margin = None  # of a literal block
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if margin is not None and line.strip() and indent <= margin:
            margin = None
        if margin is None and not line.lstrip().startswith((">>>", "...")):
            parts = line.split("``")
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[i] = "``".join(parts)
            if line.rstrip().endswith("::"):
                margin = indent


def of_scikit_learn(
    app: Any, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what scikit-learn gives an estimator beside its own: its pages tell of it."""
    return True if name.endswith("_request") or name == "get_metadata_routing" else None


def setup(app: Any) -> dict[str, Any]:
    """Add to Sphinx what stands above."""
    app.add_html_math_renderer(
        "mathml", (as_mathml, None), (lambda self, node: as_mathml(self, node, True), None)
    )
    app.connect("missing-reference", elsewhere)
    app.connect("autodoc-process-docstring", plain_bars, priority=400)  # before numpydoc
    app.connect("autodoc-skip-member", of_scikit_learn)
    app.connect("config-inited", lambda *_: write_api(ROOT / "docs" / "api"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
