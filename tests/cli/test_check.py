"""`litespan check`: one line with the answer of the service and how to fix an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from litespan.testing import OtlpReceiver
from tests.support.hostile import ESCAPE
from tests.support.server import Reply, in_turn, running
from tests.support.vendors import SECRET, VENDORS, Anyone

pytestmark = pytest.mark.slow

LITESPAN = Path(sys.executable).with_name("litespan")
KEYS = {
    "LANGFUSE_PUBLIC_KEY": SECRET,
    "LANGFUSE_SECRET_KEY": SECRET,
    "HELICONE_API_KEY": SECRET,
    "DD_API_KEY": SECRET,
}
URLS = {
    "langfuse": "LANGFUSE_BASE_URL",
    "helicone": "HELICONE_API_BASE",
    "datadog": "DD_LLMOBS_OVERRIDE_ORIGIN",
    "datadog_otlp": "DD_LLMOBS_OVERRIDE_ORIGIN",
}


def check(*names: str, **env: str) -> tuple[int, str, str]:
    """Exit status, output and errors of the command, with no other setting."""
    kept = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        [LITESPAN, "check", *names],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, **env},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", URLS)
def test_check_reports_that_a_service_accepted_the_call(name: str) -> None:
    """One line has the destination and the trace id to look for; the call is marked."""
    with running(VENDORS[name]()) as vendor:
        status, out, err = check(name, **KEYS, **{URLS[name]: vendor.url})
    assert (status, err) == (0, "")
    assert out.startswith(f"{name}: {vendor.url} accepted the test call: look for trace ")
    assert out.count("\n") == 1
    assert b"litespan-check" in vendor.received[0].body
    assert vendor.wrong == []


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Reply(401, b"no such key"), "401: unauthorized: check LANGFUSE_PUBLIC_KEY and"),
        (Reply(404), "404: not found: check LANGFUSE_BASE_URL"),
        (Reply(302, headers={"Location": "http://x.test"}), "302: redirects are not followed"),
        (Reply(400, f"bad {SECRET}".encode()), "said: bad ***)"),
        (Reply(400, f"bad{ESCAPE}".encode()), "said: bad\ufffd[2J"),
    ],
)
def test_check_reports_the_answer_of_a_service_that_rejects_the_call(
    reply: Reply, line: str
) -> None:
    """One line has the answer and how to fix it, without secrets."""
    with running(Anyone(), in_turn(reply)) as vendor:
        status, out, err = check("langfuse", **KEYS, LANGFUSE_BASE_URL=vendor.url)
    assert (status, out) == (1, "")
    assert line in err
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    assert SECRET not in err


def test_a_missing_key_is_reported_and_the_other_services_are_checked() -> None:
    """One line has the missing key; the exit status is 1."""
    with running(VENDORS["helicone"]()) as vendor:
        status, out, err = check(
            "langfuse", "helicone", HELICONE_API_KEY=SECRET, HELICONE_API_BASE=vendor.url
        )
    assert status == 1
    assert err == (
        "langfuse: LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are not set: langfuse export is "
        "off; set them or remove langfuse from the exporters\n"
    )
    assert out.startswith("helicone: ")


def test_check_reports_an_unwritable_file(tmp_path: Path) -> None:
    """The line has the file and how to fix it."""
    path = tmp_path / "missing" / "calls.db"
    status, out, err = check("sqlite", LITESPAN_SQLITE=str(path))
    assert (status, out) == (1, "")
    assert err == (
        f"sqlite: cannot write {path}: unable to open database file (its folder must exist and be "
        "writable; LITESPAN_SQLITE sets the path)\n"
    )


def test_an_unknown_exporter_is_reported_with_the_known_names() -> None:
    """The line lists the installed names."""
    status, _, err = check("langfuze")
    assert status == 2
    assert err.startswith(
        "litespan check: no exporter is called 'langfuze' (did you mean langfuse?); installed are "
    )
    assert "langfuse" in err


def test_the_otlp_exporter_uses_the_protocol_of_its_variable() -> None:
    """As `litespan doctor` and the SDK do."""
    with OtlpReceiver() as receiver:
        status, out, _ = check("otlp", **receiver.env)
        assert (status, [span["name"] for span in receiver.spans]) == (0, ["chat litespan-check"])
    assert out.startswith("otlp: accepted the test call")


def test_an_exporter_that_cannot_be_created_is_reported() -> None:
    """One line instead of a traceback."""
    status, _, err = check("otlp", OTEL_EXPORTER_OTLP_COMPRESSION="zip")
    assert status == 1
    assert err.startswith("otlp: exporter otlp cannot be created: ")
    assert "Traceback" not in err


def test_exporters_of_other_packages_can_be_checked() -> None:
    """Any exporter of the SDK works."""
    status, out, _ = check("console")
    assert status == 0
    assert "console: accepted the test call" in out
