"""Mistakes in a configuration: the path of a key, a wrong value, and parts of the message."""

LIGHT = "experiments/demo_light"
CASES = {
    "unknown top-level key": ("experimets", {}, ["experimets", 'mean "experiments"']),
    "misspelt recipe key": (
        "recipes/light/epoch",
        3,
        ["recipes.light.epoch: unknown key", 'Did you mean "epochs"?'],
    ),
    "misspelt nested key": (
        "recipes/light/optimizer/weight_deacy",
        0.1,
        ["recipes.light.optimizer.weight_deacy", '"weight_decay"'],
    ),
    "wrong type": ("recipes/light/batch_size", "many", ["recipes.light.batch_size", "integer"]),
    "a watch over a training without an attack": (
        "experiments/demo_standard/overrides",
        {"watch": {"steps": 10, "num_examples": 10}},
        ["experiments.demo_standard.overrides.watch", "threat: {norm: linf, epsilon_255: 4}"],
    ),
    "an epoch to keep that never comes": (
        "recipes/demo_light/keep_epochs",
        [2, 9],
        ["recipes.demo_light.keep_epochs", "epoch 9 is to be kept", "ends after 3"],
    ),
    "an epoch whose weights are not kept": (
        "attack_losses/demo_effectiveness/epochs",
        [1, 7],
        ["attack_losses.demo_effectiveness.epochs", "no weights of epoch 7", "keep_epochs: 10"],
    ),
    "unknown control": (
        "semantics/demo_semantics/controls",
        ["random_sings"],
        ["semantics.demo_semantics.controls", "random_sign"],
    ),
    "unknown figure in the gallery": (
        "report/gallery",
        ["demo_perturbations_gallery"],
        ["report.gallery", 'Did you mean "demo_perturbation_gallery"?'],
    ),
    "unknown analysis of losses": (
        "figures/demo_convergence/options",
        {"attack_losses": "demo_convergance"},
        ["figures.demo_convergence.options.attack_losses", '"demo_convergence"'],
    ),
    "unknown model": (
        f"{LIGHT}/model",
        "xcit_demo_p88",
        ["experiments.demo_light.model", 'unknown model "xcit_demo_p88"', '"xcit_demo_p8"'],
    ),
    "unknown data set": (
        f"{LIGHT}/dataset",
        "demo_imagenet",
        ["experiments.demo_light.dataset", "unknown dataset", "demo_imagenet4"],
    ),
    "unknown recipe": (
        f"{LIGHT}/recipe",
        "demo_lihgt",
        ["experiments.demo_light.recipe", 'Did you mean "demo_light"?'],
    ),
    "unknown protocol": (
        f"{LIGHT}/evaluate",
        ["autoatack"],
        ["experiments.demo_light.evaluate", 'Did you mean "autoattack"?'],
    ),
    "unknown initial experiment": (
        "experiments/demo_cifar10/init",
        {"experiment": "demo_esp8"},
        ["experiments.demo_cifar10.init.experiment", 'Did you mean "demo_eps8"?'],
    ),
    "a source in the place of the archives that are fetched": (
        "datasets/mine",
        {
            "label": "Mine",
            "builder": "image_folder",
            "source": "downloads",
            "num_classes": 2,
            "image_size": 32,
            "train_split": "train",
            "eval_split": "test",
        },
        ["datasets.mine.source: ", '"downloads"', "downloads_images"],
    ),
    "unknown plug-in": (
        "models/xcit_demo_p8/family",
        "xcitt",
        ["models.xcit_demo_p8.family", 'Did you mean "xcit"?'],
    ),
    "unknown loss": ("recipes/light/loss/name", "trade", ["recipes.light.loss", '"trades"']),
    "unknown loss of an experiment": (
        f"{LIGHT}/overrides",
        {"loss": {"name": "trade"}},
        ["experiments.demo_light.overrides.loss", '"trades"'],
    ),
    "misspelt option of an attack": (
        "protocols/autoattack/options",
        {"iteration": 5},
        ["protocols.autoattack.options", 'Did you mean "iterations"?'],
    ),
    "no step at all": (
        "protocols/pgd10/options/steps",
        0,
        ["protocols.pgd10.options.steps", "whole number above zero"],
    ),
    "half an iteration": (
        "protocols/autoattack/options/iterations",
        2.5,
        ["protocols.autoattack.options.iterations", "whole number above zero"],
    ),
    "negative step": (
        "protocols/pgd10/options/step_factor",
        -1.5,
        ["protocols.pgd10.options.step_factor", "above zero"],
    ),
    "unknown engine": (
        "protocols/autoattack/options",
        {"engine": "faster"},
        ["protocols.autoattack.options.engine", 'Did you mean "fast"?'],
    ),
    "misspelt option of an analysis": (
        "semantics/demo_semantics/options",
        {"step": 5},
        ["semantics.demo_semantics.options", 'Did you mean "steps"?'],
    ),
    "misspelt monitoring": (
        "monitoring/tensorbord",
        True,
        ["monitoring.tensorbord: unknown key", 'Did you mean "tensorboard"?'],
    ),
    "rows without steps between them": ("monitoring/every_steps", 0, ["monitoring.every_steps"]),
    "W&B without a project": (
        "monitoring/wandb",
        {"entity": "my-team"},
        ["monitoring.wandb", "'project' is a required property"],
    ),
    "unknown optimiser": (
        "recipes/light/optimizer/name",
        "adamww",
        ["recipes.light.optimizer.name", 'Did you mean "adamw"?'],
    ),
    "steps of a schedule without their epochs": (
        "recipes/light/schedule/name",
        "multistep",
        ["recipes.light.schedule.decay_epochs", "[30, 60, 90]"],
    ),
    "attack that cannot train": (
        "recipes/light/attack/name",
        "autoattack",
        ["recipes.light.attack.name", "fgsm, pgd"],
    ),
    "fgsm of several steps": (
        f"{LIGHT}/overrides",
        {"attack": {"name": "fgsm", "steps": 10}},
        ["experiments.demo_light.overrides.attack.steps", "takes 1 step, not 10"],
    ),
    "target of TRADES": (
        "recipes/finetune_cifar/attack/targeted",
        True,
        ["recipes.finetune_cifar.attack.targeted", "the loss adversarial"],
    ),
    "misspelt section of RandAugment": (
        "recipes/canonical/augmentation/randaugment",
        "rand-m9-std0.5",
        ["recipes.canonical.augmentation.randaugment", "rand-m9-mstd0.5-inc1"],
    ),
    "option of a loss with the name of a key": (
        "recipes/light/loss/options",
        {"beta": 5.0},
        ["recipes.light.loss.options", "beta"],
    ),
    "layers that learn faster below": (
        "recipes/light/optimizer/layer_decay",
        1.5,
        ["recipes.light.optimizer.layer_decay", "1.5"],
    ),
    "unknown source": (
        "datasets/cifar10/source",
        "cifar01",
        ["datasets.cifar10.source", '"cifar10"'],
    ),
    "unknown kind of table": (
        "tables/table5/kind",
        "evaluations",
        ["tables.table5.kind", 'Did you mean "evaluation"?'],
    ),
    "unknown experiment of a figure": (
        "figures/demo_ablation/options/experiments",
        ["demo_lihgt"],
        ["figures.demo_ablation.options.experiments", 'Did you mean "demo_light"?'],
    ),
    "unknown data set of a figure": (
        "figures/sheet",
        {"kind": "contact_sheet", "title": "", "caption": "", "options": {"datasets": ["cifar11"]}},
        ["figures.sheet.options.datasets", 'Did you mean "cifar10"?'],
    ),
    "figure with the name of one that every data set has": (
        "figures/cifar10_images",
        {"kind": "contact_sheet", "title": "", "caption": "", "options": {}},
        ["figures.cifar10_images", "my_cifar10_images"],
    ),
    "unknown analysis of a figure": (
        "figures/demo_perturbations/options/semantics",
        "demo_semantic",
        ["figures.demo_perturbations.options.semantics", 'Did you mean "demo_semantics"?'],
    ),
    "unknown attack of a recipe": (
        "recipes/light/attack/name",
        "pdg",
        ["recipes.light.attack", 'Did you mean "pgd"?'],
    ),
    "unknown attack of an analysis": (
        "semantics/demo_semantics/attack",
        "pdg",
        ["semantics.demo_semantics.attack", 'Did you mean "pgd"?'],
    ),
    "module that is no attack": (
        "protocols/pgd10/attack",
        "outcome",
        ["protocols.pgd10.attack", "unknown"],
    ),
    "part of an epoch": ("recipes/light/epochs", 1.5, ["recipes.light.epochs", "integer"]),
    "negative radius": (
        f"{LIGHT}/threat",
        {"norm": "linf", "epsilon_255": -4},
        ["experiments.demo_light.threat", "-4"],
    ),
    "radius beyond the pixel range": (
        f"{LIGHT}/threat",
        {"norm": "linf", "epsilon_255": 300},
        ["experiments.demo_light.threat.epsilon_255: 300", "the pixel range, 255"],
    ),
    "radius in pixel units": (
        f"{LIGHT}/threat",
        {"norm": "linf", "epsilon_255": 0.0314},
        ["experiments.demo_light.threat.epsilon_255", "write 8.01", "1/255"],
    ),
    "L2 radius in pixel units": (
        f"{LIGHT}/threat",
        {"norm": "l2", "epsilon_255": 0.5},
        ["experiments.demo_light.threat.epsilon_255", "L2", "write 127.5"],
    ),
    "adversarial recipe without a threat": (
        f"{LIGHT}/threat",
        None,
        ["experiments.demo_light.threat", "epsilon_255: 4"],
    ),
    "unknown table": ("report/tables", ["demo_recipe"], ["report.tables", '"demo_recipes"']),
    "unknown figure": ("report/figures", ["rule_grahp"], ["report.figures", '"rule_graph"']),
    "unknown kind of mirror": (
        "paths/mirror",
        ["mirror", "azure://container/x"],
        ["paths.mirror", "azure://container/x", "gs://bucket/folder"],
    ),
    "data set without statistics": (
        "experiments/demo_flowers/recipe",
        "demo_finetune_cifar",
        ["datasets.demo_flowers.normalization", "Example"],
    ),
    "neither recipe nor weights": (
        "experiments/new",
        {"label": "New", "model": "xcit_demo_p8", "dataset": "cifar10"},
        ["experiments.new", "recipe: light"],
    ),
    "unknown set of synthetic images": (
        f"{LIGHT}/synthetic",
        {"dataset": "cifar_dppm", "ratio": 0.5},
        ["experiments.demo_light.synthetic.dataset", 'Did you mean "cifar_ddpm"?'],
    ),
    "share of synthetic images in percent": (
        f"{LIGHT}/synthetic",
        {"dataset": "cifar_ddpm", "ratio": 50},
        ["experiments.demo_light.synthetic", "50"],
    ),
    "synthetic images of other classes": (
        f"{LIGHT}/synthetic",
        {"dataset": "cifar_ddpm", "ratio": 0.5},
        ["experiments.demo_light.synthetic.dataset", "10 classes", "demo_imagenet4 has 4"],
    ),
    "unknown set between epochs": (
        f"{LIGHT}/monitor_dataset",
        "cifar01",
        ["experiments.demo_light.monitor_dataset", 'Did you mean "cifar10"?'],
    ),
    "misspelt key in a thesis part": (
        "experiments/xcit_m12_light/thesis/override",
        {},
        ["experiments.xcit_m12_light.thesis.override: unknown key", '"overrides"'],
    ),
    "misspelt key in a sweep": (
        "sweeps/weight_decay/axes/weight_decay/0/overides",
        {},
        ["sweeps.weight_decay.axes.weight_decay.0.overides: unknown key", '"overrides"'],
    ),
    "cell that is no combination": (
        "sweeps/weight_decay/cells/0.05_adverserial",
        {"seed": 1},
        ["sweeps.weight_decay.cells", 'Did you mean "0.05_adversarial"?'],
    ),
    "sweep over nothing": (
        "sweeps/weight_decay/axes",
        {},
        ["sweeps.weight_decay.axes", "Axis to its values"],
    ),
    "address of an unknown kind": (
        "checkpoints/cifar10_resnet18/url",
        "ftp://example.org/model.pth",
        ["checkpoints.cifar10_resnet18.url", "mirror:xcit_s12_imagenet_eps4.pth.tar"],
    ),
    "quoted row of an unknown protocol": (
        "tables/table5/rows",
        [{"label": "Others", "published": {"autoatack": "x"}}],
        ['tables.table5.rows "Others".published', 'Did you mean "autoattack"?'],
    ),
    "contradiction that says neither what it chooses nor what is done": (
        "differences",
        [{"item": 1, "about": "x", "thesis": "y", "code": "z"}],
        ["differences.0"],
    ),
    "shards of an unknown set": (
        "protocols/autoattack/shards",
        {"imagenet_rb5": 20, "default": 40},
        ["protocols.autoattack.shards", 'Did you mean "imagenet_rb5k"?'],
    ),
    "both recipe and weights": (
        f"{LIGHT}/weights",
        {"checkpoint": "cifar10_resnet18"},
        ["experiments.demo_light", "both"],
    ),
}
