"""Runs a command and says as its last line, in JSON, what it took: `python started.py COMMAND ...`.

A process counts as its own peak the memory of the process that started it, which a benchmark has much of. So
this one stands between, and imports next to nothing.
"""

import json
import os
import subprocess
import sys
import time

began = time.perf_counter()
try:
    process = subprocess.Popen(sys.argv[1:])
except OSError as error:
    print(f"{error}\n" + json.dumps({"exit_code": 127}))
    raise SystemExit from None
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
took = {
    "exit_code": process.returncode,
    "seconds": time.perf_counter() - began,
    "cpu_seconds": usage.ru_utime + usage.ru_stime,
    "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
}
print("\n" + json.dumps(took))
