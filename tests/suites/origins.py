"""Where the drivers' own test suites come from: the package registries' clients on this machine, or
Debian's source packages. Everything is put below one cache folder, once."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "versions"))

from fetch import RELEASES, FetchError, ReleaseApt  # noqa: E402
from source import Apt, last_lines, logged  # noqa: E402


class OriginError(Exception):
    """A suite cannot be fetched; the text says what the reader can do."""


class SourceApt(ReleaseApt):
    """Debian's source packages of another release than the machine's."""

    def rewritten(self, text):
        return Apt.rewritten(self, super().rewritten(text))


def must(log, *command, **options):
    if not logged(log, *command, **options):
        raise OriginError(f"{Path(str(command[0])).name} failed, see {log}:{last_lines(log)}")


def need(program, what):
    if not shutil.which(program):
        raise OriginError(f"{program} is not installed ({what})")


def environment_of(cache, packages):
    """A virtual environment with these packages; its folder of programs."""
    folder = cache / "venv"
    wanted = "\n".join(packages)
    mark = folder / "packages"
    if not mark.exists() or mark.read_text() != wanted:
        log = cache / "pip.log"
        shutil.rmtree(folder, ignore_errors=True)
        must(log, sys.executable, "-m", "venv", folder)
        must(log, folder / "bin/pip", "install", "--disable-pip-version-check", *packages)
        mark.write_text(wanted)
    return folder / "bin"


def python_source(cache, programs, name, version):
    """The source that a Python package's registry has; the folder of its tests' parent."""
    tree = cache / f"{name}-{version}"
    if not (tree / "tests").exists():
        log, packed = cache / "pip.log", cache / "packed"
        must(log, programs / "pip", "download", "--disable-pip-version-check", "--no-deps",
             "--no-binary", ":all:", "--dest", packed, f"{name}=={version}")
        shutil.rmtree(tree, ignore_errors=True)
        with tarfile.open(packed / f"{name}-{version}.tar.gz") as archive:
            archive.extractall(cache, filter="data")
        shutil.rmtree(packed)
        # Only its tests: the package itself is installed, and must not be found here.
        for path in tree.iterdir():
            if path.is_dir() and path.name != "tests":
                shutil.rmtree(path)
    return tree


def debian_source(cache, package):
    """A source package of the newest release of Debian that has it; where it is unpacked."""
    tree = cache / package
    if tree.exists():
        return tree
    need("dpkg-source", "package dpkg-dev")
    log = cache / "apt.log"
    for release in reversed(RELEASES.values()):
        apt = SourceApt(cache / "apt", release)
        apt.update()
        for version in reversed(apt.versions(package)):
            found = apt.download(package, version)
            if found:
                must(log, "dpkg-source", "--no-check", "-x", found, tree)
                return tree
    raise OriginError(f"no source package {package} to be had from Debian; "
                      "--source names a source tree of yours")


def go_module(cache, module, version):
    """A module as its proxy has it, tests among it, in a folder that tests may write in."""
    tree = cache / f"module-{version}"
    if tree.exists():
        return tree
    need("go", "the Go programming language")
    done = subprocess.run(["go", "mod", "download", "-json", f"{module}@{version}"], cwd=cache,
                          capture_output=True, text=True, env=os.environ | {"GOFLAGS": "-mod=mod"})
    found = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    if "Dir" not in found:
        raise OriginError(f"go mod download: {found.get('Error') or done.stderr.strip()}")
    part = cache / "module.part"
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(found["Dir"], part)
    for path in [part, *part.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    part.rename(tree)
    return tree


def version_in(path):
    """The version that a pyproject.toml or setup.cfg says."""
    for name in ("pyproject.toml", "setup.cfg"):
        if (path / name).exists():
            found = re.search(r'^version\s*=\s*"?([0-9.]+)', (path / name).read_text(), re.MULTILINE)
            if found:
                return found.group(1)
    raise OriginError(f"{path} does not tell its version")


__all__ = ["FetchError", "OriginError", "debian_source", "environment_of", "go_module", "must",
           "need", "python_source", "version_in"]
