"""What this installation is made of."""

from __future__ import annotations

import sys

from rattling import _core


def show_config() -> dict[str, str]:
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
    import platform
    from importlib import metadata  # slow, and of no use to others

    return {
        "rattling": metadata.version("rattling"),
        "python": sys.version.split()[0],
        "numpy": metadata.version("numpy"),
        "sundials": _core.sundials_version,
        "platform": platform.platform(),
        "threads": str(_core.cores()),
    }
