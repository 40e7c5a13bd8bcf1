"""The costs in docs/operations.md are measured amounts times prices with a date and a source."""

import json
from datetime import date
from pathlib import Path

import pytest

from benchmarks import webhook_costs
from benchmarks.costs import DELIVERIES, OPERATIONS, RESULT, default_sampling, dollars, measured, prices, section
from local.template import Template


def test_requests_take_the_units_and_bytes_of_the_cost_tables(template: Template, engine: str, tmp_path: Path) -> None:
    committed = json.loads(RESULT.read_text())
    found = measured(template, engine, tmp_path)
    assert found.keys() == committed.keys()
    for title, by_text in found.items():
        assert by_text.pop("function") == committed[title].pop("function")
        for text, figures in by_text.items():
            # A timestamp may have one digit less.
            assert figures == pytest.approx(committed[title][text], abs=4), (title, text)
            for exact in ("calls", "read", "written", "record"):
                assert figures[exact] == committed[title][text][exact], (title, text)


def test_deliveries_take_the_units_bytes_and_messages_of_the_cost_tables(
    template: Template, engine: str, tmp_path: Path
) -> None:
    committed = json.loads(DELIVERIES.read_text())
    found = webhook_costs.measured(template, engine, tmp_path)
    assert found.keys() == committed.keys()
    for step, figures in found.items():
        # A timestamp may have one digit less.
        assert figures == pytest.approx(committed[step], abs=4), step
        for exact in ("calls", "read", "written", "events", "deliveries"):
            assert figures[exact] == committed[step][exact], step


def test_the_cost_section_equals_the_programs_output(template: Template) -> None:
    costs, deliveries = (json.loads(path.read_text()) for path in (RESULT, DELIVERIES))
    assert section(costs, deliveries, template, prices()) in OPERATIONS.read_text()


def test_a_million_deliveries_cost_their_messages_units_bytes_and_milliseconds() -> None:
    """Calculated by hand."""
    amounts = {"messages": 0.4, "fifo_messages": 0.5, "invocations": 0.2, "compute": 0.00001, "read_units": 0.1}
    amounts |= {"write_units": 0.6, "logs": 0.5, "transfer": 0.1, "storage": 0.3, "recovery": 0.2}
    paid = {
        "prices": {name: {"dollars": price} for name, price in amounts.items()},
        "assumed": {"milliseconds": {"fan_out": 10, "receiver": 100}},
    }
    kb = 2**30 // 10**6
    quiet = {"read": 1, "written": 0, "kept": 0, "logged": 0, "posted": 0}
    begun = {**quiet, "written": 2, "kept": kb}
    arrived = {"read": 4, "written": 1, "kept": kb, "logged": kb, "posted": 2 * kb}
    steps = {"fan out to none": quiet, "fan out to one": begun, "deliver": arrived, "fail": arrived}
    none, delivered, failed = webhook_costs.dollars(steps, {"FanOutEvents": 1024, "DeliverEvents": 512}, paid).values()
    # 10,000 GB-seconds.
    assert {name: each for name, each in none.items() if each} == pytest.approx(
        {"messages": 1.2, "functions": 0.2 + 0.1, "reads": 0.1}
    )
    # 50,000 GB-seconds more.
    assert delivered == pytest.approx(
        {
            "messages": 1.2 + 1.5,
            "functions": 0.2 + 0.1 + 0.2 + 0.5,
            "reads": 0.5,
            "writes": 1.8,
            "logs": 0.5,
            "out": 0.2,
            "kept": 1.0,
        },
        rel=1e-3,
    )
    assert failed == pytest.approx({**delivered, "reads": 0.4, "writes": 0.6, "kept": 0.5}, rel=1e-3)


def test_a_million_requests_cost_their_units_bytes_and_milliseconds() -> None:
    """Calculated by hand: a GB has 2^30 bytes, and a month 30 days."""
    per_request = {"requests": 3.5, "invocations": 0.2, "compute": 0.00001, "write_units": 0.6, "read_units": 0.1}
    per_amount = {"storage": 0.3, "recovery": 0.2, "events": 1, "logs": 0.5, "traces": 5, "transfer": 0.1}
    paid = {
        "prices": {name: {"dollars": price} for name, price in (per_request | per_amount).items()},
        "assumed": {
            "milliseconds": {"route": 10, "authorizer": 4, "publisher": 20},
            "authorizer_asks_once_in": 50,
            "traced": 0.01,
        },
    }
    memory = {"Route": 512, "Authorizer": 256, "PublishEvents": 1024}
    kb = 2**30 // 10**6
    write = {"read": 3, "written": 12, "answered": kb, "logged": 2 * kb, "kept": 4 * kb, "expiring": 2 * kb}
    assert dollars(write, memory, "Route", paid) == pytest.approx(
        {
            "requests": 3.5,
            # 5,000 and 1,000 GB-seconds.
            "functions": 0.2 + 0.05 + 0.2 + 0.01,
            "reads": 0.302,
            "writes": 7.2,
            # 20,000 GB-seconds.
            "event": 1 + 0.2 + 0.2,
            "logs": 1.0,
            "traces": 0.05,
            "out": 0.1,
            "key": 1.0,
            "kept": 2.0,
        },
        rel=1e-3,
    )
    read = {**write, "written": 0, "kept": 0, "expiring": 0}
    spent = dollars(read, memory, "Route", paid)
    assert (spent["writes"], spent["event"], spent["key"], spent["kept"]) == (0, 0, 0, 0)


def test_x_rays_default_records_nearly_all_of_few_requests_and_one_in_twenty_of_many() -> None:
    assert default_sampling(1_000, 5)[0] == pytest.approx(1, abs=0.001)
    assert default_sampling(1e6, 5) == pytest.approx((0.837, 4.19), abs=0.01)
    assert default_sampling(1e10, 5)[0] == pytest.approx(0.05, abs=0.001)


def test_every_price_has_a_day_and_a_source() -> None:
    for name, price in prices()["prices"].items():
        assert price.keys() == {"what", "dollars", "of", "source"}, name
        assert date(2025, 1, 1) < date.fromisoformat(price["of"]), name
        assert price["dollars"] > 0, name
