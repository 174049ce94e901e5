"""The exporter `s3` with a real S3 server: moto's, and the driver s3fs, in their own environment.

LiteLLM's proxy pins another release of the library that both of them need.
"""

import json
import os
import subprocess

import pytest

from tests.support.tools import ROOT, environment

pytestmark = [pytest.mark.slow, pytest.mark.service]

PROGRAM = """
import io, json, os
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*server.get_host_and_port())

import fsspec
import pyarrow.parquet
from litespan_exporters.object_store import S3Exporter
from tests.cases import CASES

files = fsspec.filesystem("s3")
files.mkdir("calls")

def export(prefix, wait=60.0, **options):
    waits = {"patience": wait, "exit_patience": wait}
    exporter = S3Exporter(f"s3://{prefix}", interval=0, **waits, **options)
    result = exporter.export([CASES["chat"], CASES["failure"]])
    exporter.shutdown()
    return result.name, exporter.problem

told = {
    "jsonl": export("calls/jsonl"),
    "parquet": export("calls/parquet", format="parquet"),
    "absent": export("absent/jsonl", wait=1.0),
}
child = os.fork()
if child == 0:
    os._exit(0 if export("calls/child")[0] == "SUCCESS" else 1)
told["child"] = os.waitpid(child, 0)[1]
files.invalidate_cache()
for folder in ("jsonl", "child", "parquet"):
    (path,) = files.find(f"calls/{folder}")
    data = files.cat(path)
    told[f"{folder} rows"] = (
        pyarrow.parquet.read_table(io.BytesIO(data)).num_rows
        if folder == "parquet"
        else sorted(json.loads(line)["outcome"] for line in data.splitlines())
    )
    told[f"{folder} path"] = path.rsplit("/", 1)[0]
print(json.dumps(told))
os._exit(0)
"""


def test_calls_arrive_in_s3(request: pytest.FixtureRequest) -> None:
    """In both formats, from a forked child, and with one line for a missing bucket."""
    packages = ("moto[server]==5.2.5", "s3fs==2026.9.0", "--editable", f"{ROOT}[parquet]")
    python = environment(request.config.cache.mkdir("s3"), *packages)
    known = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPATH": str(ROOT),
    }
    ran = subprocess.run(
        [python, "-c", PROGRAM], check=False, env=known, timeout=200, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    output = json.loads(ran.stdout.splitlines()[-1])
    assert output == {
        "jsonl": ["SUCCESS", ""],
        "parquet": ["SUCCESS", ""],
        "absent": [
            "FAILURE",
            "cannot write s3://absent/jsonl: FileNotFoundError (check the URL and the credentials)",
        ],
        "child": 0,
        **{f"{name} rows": ["failure", "success"] for name in ("jsonl", "child")},
        "parquet rows": 2,
        **{
            f"{name} path": f"calls/{name}/date=2026-11-20"
            for name in ("jsonl", "child", "parquet")
        },
    }
