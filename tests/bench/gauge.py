"""What the kernel says about one process: processor time and resident memory."""

import os
import re
from pathlib import Path


def cpu_nanoseconds(pid):
    """Processor time that all threads of the process have used, user and system together."""
    if not Path(f"/proc/{pid}/schedstat").exists():
        return cpu_nanoseconds_by_ticks(pid)
    return sum(int((task / "schedstat").read_text().split()[0])
               for task in Path(f"/proc/{pid}/task").iterdir())


def cpu_nanoseconds_by_ticks(pid):
    """The same where the kernel keeps no schedstat; only as fine as the clock's tick (10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    """Resident memory. Sockets' buffers belong to the kernel and are not in it."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(re.search(r"^Rss:\s+(\d+) kB", text, re.M)[1]) * 1024
    except OSError:
        text = Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", text, re.M)[1]) * 1024
