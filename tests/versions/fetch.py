"""PostgreSQL servers of versions that this Debian release does not have: packages of the release that
has them, unpacked into a folder and run with the C library that they came with. Nothing of the
machine's is changed."""

import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "regress"))

from source import Apt, last_lines, logged, output_of  # noqa: E402

# Debian's release with this major version of PostgreSQL.
RELEASES = {"13": "bullseye", "15": "bookworm", "17": "trixie", "18": "forky"}
# What the system tests start. pg_wrapper and the like, which choose among versions, are none.
PROGRAMS = ["initdb", "postgres", "psql", "pgbench", "pg_basebackup", "pg_ctl", "pg_dump"]
# Its dynamic linker finds libraries by this list only, so that the machine's own are never mixed in.
# The name of the real program keeps its folder, where PostgreSQL looks for its other files.
WRAPPER = """#!/bin/sh
exec {linker} --inhibit-cache --library-path {libraries} {program} "$@"
"""


class FetchError(Exception):
    """The version cannot be had; the text says what the reader can do."""


class ReleaseApt(Apt):
    """apt for another release of Debian than the machine's, as if nothing were installed yet."""

    more_settings = {"Dir::Etc::preferencesparts": "/dev/null", "Dir::State::status": "/dev/null",
                     "APT::Install-Recommends": "false"}

    def __init__(self, folder, release):
        self.release = release
        super().__init__(folder)

    def rewritten(self, text):
        return re.sub(rf"\b{machine_release()}\b", self.release, text)

    def unpack(self, package, root):
        """A package with all that it needs, into a folder; whether it went well."""
        return logged(self.log, "apt-get", "install", "--download-only", "--yes", package,
                      environment=self.environment) and all(
            logged(self.log, "dpkg-deb", "--extract", path, root)
            for path in sorted((self.folder / "cache/archives").glob("*.deb")))


def machine_release():
    text = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=\"?(\w+)", text, re.MULTILINE)
    if not found or "ID=debian" not in text.splitlines():
        raise FetchError("fetching needs Debian; name a folder with the server's programs instead")
    return found.group(1)


def libraries_of(root):
    """The folders of a root with shared libraries, and its dynamic linker."""
    triplet = output_of("dpkg-architecture", "-qDEB_HOST_MULTIARCH") or output_of("gcc", "-dumpmachine")
    folders = [root / part / triplet for part in ("lib", "usr/lib")]
    linkers = [path for folder in folders for path in folder.glob("ld-linux*")]
    if not linkers:
        raise FetchError(f"no dynamic linker in {root} for {triplet or 'this machine'}")
    return [folder for folder in folders if folder.is_dir()], linkers[0]


def wrap(programs, root):
    """Puts a script in the place of each program, and the program beside it."""
    folders, linker = libraries_of(root)
    for name in PROGRAMS:
        path, real = programs / name, programs / f"{name}.real"
        path.rename(real)
        path.write_text(WRAPPER.format(linker=linker, program=real,
                                       libraries=":".join(map(str, folders))))
        path.chmod(0o755)


def installed(version):
    """The folder of the machine's own server of this version, or None."""
    programs = Path(f"/usr/lib/postgresql/{version}/bin")
    return programs if (programs / "initdb").exists() else None


def fetched(version, cache, say=print):
    """The folder of a version's programs below the cache; fetched once."""
    folder = cache / version
    programs = folder / f"root/usr/lib/postgresql/{version}/bin"
    if (folder / "complete").exists():
        return programs
    if version not in RELEASES:
        raise FetchError(f"no release of Debian has version {version}; "
                         "name a folder with its programs instead")
    say(f"fetching PostgreSQL {version} of Debian's {RELEASES[version]}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    apt = ReleaseApt(folder / "apt", RELEASES[version])
    apt.update()
    if not apt.unpack(f"postgresql-{version}", folder / "root"):
        raise FetchError(f"no package postgresql-{version}:{last_lines(apt.log)}")
    wrap(programs, folder / "root")
    shutil.rmtree(apt.folder)
    (folder / "complete").write_text("")
    return programs
