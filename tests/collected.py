"""The static files as production serves them: collected and compressed once for all processes of a run."""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Final

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command

# Names the folder that the processes of `python -m tests` share; without it each collects for itself.
FOLDER: Final = "COLLECTED_STATIC_FILES"


def collect() -> None:
    """Fill this process's folder of static files. Compressing takes seconds: the first does it for all."""
    if FOLDER not in os.environ:
        call_command("collectstatic", interactive=False, verbosity=0)
        return
    shared = Path(os.environ[FOLDER])
    collected = shared / "collected"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not collected.exists():
            call_command("collectstatic", interactive=False, verbosity=0)
            # Whoever is stopped in the middle leaves nothing half made under the name.
            shutil.copytree(settings.STATIC_ROOT, shared / "copied")
            (shared / "copied").rename(collected)
            return
    shutil.copytree(collected, settings.STATIC_ROOT, dirs_exist_ok=True)
    # The names of the files may have been read when there were none.
    manifest = staticfiles_storage.load_manifest()  # type: ignore[attr-defined]
    staticfiles_storage.hashed_files, staticfiles_storage.manifest_hash = manifest  # type: ignore[attr-defined]


def give(data: Path) -> None:
    """Put the files into a server's data folder as its own first start would, which takes seconds."""
    # Not above: `python -m tests` reads this file without Django's settings.
    from projects.management.commands.serve import _fingerprint

    data.mkdir(mode=0o700, exist_ok=True)
    shutil.copytree(settings.STATIC_ROOT, data / "static")
    (data / "static" / ".collected").write_text(_fingerprint())
