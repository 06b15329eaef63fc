"""PostgreSQL's source of the installed server's version: fetched by apt, and as much of it built as
its tests need. Everything lies in one cache folder, and is fetched and built once."""

import re
import shutil
import subprocess
from pathlib import Path


class SourceError(Exception):
    """The source cannot be fetched or built; the text says what the reader can do."""


def output_of(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def logged(log, *command, cwd=None, environment=None):
    """Runs a program with all that it says in a file; whether it went well."""
    with log.open("ab") as file:
        file.write(f"$ {' '.join(str(word) for word in command)}\n".encode())
        file.flush()
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, cwd=cwd,
                              stdout=file, stderr=subprocess.STDOUT, env=environment)
    return done.returncode == 0


def last_lines(log, count=15):
    lines = log.read_text(errors="replace").splitlines()[-count:]
    return "".join(f"\n    {line}" for line in lines)


class Apt:
    """
    apt with a configuration of its own: the machine's sources with their source packages enabled
    (or what a subclass makes of them), lists and downloads in our folder. What the machine has
    configured is only read.
    """

    more_settings = {}

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "apt.log"
        shutil.rmtree(folder, ignore_errors=True)
        for part in ("sources", "lists/partial", "cache/archives/partial", "download"):
            (folder / part).mkdir(parents=True)
        self._write_sources()
        settings = {
            "Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": folder / "sources",
            "Dir::State::lists": folder / "lists", "Dir::Cache": folder / "cache",
            "APT::Sandbox::User": "root", **self.more_settings,
        }
        (folder / "apt.conf").write_text("".join(f'{k} "{v}";\n' for k, v in settings.items()))
        self.environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C",
                            "APT_CONFIG": str(folder / "apt.conf")}

    def _write_sources(self):
        main = output_of("apt-config", "shell", "file", "Dir::Etc::sourcelist/f")
        parts = output_of("apt-config", "shell", "folder", "Dir::Etc::sourceparts/d")
        found = [Path(text) for text in re.findall(r"file='(.*)'", main)]
        for folder in re.findall(r"folder='(.*)'", parts):
            found += [*Path(folder).glob("*.list"), *Path(folder).glob("*.sources")]
        for path in found:
            if path.is_file():
                text = self.rewritten(path.read_text(errors="replace"))
                (self.folder / "sources" / path.name).write_text(text)

    def rewritten(self, text):
        """What stands in the machine's file, as it is to stand in ours."""
        text = re.sub(r"^deb(?=[ \t])", "deb-src", text, flags=re.MULTILINE)
        return re.sub(r"^Types:.*$", "Types: deb-src", text, flags=re.MULTILINE)

    def update(self):
        """One list that cannot be had is no error: the package decides."""
        logged(self.log, "apt-get", "update", environment=self.environment)

    def versions(self, package):
        done = subprocess.run(["apt-cache", "showsrc", "--only-source", package],
                              capture_output=True, text=True, env=self.environment)
        return re.findall(r"^Version: (\S+)$", done.stdout, re.MULTILINE)

    def download(self, package, version):
        """The .dsc file of the source package, beside what it names; None where it is not there."""
        folder = self.folder / "download"
        if not logged(self.log, "apt-get", "source", "--download-only", f"{package}={version}",
                      cwd=folder, environment=self.environment):
            return None
        return next(folder.glob("*.dsc"), None)


class Source:
    """
    `tree` is the source and `build` where it was built: src/test/regress with pg_regress and its
    libraries, src/test/modules/libpq_pipeline where this version has it, and psql: the files expect
    the psql of their own minor version, which may be another than the server's.
    """

    def __init__(self, tree, build, version):
        self.tree = tree
        self.build = build
        self.version = version

    @property
    def pg_regress(self):
        return self.build / "src/test/regress/pg_regress"

    @property
    def psql(self):
        return self.build / "src/bin/psql/psql"

    @property
    def libpq(self):
        return self.build / "src/interfaces/libpq/libpq.so.5"

    @property
    def libpq_pipeline(self):
        return self.build / "src/test/modules/libpq_pipeline/libpq_pipeline"


def installed_version(programs):
    """The server's version, such as 15.8."""
    text = output_of(programs / "postgres", "--version")
    found = re.search(r"\d+(\.\d+|\w+)?", text)
    if not found:
        raise SourceError(f"{programs}/postgres does not tell its version")
    return found.group(0)


def wanted_versions(apt, package):
    """Package versions to try: the installed one, then the others of its major version."""
    installed = output_of("dpkg-query", "-W", "-f", "${source:Version}", package)
    others = [version for version in reversed(apt.versions(package)) if version != installed]
    return [installed, *others] if installed else others


def fetch(cache, major, say):
    """Unpacks the source package of the server into cache/source."""
    if not all(shutil.which(program) for program in ("apt-get", "dpkg-source")):
        raise SourceError("fetching needs apt-get and dpkg-source (package dpkg-dev); "
                          "--source names a source tree of yours")
    package = f"postgresql-{major}"
    apt = Apt(cache / "apt")
    apt.update()
    for version in wanted_versions(apt, package):
        say(f"fetching the source package {package} {version}")
        found = apt.download(package, version)
        if found:
            break
    else:
        raise SourceError(f"no source package {package} to be had:{last_lines(apt.log)}")
    shutil.rmtree(cache / "source", ignore_errors=True)
    if not logged(apt.log, "dpkg-source", "--no-check", "-x", found, cache / "source"):
        raise SourceError(f"cannot unpack {found.name}:{last_lines(apt.log)}")
    shutil.rmtree(apt.folder / "download")


def version_of(tree):
    text = (tree / "configure").read_text(errors="replace")
    return re.search(r"^PACKAGE_VERSION='([^']+)'", text, re.MULTILINE).group(1)


def build_in(folder, tree, jobs, say):
    """Configures with the least that is needed, and makes the tests' programs only."""
    say("building pg_regress, psql and libpq_pipeline")
    log = folder.parent / "build.log"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log.write_text("")
    steps = [[tree / "configure", "--without-readline", "--without-zlib", "--without-icu"]]
    for part in ("test/regress", "bin/psql", "test/modules/libpq_pipeline"):
        if (tree / "src" / part).is_dir():
            steps.append(["make", f"-j{jobs}", "-C", f"src/{part}", "all"])
    for step in steps:
        if not logged(log, *step, cwd=folder):
            raise SourceError(f"{Path(step[0]).name} failed, see {log}:{last_lines(log)}")


def prepare(cache, programs, jobs, own_tree=None, say=print):
    """The Source for the server whose programs are named; own_tree instead of fetching."""
    installed = installed_version(programs)
    major = re.match(r"\d+", installed).group(0)
    folder = cache / f"postgresql-{installed}"
    folder.mkdir(parents=True, exist_ok=True)
    tree = own_tree or folder / "source"
    if not (tree / "configure").exists():
        if own_tree:
            raise SourceError(f"{own_tree} is no source tree of PostgreSQL")
        fetch(folder, major, say)
    version = version_of(tree)
    if version.split(".")[0] != major:
        raise SourceError(f"the source is of version {version}, the server of {installed}")
    build = folder / f"build-{version}"
    if not (build / "complete").exists():
        build_in(build, tree, jobs, say)
        (build / "complete").write_text("")
    return Source(tree, build, version)
