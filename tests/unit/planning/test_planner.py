"""Demands of single jobs, data files and what is shown."""

import csv
import io

import pytest
import yaml

from robustvit.core.errors import UserError
from robustvit.planning.estimate import make_plan
from robustvit.planning.facts import load_facts
from robustvit.planning.jobs import Job
from robustvit.planning.models import model_cost
from robustvit.planning.show import as_csv, as_text
from robustvit.planning.work import Planner

OFFICIAL = {"imagenet": 1_281_167, "cifar10": 50_000, "oxford_flowers102": 1_020}


@pytest.fixture(scope="module")
def planner(paper):
    return planner_of(paper, "a100")


def planner_of(config, device, facts=None):
    unmarked = dict.fromkeys(config["datasets"], False)
    return Planner(config, facts or load_facts(), device, unmarked)


def train(name):
    return Job("pretrain_model", {"experiment": name}, (), (f"{name}.safetensors",))


def shard(name, shards=20):
    wildcards = {"experiment": name, "protocol": "autoattack", "shard": "0", "shards": str(shards)}
    return Job("evaluate_model", wildcards, (), (f"{name}.parquet",))


def test_images_of_official_sets(planner):
    for name, images in OFFICIAL.items():
        assert planner.images.count(name, "train") == images
    assert planner.images.count("imagenet_rb5k", "eval") == 5000


def test_a_built_data_set_is_believed(paper, tmp_path):
    config = {**paper, "paths": {**paper["paths"], "results": str(tmp_path)}}
    manifest = tmp_path / "paper/datasets/cifar10/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"splits": {"train": {"num_examples": 123}}}')
    assert planner_of(config, "a100").images.count("cifar10", "train") == 123


def test_images_of_a_users_own_are_counted_by_their_size(paper, tmp_path):
    birds = {**paper["datasets"]["caltech101"], "builder": "image_folder", "source": "birds"}
    birds |= {"num_classes": 3, "options": {}}
    datasets = {**paper["datasets"], "birds": birds}
    config = {**paper, "datasets": datasets, "paths": {**paper["paths"], "mirror": [str(tmp_path)]}}
    images = planner_of(config, "a100").images
    with pytest.raises(UserError, match=r"datasets\.birds\.source: the size of birds is not known"):
        images.count("birds", "train")
    for number in range(10):
        path = tmp_path / "birds" / f"{number % 3}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(110_000))
    assert (images.count("birds", "train"), images.count("birds", "eval")) == (8, 2)
    assert images.gigabytes("birds") == pytest.approx(1.1e-3)


def test_a_training_costs_its_epochs_images_and_passes(paper, planner):
    found = planner.work(train("xcit_s12_light"))
    model = paper["models"]["xcit_small_12_p16_224"]
    spec = {**model, "num_classes": 1000, "image_size": 224, "patch_size": None}
    cost = model_cost(spec)
    passes = 110 * (1_281_167 * (cost.attack + 3) + 50_000 * (cost.attack + 2))
    passes += 110 * 1000 * (2 + 11 * cost.attack)  # watched for catastrophic overfitting
    expected = passes * planner.rates.rate(spec, "float32").seconds.expected
    assert found.seconds.expected == pytest.approx(expected, rel=1e-3)
    assert found.devices == 1
    kept = 110 // 10  # epochs whose weights are kept, beside the state and then together
    assert found.disk == pytest.approx((20 + 8 * kept) * cost.parameters / 1e9)


def test_three_views_cost_three_times(planner):
    one, three = (
        planner.work(train(name)).seconds.expected
        for name in ("xcit_s12_light", "xcit_s12_canonical")
    )
    assert 2.8 < three / one < 3.0  # the evaluation between epochs is the same


def test_a_shared_training_is_quicker_and_holds_more_devices(paper):
    sharing = {**paper["compute"]["training"], "processes": 4, "nodes": 2}
    config = {**paper, "compute": {**paper["compute"], "training": sharing}}
    alone = planner_of(paper, "a100").work(train("xcit_s12_light"))
    shared = planner_of(config, "a100").work(train("xcit_s12_light"))
    assert shared.devices == 8
    assert alone.seconds.expected / shared.seconds.expected == pytest.approx(8 * 0.9, rel=0.01)


def test_twice_the_shards_halve_a_job(planner):
    few, many = (planner.work(shard("xcit_s12_light", n)).seconds.expected for n in (10, 20))
    assert few / many == pytest.approx(2, rel=0.05)


def test_the_fast_engine_takes_a_part_of_the_time(paper):
    autoattack = paper["protocols"]["autoattack"]
    fast = {**autoattack, "options": {**autoattack.get("options", {}), "engine": "fast"}}
    config = {**paper, "protocols": {**paper["protocols"], "autoattack": fast}}
    slow, quick = (
        planner_of(c, "a100").work(shard("xcit_s12_light")).seconds.expected
        for c in (paper, config)
    )
    assert 0.45 < quick / slow < 0.6


def test_the_published_accuracy_decides_how_much_stands(planner):
    weak, strong = (
        planner.work(shard(name)).seconds.expected
        for name in ("deit_s_canonical", "xcit_s12_light")
    )
    assert strong > weak  # 41 % robust against a few


def test_a_site_replaces_prices(tmp_path, facts):
    own = tmp_path / "site.yaml"
    own.write_text(yaml.safe_dump({"devices": {"a100": {"price_per_hour": 0.5}}}))
    site = load_facts(own)
    assert site.price("devices", "a100", "price_per_hour").expected == 0.5
    assert site.price("devices", "a100", "watts") == facts.price("devices", "a100", "watts")


def test_a_new_device_of_a_site_needs_no_code(tmp_path, paper):
    own = tmp_path / "site.yaml"
    device = {
        "teraflops": {"float32": 35.6, "bf16": 71}, "gigabytes_per_second": 936,
        "watts": 300, "price_per_hour": 0,
    }  # fmt: skip
    own.write_text(yaml.safe_dump({"devices": {"ours": device}}))
    facts = load_facts(own)
    work = planner_of(paper, "ours", facts).work(train("xcit_s12_light"))
    known = planner_of(paper, "rtx3090", facts).work(train("xcit_s12_light"))
    assert work.seconds.expected == pytest.approx(known.seconds.expected, rel=1e-3)


def test_mistakes_name_the_file_and_the_key(tmp_path, paper, facts):
    with pytest.raises(UserError, match=r'plan.device: unknown device "a1000".*"a100"'):
        planner_of(paper, "a1000")
    own = tmp_path / "site.yaml"
    with pytest.raises(UserError, match="no such file"):
        load_facts(own)
    own.write_text("divices: {}\n")
    with pytest.raises(UserError, match=r'site.yaml: unknown key "divices".*"devices"'):
        load_facts(own)
    with pytest.raises(UserError, match=r"prices.yaml: devices.a100.wats"):
        facts.price("devices", "a100", "wats")


def test_every_speed_says_where_it_is_from(tmp_path):
    kept = yaml.safe_load((load_facts.__globals__["BENCHMARKS"]).read_text(encoding="utf-8"))
    del kept["speeds"][0]["source"]
    broken = tmp_path / "benchmarks.yaml"
    broken.write_text(yaml.safe_dump(kept))
    with pytest.raises(UserError, match=r"speeds\.n12_32_cpu\.source is missing"):
        load_facts(benchmarks=broken)


def test_text_and_csv_add_up(paper, planner, facts):
    settings = {"targets": ["x"], "name": "paper", "scope": "all", "devices": 2, "label": "A100"}
    jobs = [train("xcit_s12_light"), shard("xcit_s12_light"), Job("make_table", outputs=("t",))]
    plan = make_plan(jobs, planner, facts, "a100", 2, settings)
    assert [line.stage for line in plan.lines] == ["pretrain", "evaluate", "report"]
    hours = sum(line.device_hours.expected for line in plan.lines)
    assert plan.total.device_hours.expected == pytest.approx(hours)
    low, middle, high = (getattr(plan.total.money, key) for key in ("low", "expected", "high"))
    assert 0 < low < middle < high
    rows = list(csv.DictReader(io.StringIO(as_csv(plan))))
    assert [row["stage"] for row in rows][-1] == "total"
    assert float(rows[-1]["device_hours_expected"]) == pytest.approx(hours, rel=1e-4)
    text = as_text(plan)
    assert "assumptions" in text and "s12_rtx3090" in text and "Nothing was started" in text
