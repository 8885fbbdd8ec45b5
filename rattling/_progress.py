"""Calls that last: ``progress=`` as a hook for the core; Ctrl-C where the core has no say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rattling._typing import Hook, Progress


@contextmanager
def progress_hook(progress: Progress | None, label: str) -> Iterator[Hook]:
    """Give what the core calls with the fraction done, or None.

    Parameters
    ----------
    progress : bool or callable
        False: nothing; True: a tqdm bar called ``label``; a callable: itself.
    """
    if progress is False or progress is None:
        yield None
    elif progress is True:
        from rattling.results import import_extra

        with import_extra("tqdm.auto", "progress").tqdm(
            total=1.0, desc=label, bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}"
        ) as bar:
            yield lambda done: bar.update(done - bar.n) if done > bar.n else None
            bar.update(1.0 - bar.n)
    elif callable(progress):
        yield progress
        progress(1.0)
    else:
        raise TypeError(f"progress must be True, False or a callable; got {progress!r}")


def aside(function: Callable[..., Any], *arguments: Any) -> Any:
    """function(*arguments), of LAPACK or SciPy, on another thread: so Ctrl-C is answered
    while it lasts. It comes to its end even then, unseen."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(function, *arguments).result()
    finally:
        pool.shutdown(wait=False)
