"""The published numbers: complete, unique, and errors that help."""

import re
from collections import Counter
from pathlib import Path

import pytest

from robustvit.core.errors import UserError
from robustvit.reporting.published import COLUMNS, Published


def test_all_numbers_are_there_with_stable_keys(published):
    assert len(published) == 1174
    sources = Counter(entry.source for entry in published.entries.values())
    assert sources == {
        "notebook": 409,
        "rspc": 322,
        "robustbench": 189,
        "thesis": 178,
        "readme": 44,
        "bhojanapalli": 32,
    }
    for key, entry in published.entries.items():
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9_-]+){2,}", key), key
        assert key.startswith(f"{entry.source}.")
        assert key.endswith(f".{entry.metric}"), key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thesis.table1.xcit-s12.adversarial.apgd_ce_5_top1", 54.80),
        ("thesis.table2.warmup-20.apgd_ce_5_top1", 34.88),
        ("thesis.table4.wd-0-5.adversarial.clean_top1", 68.78),
        ("thesis.table5.wd-0-5.autoattack_top1", 41.78),
        ("thesis.table6.xcit-l12.clean_top1", 74.60),
        ("thesis.table7.resnet50.adversarial.flowers102.autoattack_top1", 21.52),
        ("thesis.table8.finetuned.clean_top1", 90.06),
        ("thesis.table9.robust-xcit-s12.beit-l.top5", 49.52),
        ("readme.imagenet-eps-4.xcit-l12.autoattack_top1", 47.60),
        ("robustbench.imagenet-linf.debenedetti2022light-xcit-s12.autoattack_top1", 41.78),
        ("rspc.table3.clean-data.clean_top1", 83.9),
    ],
)
def test_values_under_their_keys(published, key, value):
    assert published.entry(key).value == pytest.approx(value)


def test_units_and_epsilon(published):
    entry = published.entry("thesis.table6.xcit-s12.parameters")
    assert (entry.unit, entry.epsilon_255) == ("million", 4)
    assert published.entry("thesis.table1.deit-s.standard.clean_top1").epsilon_255 is None


def test_shared_reference_file_is_covered(published):
    reference = Path(__file__).resolve().parents[4] / "shared" / "spec" / "reference_numbers.csv"
    if not reference.exists():
        pytest.skip("the collection that the file was made from is not beside the checkout")
    lines = reference.read_text(encoding="utf-8").splitlines()[1:]
    values = Counter(line.rsplit(",", 1)[1] for line in lines)
    assert values == Counter(entry.text for entry in published.entries.values())


def test_unknown_key_names_the_nearest(published):
    with pytest.raises(UserError, match=r'Did you mean "thesis\.table5\.wd-0-5\.autoattack_top1"'):
        published.entry("thesis.table5.wd-0-5.autoatack_top1")


def test_check_names_the_key_of_the_configuration(published):
    good = "thesis.table5.wd-0-5.autoattack_top1"
    published.check({"experiments.light.published.autoattack": good})
    where = "experiments.light.published.clean"
    with pytest.raises(
        UserError, match=rf'^{where}: .*Did you mean "thesis\.table5\.wd-0-5\.clean'
    ):
        published.check(
            {"experiments.a.published.clean": good, where: "thesis.table5.wd-0-5.claen_top1"}
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key,value\na,1\n", "expected the columns"),
        (",".join(COLUMNS) + "\n" + "a.b.c,s,t,r,d,m,4,x,1,percent\n" * 2, "appears twice"),
        (",".join(COLUMNS) + "\na.b.c,s,t,r,d,m,4,x,many,percent\n", "line 2.*numbers such as"),
    ],
)
def test_damaged_file(tmp_path, text, message):
    path = tmp_path / "published.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        Published.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"no such file.*published\.csv"):
        Published.load(tmp_path / "none.csv")
