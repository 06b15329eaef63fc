"""Rules of the source tree that no compiler checks."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A room includes from itself and from those before it, never from those behind.
ROOMS = ["base", "io", "pg", "config", "state", "pool", "session", "admin", "daemon"]
# These do no input or output: bytes or events in, bytes or decisions out.
WITHOUT_IO = {"pg", "state", "pool"}
MOST_LINES = 800


def files(*patterns):
    found = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    return [path.relative_to(ROOT) for path in found]


SOURCES = files("src/**/*.c", "src/**/*.h")
HEADERS = [path for path in SOURCES if path.suffix == ".h"]
UNIT_TESTS = files("tests/unit/test_*.c")
FUZZERS = files("tests/fuzz/fuzz_*.c")
C_FILES = SOURCES + files("tests/**/*.c", "tests/**/*.h")
SCRIPTS = files("tests/**/*.py", "tests/check", "quickstart", ".ci/run")


def named(paths):
    return [pytest.param(path, id=str(path)) for path in paths]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def own_includes(path):
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', text_of(path), re.MULTILINE)


def room_of(path):
    parts = path.parts
    return parts[1] if len(parts) > 2 and parts[0] == "src" else None


def test_patterns_find_files():
    assert HEADERS and UNIT_TESTS and FUZZERS and SCRIPTS


def test_every_room_is_known():
    assert {room_of(path) for path in SOURCES} - {None} <= set(ROOMS)


@pytest.mark.parametrize("path", named(SOURCES))
def test_includes_point_one_way(path):
    room = room_of(path)
    if room is None:  # src/main.c stands above all rooms
        return
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    if room in WITHOUT_IO:
        allowed.discard("io")
    for include in own_includes(path):
        target, _, name = include.partition("/")
        assert name, f'write #include "room/{include}"'
        assert target in allowed, f"room {room} must not include {include}"


@pytest.mark.parametrize("path", named(path for path in SOURCES if room_of(path) in WITHOUT_IO))
def test_rooms_without_io_know_no_sockets_and_no_clock(path):
    system = re.findall(r"^\s*#\s*include\s+<([^>]+)>", text_of(path), re.MULTILINE)
    forbidden = [name for name in system if re.match(r"(sys/socket|sys/epoll|event2/|poll\.|libpq)", name)]
    assert not forbidden
    assert "clock_now" not in re.sub(r"/\*.*?\*/", "", text_of(path), flags=re.DOTALL)


@pytest.mark.parametrize("path", named(HEADERS))
def test_header_compiles_alone(path):
    flags = subprocess.run(
        ["pkg-config", "--cflags", "libevent", "libpq", "inih", "libsystemd", "openssl"],
        capture_output=True, text=True, check=True,
    ).stdout.split()
    compiler = os.environ.get("CC", "gcc")
    result = subprocess.run(
        [compiler, "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
         "-Isrc", *flags, "-x", "c", "-"],
        input=f'#include "{path.relative_to("src")}"\n#include "{path.relative_to("src")}"\n',
        capture_output=True, text=True, cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", named(C_FILES))
def test_file_is_short(path):
    lines = text_of(path).count("\n")
    assert lines <= MOST_LINES, f"{lines} lines: look for the second noun inside"


@pytest.mark.parametrize("path", named(C_FILES))
def test_file_opens_with_its_purpose(path):
    assert re.match(rf"/\*\s*\*?\s*(\S+/)*{re.escape(path.name)}\b", text_of(path)), (
        f"the first comment begins with the file's name: /* {path.name}: ..."
    )


def clang_format_version():
    if shutil.which("clang-format") is None:
        return None
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    return re.search(r"version (\d+)", version).group(1)


# Versions disagree in details; the tree is formatted with Debian 12's.
@pytest.mark.skipif(clang_format_version() != "14", reason="needs clang-format 14")
@pytest.mark.parametrize("path", named(C_FILES))
def test_file_is_formatted(path):
    result = subprocess.run(
        ["clang-format", "--dry-run", "-Werror", str(path)], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", named(C_FILES + SCRIPTS))
def test_no_path_of_somebodys_machine(path):
    found = re.findall(r"(?<![\w.])/(?:home|Users|work)/\w+|(?<![\w.])/root/\w+", text_of(path))
    assert not found


def listed_in_makefile():
    return set(re.findall(r"(?<![\w/])(?:src|tests)/[\w./-]+", text_of(Path("Makefile.am"))))


@pytest.mark.parametrize("path", named(SOURCES))
def test_source_is_listed_in_the_makefile(path):
    assert str(path) in listed_in_makefile()


@pytest.mark.parametrize("path", named(UNIT_TESTS))
def test_unit_test_is_listed_in_the_makefile(path):
    assert str(path.with_suffix("")) in listed_in_makefile()


@pytest.mark.parametrize("path", named(FUZZERS))
def test_fuzzer_is_listed_and_has_seeds(path):
    assert str(path.with_suffix("")) in listed_in_makefile()
    seeds = ROOT / "tests/fuzz/corpus" / path.stem.removeprefix("fuzz_")
    assert any(seeds.iterdir()), f"{seeds} has no seed"


def test_makefile_lists_nothing_that_is_gone():
    suffixes = ("", ".c")
    gone = [
        name
        for name in listed_in_makefile()
        if not any((ROOT / (name + suffix)).exists() for suffix in suffixes)
        and "NAME" not in name
    ]
    assert not gone
