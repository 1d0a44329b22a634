"""The CI size of the storm, once on each log; by LINKFLOW_TEST_SEED the seed, else another one each day."""

import os
import time
from pathlib import Path

import pytest

from tests.support.kafka import KafkaMissing, kafka_required
from tests.torture.plan import make_plan
from tests.torture.report import outcome_of, write_report
from tests.torture.run import run


@pytest.mark.torture
@pytest.mark.parametrize("log", ["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_a_storm_loses_nothing(log: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("LINKFLOW_TEST_SEED", "") or time.time() // 86_400)
    plan = make_plan(log, seed, "ci")
    try:
        evidence, verdicts = await run(plan, tmp_path)
    except KafkaMissing as missing:
        if kafka_required():
            raise
        pytest.skip(f"no Kafka broker of our own: {missing}")
    report = write_report(evidence, verdicts)
    print(report)
    outcome = outcome_of(verdicts, starved=evidence.starved)
    if outcome == "void":
        red = [f"{each.id}: {each.violations}" for each in verdicts if not each.passed]
        pytest.skip(f"nothing was lost, and times say nothing on so busy a machine, or the storm was none: {red}")
    assert outcome == "passed", f"repeat it: python -m tests.torture --log {log} --seed {seed} --size ci"
