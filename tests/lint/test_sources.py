"""Rules of the source tree that no compiler checks. One test a rule; it names every offender."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A room includes from itself and from those before it, never from those behind.
ROOMS = ["base", "io", "pg", "config", "state", "pool", "session", "admin", "daemon"]
# These do no input or output: bytes or events in, bytes or decisions out. Time is an argument.
WITHOUT_IO = {"pg", "state", "pool"}
SYSTEM_IO = re.compile(r"(sys/socket|sys/epoll|netinet/|netdb|poll|event2?/|libpq-|systemd/).*")
MOST_LINES = 800


def files(*patterns):
    found = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    return [path.relative_to(ROOT) for path in found]


SOURCES = files("src/**/*.c", "src/**/*.h")
HEADERS = [path for path in SOURCES if path.suffix == ".h"]
UNIT_TESTS = files("tests/unit/test_*.c")
FUZZERS = files("tests/fuzz/fuzz_*.c")
TEST_SOURCES = files("tests/**/*.c", "tests/**/*.h")
SCRIPTS = files("tests/**/*.py", "tests/check", "tests/bench/run", "tests/regress/run",
                "tests/versions/run", "tests/suites/run", "tests/drivers/run", "tests/drivers/*/prepare",
                "tests/drivers/*/run-cases", "tests/apps/pool_demo", "tests/apps/measure",
                "quickstart", ".ci/run")
TEXTS = files("*.md", "docs/*.md", "configure.ac", "Makefile.am", "etc/*", "man/*", "packaging/*")


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def room_of(path):
    parts = path.parts
    return parts[1] if len(parts) > 2 and parts[0] == "src" else None


def includes(path, opening):
    return re.findall(rf'^\s*#\s*include\s+{opening}([^">]+)', text_of(path), re.MULTILINE)


def assert_none(offenders):
    offenders = list(offenders)
    assert not offenders, "\n" + "\n".join(map(str, offenders))


def test_patterns_find_files():
    assert HEADERS and UNIT_TESTS and FUZZERS and TEST_SOURCES and SCRIPTS


def test_every_room_is_known():
    assert {room_of(path) for path in SOURCES} - {None} == set(ROOMS)


def test_includes_point_one_way():
    offenders = []
    for path in SOURCES:
        room = room_of(path)
        if room is None:  # src/main.c stands above all rooms
            continue
        allowed = set(ROOMS[: ROOMS.index(room) + 1]) - ({"io"} if room in WITHOUT_IO else set())
        for name in includes(path, '"'):
            if name != "config.h" and ("/" not in name or name.partition("/")[0] not in allowed):
                offenders.append(f"{path} includes {name}")
    assert_none(offenders)


def test_rooms_without_io_know_no_sockets_and_no_clock():
    offenders = []
    for path in SOURCES:
        if room_of(path) not in WITHOUT_IO:
            continue
        offenders += [f"{path}: <{name}>" for name in includes(path, "<") if SYSTEM_IO.match(name)]
        code = re.sub(r"/\*.*?\*/", "", text_of(path), flags=re.DOTALL)
        offenders += [f"{path}: {call}" for call in re.findall(r"clock_(?:monotonic|gettime)\(|\btime\(", code)]
    assert_none(offenders)


def test_every_header_compiles_alone():
    packages = ["libevent", "libpq", "inih", "libsystemd", "openssl"]
    flags = subprocess.run(
        ["pkg-config", "--cflags", *packages], capture_output=True, text=True, check=True
    ).stdout.split()
    command = [os.environ.get("CC", "gcc"), "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall",
               "-Wextra", "-Werror", "-Isrc", *flags, "-x", "c", "-"]  # fmt: skip

    def compile_alone(path):
        twice = f'#include "{path.relative_to("src")}"\n' * 2
        run = subprocess.run(command, input=twice, capture_output=True, text=True, cwd=ROOT)
        return f"{path}: {run.stderr}" if run.returncode != 0 else None

    with ThreadPoolExecutor(os.cpu_count()) as executor:
        assert_none(filter(None, executor.map(compile_alone, HEADERS)))


def test_files_are_short():
    lines = {path: text_of(path).count("\n") for path in SOURCES + TEST_SOURCES + SCRIPTS}
    assert_none(f"{path}: {count} lines" for path, count in lines.items() if count > MOST_LINES)


def test_headers_and_tests_open_with_their_purpose():
    assert_none(path for path in HEADERS + TEST_SOURCES if not text_of(path).startswith("/*"))


def test_python_files_open_with_their_purpose():
    python = [path for path in SCRIPTS if path.suffix == ".py"]
    assert_none(path for path in python if not re.match(r'(#!.*\n)?"""\s*\w', text_of(path)))


def clang_format_version():
    if shutil.which("clang-format") is None:
        return None
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    return re.search(r"version (\d+)", version).group(1)


# Versions disagree in details; the tree is formatted with Debian 12's.
@pytest.mark.skipif(clang_format_version() != "14", reason="needs clang-format 14")
def test_files_are_formatted():
    run = subprocess.run(
        ["clang-format", "--dry-run", *map(str, SOURCES + TEST_SOURCES)],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert_none(sorted(set(re.findall(r"^([^:\s]+):\d+:\d+: warning", run.stderr, re.MULTILINE))))


def test_no_path_of_somebodys_machine():
    machine = re.compile(r"(?<![\w./])/(?:home|Users|root|work)/\w+")
    offenders = []
    for path in SOURCES + TEST_SOURCES + SCRIPTS + TEXTS:
        offenders += [f"{path}: {found}" for found in machine.findall(text_of(path))]
    assert_none(offenders)


def listed_in_makefile():
    text = re.sub(r"^#.*$", "", text_of(Path("Makefile.am")), flags=re.MULTILINE)
    return set(re.findall(r"(?<![\w/])(?:src|tests)/[\w./-]+", text))


def test_makefile_lists_every_source_and_test():
    wanted = SOURCES + files("tests/sim/*") + [path.with_suffix("") for path in UNIT_TESTS + FUZZERS]
    assert_none(path for path in wanted if str(path) not in listed_in_makefile())


def test_makefile_lists_nothing_that_is_gone():
    def exists(name):
        program = ("", ".c", "_main.c")  # tests/sim/sim is made of sim_main.c and others
        return any((ROOT / (name + suffix)).exists() for suffix in program)

    assert_none(name for name in listed_in_makefile() if not exists(name))


def test_every_fuzzer_has_seeds():
    folders = [ROOT / "tests/fuzz/seeds" / path.stem.removeprefix("fuzz_") for path in FUZZERS]
    assert_none(folder for folder in folders if not folder.is_dir() or not any(folder.iterdir()))
