"""Sphinx: ``make docs`` builds these pages, runs every notebook, and takes warnings as errors."""

import inspect
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path

import rattling

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")  # of the notebooks' kernels
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"

project = "rattling"
author = "the rattling developers"
copyright = "the rattling developers"  # noqa: A001 (Sphinx's name)
release = version("rattling")
version = release

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"rattling {release}"
html_theme_options = {"navigation_with_keys": True}
html_static_path = ["_static"]
html_css_files = ["results.css"]
default_role = "autolink"
pygments_style = "friendly"
highlight_language = "text"

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_output_stderr = "remove-warn"  # a warning of the library in a page is a mistake of the page
nb_merge_streams = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_attributes_as_param_list = True
numpydoc_xref_param_type = False
copybutton_exclude = ".linenos, .gp, .go"


# --- the API reference: one page for each public name, whatever there is -------------------

TOPICS = {  # by the module that defines the name; what is in none of them comes under "More"
    "Models and systems": ["models", "maps", "systems"],
    "Grids and generators": ["grids", "markov"],
    "Steady states and evolution": ["fokker_planck", "evolution", "thermodynamics", "distributions", "rattling"],
    "Trajectories and estimates": ["trajectories", "estimators", "windows", "density", "simulation", "datasets"],
    "Typicality": ["typicality", "intervals", "decomposition", "apriori", "blowtorch", "engineering"],
    "Sweeps, results, pictures": ["sweeps", "results", "plotting", "plotting_paths", "plotting_sweeps"],
}
BESIDE = ["distributions.GridDistribution", "results.Result", "plotting"]  # public, though not in rattling.__all__


def public_names():
    """(qualified name, object) of everything a user may call."""
    for name in (*rattling.__all__, *BESIDE):
        module, _, attribute = name.rpartition(".")
        place = __import__(f"rattling.{module}", fromlist=["_"]) if module else rattling
        if name == "plotting":
            __import__("rattling.plotting")
        entry = getattr(place, attribute)
        if inspect.ismodule(entry):
            names = getattr(entry, "__all__", None) or [
                n
                for n, value in vars(entry).items()
                if not n.startswith("_") and getattr(value, "__module__", None) == entry.__name__
            ]
            yield from ((f"rattling.{name}.{n}", getattr(entry, n)) for n in names)
        else:
            yield f"rattling.{name}", entry


def topic_of(name, entry):
    module = name.split(".")[1] if name.count(".") > 1 else (entry.__module__ or "").split(".")[-1]
    return next((topic for topic, modules in TOPICS.items() if module in modules), "More")


def write_reference(_app):
    folder = HERE / "reference" / "generated"
    folder.mkdir(exist_ok=True, parents=True)
    by_topic = {topic: [] for topic in (*TOPICS, "More")}
    for name, entry in public_names():
        by_topic[topic_of(name, entry)].append(name)
    for page in folder.glob("*.rst"):
        if not any(page.stem in names for names in by_topic.values()):
            page.unlink()
    text = ["# API reference\n\nEverything public, by topic.\n"]
    for topic, names in by_topic.items():
        if names:
            text += [f"## {topic}\n", "```{eval-rst}", ".. autosummary::", "   :toctree: generated", "   :nosignatures:", ""]
            text += [*(f"   {name}" for name in sorted(names, key=str.lower)), "```\n"]
    page = HERE / "reference" / "index.md"
    text = "\n".join(text)
    if not page.exists() or page.read_text() != text:
        page.write_text(text)


def escape(_app, _what, _name, _entry, _options, lines):
    """|x| and (dim, *grid.shape) in docstrings are mathematics, not markup."""
    for k, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [re.sub(r"(?<!\\)(\||\*(?=grid\.shape|shape\b))", r"\\\1", part) for part in parts[::2]]
        lines[k] = "``".join(parts)


def setup(app):
    write_reference(app)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before numpydoc's
