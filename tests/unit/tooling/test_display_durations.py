"""Expected durations: own last time, same configuration, shipped, elsewhere, unknown."""

from __future__ import annotations

import json
import re

import pytest
from display_builders import make_job

from snakemake_logger_plugin_robustvit import durations as module
from snakemake_logger_plugin_robustvit.durations import Cost, Durations

# Whether it inherits from another rule, its name, and its lines.
RULE = re.compile(
    r"^(?:rule|(use rule \w+ as)) (\w+)(?: with)?:\n((?:[ \t].*\n|\n)*)", flags=re.MULTILINE
)


@pytest.fixture
def shipped(tmp_path):
    path = tmp_path / "seconds.json"
    path.write_text(json.dumps({"rules": {"pretrain_model": {"seconds": 60, "threads": 2}}}))
    return path


def test_a_rule_without_measurements_has_its_shipped_cost(shipped):
    assert Durations(shipped).rule("pretrain_model") == Cost(60.0, 2)
    assert Durations(shipped).rule("other") == Cost(module.UNKNOWN_RULE_SECONDS)


def test_measured_durations_survive_and_come_first(shipped, tmp_path):
    learned = tmp_path / "deep" / "durations.json"
    first = Durations(shipped, learned)
    first.learn(make_job(1), 10.0)
    first.learn(make_job(2), 30.0)
    first.save()
    again = Durations(shipped, learned)
    assert again.job(make_job(1)) == Cost(10.0, 1)
    assert again.rule("pretrain_model", "results/demo").seconds == 20.0
    assert again.job(make_job(3)).seconds == 20.0
    # another configuration: the shipped value is nearer than the demo's
    assert again.rule("pretrain_model", "results/paper").seconds == 60.0
    assert json.loads(learned.read_text())["rules"]["pretrain_model"]["seconds"] == 20.0


def test_nothing_measured_writes_nothing(shipped, tmp_path):
    learned = tmp_path / "durations.json"
    Durations(shipped, learned).save()
    assert not learned.exists()


def test_a_damaged_memory_is_forgotten(shipped, tmp_path):
    learned = tmp_path / "durations.json"
    learned.write_text('{"jobs": {"x"')
    assert Durations(shipped, learned).rule("pretrain_model").seconds == 60.0


def test_speed_follows_this_run_after_enough_work(shipped, tmp_path):
    learned = tmp_path / "durations.json"
    earlier = Durations(shipped, learned)
    earlier.learn(make_job(1), 60.0)
    earlier.learn(make_job(2), 60.0)
    assert earlier.speed == 1.0  # nothing to compare with yet
    earlier.save()
    measured = Durations(shipped, learned)
    measured.learn(make_job(1), 30.0)
    assert measured.speed == pytest.approx(0.5)
    measured.learn(make_job(2), 6000.0)
    assert measured.speed == 4.0


def test_long_jobs_first_do_not_make_the_rest_look_long(shipped):
    run = Durations(shipped)
    assert run.waiting("pretrain_model", 3).seconds == 180.0
    run.learn(make_job(1), 120.0)  # twice the mean of its rule
    assert run.rule("pretrain_model").seconds == 60.0
    assert run.waiting("pretrain_model", 2).seconds == 60.0
    run.learn(make_job(2), 600.0)
    assert run.waiting("pretrain_model", 1).seconds == 15.0


def test_only_the_newest_jobs_are_remembered(shipped, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED_JOBS", 2)
    learned = tmp_path / "durations.json"
    measured = Durations(shipped, learned)
    for number in (1, 2, 3):
        measured.learn(make_job(number), 1.0)
    measured.learn(make_job(2), 1.0)
    measured.save()
    kept = json.loads(learned.read_text())["jobs"]
    assert [key.split("/")[3] for key in kept] == ["e3", "e2"]


def rules_with_jobs(repository):
    """Names of all rules that run something; targets only name files."""
    files = [repository / "Snakefile", *sorted((repository / "rules").glob("*.smk"))]
    for text in (path.read_text(encoding="utf-8") for path in files):
        for found in RULE.finditer(text):
            inherits, body = found.group(1), found.group(3)
            if inherits or re.search(r"^    (?:shell|run|script):", body, flags=re.MULTILINE):
                yield found.group(2)


def test_every_rule_is_measured_or_left_to_the_default_on_purpose(repository):
    content = json.loads(module.SHIPPED.read_text())
    rules = set(rules_with_jobs(repository))
    assert {"finetune_model", "make_figure", "plan"} <= rules and "datasets" not in rules
    measured, default = set(content["rules"]), set(content["default"])
    assert not measured & default
    assert measured | default == rules
    assert all(content["default"].values())
    for rule in default:
        assert Durations().rule(rule) == Cost(module.UNKNOWN_RULE_SECONDS)


def test_the_shipped_file_names_its_guesses_and_covers_known_rules():
    content = json.loads(module.SHIPPED.read_text())
    assert content["about"]
    for cost in content["rules"].values():
        assert cost["seconds"] > 0
        assert cost["threads"] >= 1
