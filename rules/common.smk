"""Functions that the rules share: the resolved configuration, paths, and what a stage reads."""

import gc
import inspect
import json
import os
import sys
from functools import cache
from pathlib import Path
from shlex import quote

# A plan of ten thousands of jobs makes millions of objects and no garbage to speak of; looking
# through them all again and again costs an eighth of its time.
gc.set_threshold(200_000, 50, 100)
SCRIPTS = Path(workflow.basedir) / "scripts"
sys.path.insert(0, str(SCRIPTS))

from robustvit.config import (
    analysis_specs,
    dataset_check,
    inputs,
    reports,
    robustbench_export,
    specs,
)
from robustvit.config.claims import claims_spec
from robustvit.config.dataset_figures import dataset_figures
from robustvit.config.devices import TPU_DEVICES, stage_devices
from robustvit.config.report_jobs import shard_count
from robustvit.config.published_links import check_published
from robustvit.config.resolve import resolve
from robustvit.core.cli import pack_spec
from robustvit.core.errors import UserError, unknown_name
from robustvit.core.sources import code_digest, code_inputs
from robustvit.reporting.claims import claims_files
from robustvit.reporting.published import Published


def resolve_or_stop(settings):
    """Resolve the configuration; a mistake in it ends the run with its message alone."""
    try:
        resolved = resolve(settings)
        check_published(resolved, Published.load(resolved["paths"]["published"]))
        inputs.stand_in_datasets(resolved)  # may have to ask a bucket, which may refuse
        return resolved
    except UserError as error:
        raise WorkflowError(str(error)) from None


CONFIG = resolve_or_stop(config)
SOURCES = f"{CONFIG['paths']['results']}/sources"
FIRST_USES = f"{CONFIG['paths']['results']}/first_uses"  # hashes of checkpoints, for all runs
R = f"{CONFIG['paths']['results']}/{CONFIG['name']}"
EXPERIMENTS = CONFIG["experiments"]
EXPORTED = robustbench_export.exported_experiments(CONFIG, EXPERIMENTS)
PROCESSES, NODES = (CONFIG["compute"]["training"][key] for key in ("processes", "nodes"))
DEVICES = stage_devices(CONFIG["compute"])
# Settings that change the speed and never a result reach the jobs as variables: as parameters they
# would rerun everything when they change.
os.environ.update(
    **{f"ROBUSTVIT_{stage.upper()}_DEVICE": device for stage, device in DEVICES.items()},
    ROBUSTVIT_PROCESSES=str(PROCESSES),
    ROBUSTVIT_NODES=str(NODES),
    ROBUSTVIT_BATCH_SIZE=str(CONFIG["compute"]["batch_size"]),
    ROBUSTVIT_WORKERS=str(CONFIG["compute"]["workers"]),
    ROBUSTVIT_MONITORING=json.dumps({**CONFIG["monitoring"], "folder": R}),
    ROBUSTVIT_CONFIGFILES=os.pathsep.join(
        os.path.relpath(path) for path in workflow.overwrite_configfiles
    ),
)
RULE_FILES = [
    "Snakefile",
    *sorted(f"rules/{path.name}" for path in (SCRIPTS.parent / "rules").glob("*.smk")),
]
STAND_IN = inputs.stand_in_datasets(CONFIG)
IMAGE = "containers/robustvit.sif"


def image_of_jobs():
    """The container image that jobs run in, or nothing: docs/containers.md."""
    if "apptainer" not in {str(m) for m in workflow.deployment_settings.deployment_method}:
        return None
    if not Path(IMAGE).exists():
        raise WorkflowError(
            f"--software-deployment-method apptainer: there is no container image {IMAGE}. "
            f"Build it: apptainer build {IMAGE} containers/robustvit.def; or link one: "
            f"ln -s /path/to/robustvit.sif {IMAGE}"
        )
    return IMAGE


def known(function):
    """The function with its signature, which Snakemake else looks up many times for each job."""
    function.__signature__ = inspect.signature(function)
    return function


@cache  # thousands of jobs share a few lists
def code(script, *plugins):
    """The package files that a script needs, relative to the working directory."""
    own = str(SCRIPTS / script)
    return [os.path.relpath(path) for path in code_inputs(script, plugins) if path != own]


@cache
def code_hash(script, *plugins):
    """The content of those files as a parameter: a change reruns a stage as `code` would.

    Snakemake spends milliseconds of every plan on each input of each job, so a rule with tens of
    thousands of jobs has this in place of fifty inputs.
    """
    return code_digest(script, plugins)


@known
def more_memory(wildcards, attempt):
    """Memory of a job of training or evaluation in MB: a retry asks for as much again."""
    own = CONFIG["compute"]["memory_mb"]
    return (16000 if own == "auto" else own) * attempt


def names_regex(names):
    """A regular expression that matches exactly these names, or nothing if there are none."""
    return "|".join(sorted(names)) or "(?!)"


def spec_of(build, *keys):
    """A parameter function: one canonical JSON object with what the stage needs, no more."""

    def params(wildcards):
        values = [wildcards[key] for key in keys]
        return specs.to_json(build(*values))

    return known(params)


def source_json(dataset):
    """The file that says where the data set's original archive lies."""
    source = CONFIG["datasets"][dataset]["source"]
    if STAND_IN[dataset]:
        return f"{R}/stand_ins/{source}/source.json"
    return f"{SOURCES}/{source}/source.json"


def manifest(dataset):
    """The manifest of a built data set."""
    return f"{R}/datasets/{dataset}/manifest.json"


def synthetic_manifest(wildcards):
    """The manifest of the synthetic images that a training mixes in; nothing for most."""
    mixed = EXPERIMENTS[wildcards.experiment]["synthetic"]
    return manifest(mixed["dataset"]) if mixed else []


def synthetic_flag(wildcards, input):
    """The option that hands the synthetic images to a training."""
    return f"--synthetic-dataset {quote(input.synthetic)}" if input.synthetic else ""


def monitored_manifest(wildcards):
    """The manifest of the data set that a training is evaluated on between its epochs."""
    return manifest(EXPERIMENTS[wildcards.experiment]["monitor_dataset"])


def weights_of(kind, name):
    """The weights of an experiment or of a checkpoint."""
    folder = "train" if kind == "experiment" else "checkpoints"
    return f"{R}/{folder}/{name}/weights.safetensors"


def evaluated_weights(name):
    """The weights that experiment `name` evaluates, its own or another's."""
    return weights_of(*specs.weights_owner(CONFIG, name))


def initial_weights(wildcards):
    """The weights that fine-tuning starts from."""
    kind, name = next(iter(EXPERIMENTS[wildcards.experiment]["init"].items()))
    return evaluated_weights(name) if kind == "experiment" else weights_of(kind, name)


@known
def evaluation_manifest(wildcards):
    """The manifest of the data set that an experiment is evaluated on."""
    for kind, names in (("experiment", EXPERIMENTS), ("protocol", CONFIG["protocols"])):
        if wildcards[kind] not in names:
            raise WorkflowError(str(unknown_name(kind, wildcards[kind], names)))
    return manifest(EXPERIMENTS[wildcards.experiment]["eval_dataset"])


@known
def evaluation_weights(wildcards):
    """The weights that an experiment evaluates."""
    return evaluated_weights(wildcards.experiment)


def shard_files(wildcards):
    """The shards that a gathered evaluation is put together from."""
    count = shard_count(CONFIG, wildcards.experiment, wildcards.protocol)
    folder = f"{R}/eval/{wildcards.experiment}/shards/{wildcards.protocol}"
    return [f"{folder}/{index}-of-{count}.parquet" for index in range(count)]


def evaluations(names):
    """The gathered evaluations of these experiments."""
    return [
        f"{R}/eval/{name}/{protocol}.json"
        for name in names
        for protocol in EXPERIMENTS[name]["evaluate"]
    ]


def classifications(analysis, *suffixes):
    """What an analysis' classifiers say about its generators' perturbations."""
    entry = CONFIG["semantics"][analysis]
    return [
        f"{R}/semantics/{analysis}/{generator}/{classifier}.{suffix}"
        for generator in entry["generators"]
        for classifier in entry["classifiers"]
        for suffix in suffixes
    ]


def exported_evaluation(wildcards):
    """The evaluation that is exported to RobustBench's format."""
    protocol = robustbench_export.exported_protocol(CONFIG, wildcards.experiment)
    return f"{R}/eval/{wildcards.experiment}/{protocol}.json"


def adversarial_sets(names):
    """The adversarial images of these experiments, where a protocol keeps them."""
    return [
        f"{R}/eval/{name}/adversarial/{protocol}/manifest.json"
        for name in names
        for protocol in EXPERIMENTS[name]["evaluate"]
        if CONFIG["protocols"][protocol].get("save_adversarial")
    ]


def train_code(wildcards):
    """Source files that decide an experiment's weights."""
    return code("train_model.py", *inputs.training_plugins(CONFIG, wildcards.experiment))


@cache  # its shards share one
def evaluate_hash(experiment, protocol):
    """The source files that decide an evaluation's rows, as one hash."""
    plugins = inputs.evaluation_plugins(CONFIG, experiment, protocol)
    return code_hash("evaluate_model.py", *plugins)


@known
def evaluate_code(wildcards):
    """Parameter function of `evaluate_hash`."""
    return evaluate_hash(wildcards.experiment, wildcards.protocol)


def table_files(name):
    """What a table reads."""
    return [f"{R}/{path}" for path in inputs.table_inputs(CONFIG, name)]


def claim_files():
    """What the report's claims rest on."""
    return [f"{R}/{path}" for path in claims_files(claims_spec(CONFIG))]


def figure_files(name):
    """What a figure reads."""
    options = reports.figure_options(CONFIG, name)
    return [f"{R}/{path}" for path in inputs.figure_inputs(CONFIG, name, options)]


def table_results(suffix):
    """The tables of the report."""
    return [f"{R}/tables/{name}.{suffix}" for name in CONFIG["report"]["tables"]]


def figure_results(suffix):
    """The figures of the report, those of its data sets among them, and the page's gallery."""
    shown = [*inputs.report_figures(CONFIG), *CONFIG["report"]["gallery"]]
    return [f"{R}/figures/{name}.{suffix}" for name in dict.fromkeys(shown)]


def price_files():
    """What the report's estimate of energy, CO2 and money rests on."""
    site = CONFIG["plan"]["site"]
    return ["planning/prices.yaml", *([site] if site else [])]


def figure_category(wildcards):
    """The part of the HTML report that a figure belongs to."""
    if wildcards.figure in CONFIG["report"]["gallery"]:
        return "Gallery"
    return "Figures" if wildcards.figure in CONFIG["report"]["figures"] else "Data sets"


# Where Snakemake is asked to run jobs in containers; else it would cost time for each job of a plan.
if image_of_jobs():

    container: image_of_jobs()
