"""What measurements come to: goals met and missed."""

import pytest

from bench.results import GOALS, LARGE_EVENT_GOAL, MEMORY_GOAL_BYTES, Measurement, Results, table, verdicts
from bench.routes import CREATE_USER, POLL, PUT_EVENT, PUT_LARGE_EVENT


def measured(rates, memory_bytes=100_000_000):
    """Results at concurrency 16, where the empty function answers 1000 requests a second. `rates` by case."""
    results = Results(memory_bytes=memory_bytes, upserts={16: [2000.0]})
    for case, case_rates in rates.items():
        series = results.of(case, 16)
        series.samples = [Measurement([0.001, 0.002], rate, 0.001, 0.0005, 1.0) for rate in case_rates]
        series.yardsticks = [1000.0] * len(case_rates)
    return results


def failed(results):
    return [verdict.text for verdict in verdicts(results) if not verdict.met]


@pytest.mark.parametrize("case", [PUT_EVENT, CREATE_USER, POLL])
def test_a_goal_is_met_by_the_median_of_its_pairs(case):
    goal = 1000 * GOALS[case]
    assert failed(measured({case: [1.0, goal, 1000.0]})) == []
    assert len(failed(measured({case: [1.0, goal - 1, 1000.0]}))) == 1


def test_a_large_event_is_held_against_a_small_one():
    small = 900.0
    assert failed(measured({PUT_EVENT: [small], PUT_LARGE_EVENT: [small / LARGE_EVENT_GOAL + 1]})) == []
    assert len(failed(measured({PUT_EVENT: [small], PUT_LARGE_EVENT: [small / LARGE_EVENT_GOAL]}))) == 1


def test_the_memory_has_a_goal():
    assert failed(measured({}, MEMORY_GOAL_BYTES - 1)) == []
    assert len(failed(measured({}, MEMORY_GOAL_BYTES))) == 1


def test_a_measurement_without_its_pair_is_an_error():
    results = measured({PUT_EVENT: [900.0, 900.0], PUT_LARGE_EVENT: [800.0]})
    with pytest.raises(ValueError, match="shorter"):
        failed(results)
    results = measured({PUT_EVENT: [900.0]})
    results.of(PUT_EVENT, 16).yardsticks.clear()
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        results.of(PUT_EVENT, 16).ratios()


def test_the_table_has_a_row_for_each_series():
    rows = table(measured({PUT_EVENT: [900.0, 1100.0]})).splitlines()
    assert rows[2].startswith(f"| {PUT_EVENT} | 16 | 1000 | 1.5 |")
    assert "1.00 (0.90–1.10) | 0.50" in rows[2]
