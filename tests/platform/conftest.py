"""Fixtures of the tests of the template, the build and the laptop edition."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.clock import NET
from tests.support.logs import Line, Said, require_emf


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    """Returns the log lines since the last call, and requires that there is no other output. Lines with metrics have
    the embedded metric format.
    """

    def lines() -> list[Line]:
        out, err = capfd.readouterr()
        assert err == ""
        found = [json.loads(line) for line in out.splitlines()]
        for line in found:
            assert line["level"] in ("INFO", "WARN", "ERROR")
            moment = line.pop("timestamp")
            assert moment.endswith("Z")
            assert abs(datetime.fromisoformat(moment) - datetime.now(UTC)) < timedelta(seconds=NET)
            if "_aws" in line:
                require_emf(line)
        return found

    return lines
