"""Every page on adding something is followed to the letter, in a copy of the checkout."""

from __future__ import annotations

import io
import json
import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.docs.pages import DOCS, PAGES, Page, resolved
from tests.integration.conftest import planned_jobs

DATASET = Page("add_a_dataset")
OTHERS = [page for page in PAGES if page != DATASET]
CLASSES = ["AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial"]
BIRDS = ["jay", "owl", "wren"]
CLASSES += ["Pasture", "PermanentCrop", "Residential", "River", "SeaLake"]


@pytest.fixture(scope="module")
def planned(book):
    """Jobs that one dry run with the settings and targets of all pages plans."""
    overlays = [name for page in OTHERS for name in page.overlays]
    targets = sorted({target for page in OTHERS for target in page.targets})
    return planned_jobs(book.snakemake(overlays, "-n", *targets))


# --- all pages ---------------------------------------------------------------------------------


def test_index_links_every_page_and_nothing_else():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w./-]+\.md)\)", index))
    assert {f"{page.name}.md" for page in PAGES} <= linked
    assert all((DOCS / name).is_file() for name in linked)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_is_complete(page):
    assert page.overlays and page.targets and page.jobs
    for command in page.commands:
        if command[0] == "snakemake":
            assert command[1:3] == ["--configfile", "configs/demo.yaml"]
            assert set(page.overlays) & set(command)


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.name)
def test_settings_resolve_without_those_of_other_pages(page, plugins):
    config = resolved(plugins, page.overlays)
    written = [yaml.safe_load(page.files[name]) for name in page.overlays]
    for settings in written:
        for section in ("experiments", "recipes", "models", "tables", "figures"):
            assert set(settings.get(section, {})) <= set(config[section])


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.name)
def test_page_names_jobs_that_are_planned(page, planned):
    assert page.jobs <= planned


def test_pages_together_name_every_planned_job(planned):
    assert set().union(*(page.jobs for page in OTHERS)) == planned


def test_modules_follow_the_style_of_the_project(book):
    files = [name for page in PAGES for name in page.files if name.endswith(".py")]
    ruff = Path(sys.executable).with_name("ruff")
    for check in (("check",), ("format", "--check")):
        done = subprocess.run(
            [ruff, *check, *files], cwd=book.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_examples_are_not_part_of_the_project(repository):
    for page in PAGES:
        assert not [name for name in page.files if (repository / name).exists()]


# --- attack ------------------------------------------------------------------------------------


def test_attack_check_of_the_page(plugins, capsys):
    runpy.run_path("check_mifgsm.py")
    assert "accuracy under attack" in capsys.readouterr().out


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_mifgsm_stays_in_the_ball_and_leaves_no_trace(plugins, norm):
    import torch

    from robustvit.evaluation.checks import check_ball
    from robustvit.evaluation.engine import load_attack

    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(144, 3)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images, seeds = torch.rand(7, 3, 8, 8), torch.arange(7)
    with torch.no_grad():
        labels = model.eval()(images).argmax(1)
    found = {}
    for size in (7, 3):
        run = load_attack("mifgsm").run
        found[size] = run(
            model.train(), images, labels, epsilon=0.1, norm=norm, seeds=seeds, num_classes=3,
            options={"steps": 4}, batch_size=size, report=lambda fraction, note: None,
        )["mifgsm4"]  # fmt: skip
    assert check_ball("mifgsm4", images, found[7], 0.1, norm)["passed"]
    assert not torch.equal(found[7].adversarial, images)
    torch.testing.assert_close(found[7].adversarial, found[3].adversarial, atol=1e-5, rtol=0)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_training_can_attack_with_mifgsm(plugins):
    import torch
    from torch.nn.functional import cross_entropy

    from robustvit.training.contracts import AttackSettings, Batch, LossContext
    from robustvit.training.losses import adversarial

    entry = resolved(plugins, ["mifgsm.yaml"])["experiments"]["mifgsm_trained"]
    chosen = entry["recipe"]["attack"]
    epsilon = entry["threat"]["epsilon_255"] / 255
    step = chosen["step_factor"] * epsilon / chosen["steps"]
    attack = AttackSettings(
        chosen["name"], "linf", epsilon, step, chosen["steps"], chosen["random_start"]
    )
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    batch = Batch(torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 2, 0]), torch.arange(4))
    output = adversarial.compute(batch, LossContext(model, cross_entropy, attack))
    assert output.loss > cross_entropy(model(batch.images), batch.labels)


# --- model -------------------------------------------------------------------------------------


def test_model_check_of_the_page(plugins, capsys):
    runpy.run_path("check_model.py")
    assert "convmixer" in capsys.readouterr().out


def test_models_of_the_settings_build_and_learn(plugins):
    import torch

    from robustvit.config.specs import train_spec
    from robustvit.core.errors import UserError
    from robustvit.models.factory import build_model

    config = resolved(plugins, Page("add_a_model").overlays)
    real = dict.fromkeys(config["datasets"], False)
    for name in ("deit_light", "convmixer_light"):
        spec = train_spec(config, name, real)["model"]
        model = build_model(spec, seed=0)
        model(torch.rand(2, 3, 32, 32)).square().sum().backward()
        assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(UserError, match='Did you mean "depth"'):
        build_model({**spec, "args": {"dept": 3}})


# --- recipe, experiment ------------------------------------------------------------------------


def test_recipe_check_of_the_page(plugins, capsys):
    runpy.run_path("check_recipe.py")
    assert "ema_decay: 0.99" in capsys.readouterr().out


def test_averaged_recipe_averages(plugins):
    import torch

    from robustvit.training.ema import AveragedModel

    recipe = resolved(plugins, ["light_ema.yaml"])["experiments"]["light_ema"]["recipe"]
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average = AveragedModel(model, recipe["ema_decay"])
    torch.nn.init.ones_(model.weight)
    average.update(model)
    assert average.model.weight.item() == pytest.approx(0.01)


def test_experiments_differ_where_the_page_says(plugins):
    config = resolved(plugins, ["mine.yaml"])
    experiments = config["experiments"]
    decay = {name: entry["recipe"] and entry["recipe"]["optimizer"]["weight_decay"]
             for name, entry in experiments.items()}  # fmt: skip
    assert decay["mine"] == 0.1 and decay["demo_light"] == 0.5
    assert decay["decay_wd0.05_seed1"] == 0.05 and decay["decay_wd0.5_seed2"] == 0.5
    assert experiments["decay_wd0.05_seed2"]["seed"] == 2
    assert experiments["mine_eps8"]["eval_threat"]["epsilon_255"] == 8


def test_a_misspelt_override_is_answered_as_the_page_says(plugins):
    from robustvit.core.errors import UserError

    (plugins / "typo.yaml").write_text("experiments: {mine: {overrides: {optimiser: {}}}}\n")
    with pytest.raises(UserError, match='Did you mean "optimizer"'):
        resolved(plugins, ["mine.yaml", "typo.yaml"])


# --- table, figure -----------------------------------------------------------------------------


def write_evaluations(root, names):
    """Invented evaluations, clean and under PGD-10, as `gather_evaluation.py` writes them."""
    for place, name in enumerate(names):
        for protocol, k in (("clean", 30 + place), ("pgd10", 12 + place)):
            path = root / "eval" / name / f"{protocol}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            share = {"value": k / 40, "low": k / 40 - 0.1, "high": k / 40 + 0.1, "k": k, "n": 40}
            record = {"chance": 0.25, "stand_in": True, "clean_top1": share, "robust_top1": share}
            path.write_text(json.dumps(record))
    return root


def test_table_is_made_from_results(plugins, tmp_path):
    from robustvit.config.reports import report_spec, table_spec
    from robustvit.reporting.published import Published
    from robustvit.reporting.results import Results
    from robustvit.reporting.table import build_table, table_csv

    config = resolved(plugins, ["radii.yaml"])
    root = write_evaluations(tmp_path, ["demo_light", "demo_eps8"])
    published = Published.load(plugins / config["paths"]["published"])
    table = build_table(table_spec(config, "radii"), Results(root), published)
    assert [row["experiment"] for row in table["rows"]] == ["demo_light", "demo_eps8"]
    assert table["missing"] == [] and len(table_csv(table).splitlines()) == 1 + 4
    assert table["rows"][0]["cells"][0]["published"]["value"] > 0
    assert report_spec(config)["tables"][-1] == "radii"


def test_figure_is_drawn_from_results(plugins, tmp_path):
    from robustvit.config.reports import figure_spec, report_spec
    from robustvit.reporting.figure import make_figure

    config = resolved(plugins, ["tradeoff.yaml"])
    root = write_evaluations(tmp_path, ["demo_light", "demo_standard"])
    make_figure(figure_spec(config, "tradeoff"), root, tmp_path / "tradeoff")
    with Image.open(tmp_path / "tradeoff.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    assert (tmp_path / "tradeoff.pdf").stat().st_size > 1000
    described = json.loads((tmp_path / "tradeoff.json").read_text())
    assert "demo_light 75.0% and 30.0%" in described["alt"]
    shown = [f["name"] for f in report_spec(config)["figures"] if not f["of_dataset"]]
    assert shown[-1] == "tradeoff"


def test_mistyped_options_are_answered_as_the_page_says(plugins):
    from robustvit.core.errors import UserError

    page = Page("add_a_figure")
    (answers,) = [t for kind, t in page.blocks if kind == "text" and t.startswith("figures.")]
    wrong = ("protocol: [clean]", "protocols: clean", "protocols: [pgd10, clean]")
    for options, answer in zip(wrong, answers.splitlines(), strict=True):
        overlay = f"figures: {{tradeoff: {{options: {{{options}}}}}}}\n"
        (plugins / "typo.yaml").write_text(overlay)
        with pytest.raises(UserError) as caught:
            resolved(plugins, [*page.overlays, "typo.yaml"])
        assert str(caught.value) == answer


def test_asking_a_figure_for_its_files_opens_no_matplotlib(book):
    package = "robustvit.reporting.figures"
    code = f"import sys; from {package} import tradeoff; print('matplotlib' in sys.modules)"
    done = book.python("-c", code)
    assert done.stdout.strip() == "False"


# --- data set ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def eurosat(book):
    """The data set's page followed to its end, with a small archive in the mirror."""
    rng = np.random.default_rng(0)
    (book.folder / "mirror").mkdir()
    with zipfile.ZipFile(book.folder / "mirror" / "EuroSAT_RGB.zip", "w") as archive:
        for name in CLASSES:
            for number in range(1, 13):
                target = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(target, "JPEG")
                archive.writestr(f"EuroSAT_RGB/{name}/{name}_{number}.jpg", target.getvalue())
    for name in BIRDS:
        (book.folder / "mirror" / "birds" / name).mkdir(parents=True)
        for number in range(4):
            path = book.folder / "mirror" / "birds" / name / f"{number}.png"
            Image.fromarray(np.full((40, 50, 3), number, np.uint8)).save(path)
    for program, *arguments in DATASET.commands:
        if program == "python":
            assert book.python(*arguments).returncode == 0
        elif program != "snakemake":
            subprocess.run([program, *arguments], cwd=book.folder, check=True)
    return planned_jobs(book.snakemake(DATASET.overlays, *DATASET.targets))


def test_dataset_is_built_by_the_jobs_that_the_page_names(eurosat):
    assert eurosat == DATASET.jobs


def test_dataset_reads_back(eurosat, plugins, capsys):
    found = runpy.run_path("check_eurosat.py")
    assert found["manifest"]["classes"] == CLASSES
    assert "(64, 64, 3)" in capsys.readouterr().out
    splits = found["manifest"]["splits"]
    assert sum(split["num_examples"] for split in splits.values()) == 120
    assert 8 <= splits["test"]["num_examples"] <= 40
    assert not found["manifest"]["stand_in"] and found["manifest"]["origin"] == "mirror"


def test_own_images_are_built_without_code(eurosat, book):
    path = book.folder / "results" / "demo" / "datasets" / "birds" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest["classes"] == BIRDS
    counts = {name: split["class_counts"] for name, split in manifest["splits"].items()}
    assert counts == {"train": [3, 3, 3], "test": [1, 1, 1]}
    left = (book.folder / "results" / "demo" / "work").rglob("*")
    assert not [path for path in left if path.is_file()]


def test_dataset_can_be_trained_on(eurosat, book):
    target = "results/demo/eval/eurosat_light/clean.json"
    jobs = planned_jobs(book.snakemake(DATASET.overlays, "-n", target))
    assert {job for job in jobs if job[0] != "evaluate_model"} == {
        ("pretrain_model", "eurosat_light"),
        ("gather_evaluation", "eurosat_light", "clean"),
    }


def test_missing_archive_is_explained(plugins, tmp_path):
    from robustvit.core.errors import UserError
    from robustvit.core.plugins import load

    with pytest.raises(UserError, match=r"EuroSAT_RGB\.zip .* mirror/"):
        load("robustvit.data.sources", "eurosat").fetch(["mirror/nowhere"], tmp_path)
