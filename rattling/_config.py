"""What this installation is made of."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from rattling import _core


def show_config():
    """Versions of this package and of what it runs on.

    Returns
    -------
    dict of str
        rattling, python, numpy, sundials (compiled against), platform, and threads (the
        processors this process may use). Put it into bug reports.

    Examples
    --------
    >>> import rattling
    >>> sorted(rattling.show_config())
    ['numpy', 'platform', 'python', 'rattling', 'sundials', 'threads']
    """
    return {
        "rattling": importlib.metadata.version("rattling"),
        "python": sys.version.split()[0],
        "numpy": importlib.metadata.version("numpy"),
        "sundials": _core.sundials_version,
        "platform": platform.platform(),
        "threads": str(_core.cores()),
    }
