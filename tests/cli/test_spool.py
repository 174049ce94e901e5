"""`litespan spool`: the folder of its argument."""

from pathlib import Path

import pytest

from litespan.cli import main
from tests.spool.calls import Program, destination


@pytest.mark.parametrize("folder", ["spool", "~/spool"])
def test_a_folder_may_be_relative_or_in_the_home_folder(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program that writes it and the command find the same folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with destination() as vendor:
        vendor.status = 401
        program = Program(vendor.exporter(), Path(folder))
        program.calls(2)
        program.provider.shutdown()
    assert main(["spool", folder]) == 0
    assert "helicone: 2 call(s)" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["spool"]
