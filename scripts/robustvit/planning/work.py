"""What each job of a run demands: seconds, devices, and what it loads and leaves on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from robustvit.config import specs
from robustvit.planning.facts import Facts
from robustvit.planning.images import Images
from robustvit.planning.jobs import Job
from robustvit.planning.models import model_cost
from robustvit.planning.passes import Standing, evaluation, monitored, training_step, watched
from robustvit.planning.ranges import ZERO, Range, exactly, read_range
from robustvit.planning.rates import Rates
from robustvit.reporting.published import Published
from robustvit.training.schedules import kept_epochs, total_epochs

LOSS_BYTES = 12  # of an image, number of steps and repetition in a file of losses
ROW_BYTES = 120  # of an example and attack in an evaluation's file
MB, GB = 1e6, 1e9


@dataclass(frozen=True)
class Work:
    """One job's demands.

    Attributes:
        seconds: wall time on `devices` devices (or on one processor core).
        devices: accelerators that it holds; 0 for a job of the host.
        disk: gigabytes that it leaves.
        network: gigabytes that it loads from elsewhere.
        basis: what its time rests on.
    """

    seconds: Range
    devices: int = 0
    disk: float = 0.0
    network: float = 0.0
    basis: str = "measured start of a job"


class Planner:
    """Works out the demands of jobs.

    Args:
        config: resolved configuration.
        facts: measured speeds and prices.
        device: what trainings and evaluations run on.
        stand_in: for each data set, whether it is built from a stand-in.
    """

    def __init__(
        self, config: Mapping, facts: Facts, device: str, stand_in: Mapping[str, bool]
    ) -> None:
        self.config, self.facts, self.stand_in = config, facts, stand_in
        self.rates, self.on_cpu = Rates(facts, device), device == "cpu-core"
        root = Path(config["paths"]["results"]) / config["name"]
        self.images = Images(config, facts.benchmarks["sources"], stand_in, root)
        self.published = Published.load(config["paths"]["published"])
        training = config["compute"]["training"]
        self.shared = training["processes"] * training["nodes"]
        self._kinds: dict[str, Callable[[Mapping], Work]] = {
            "pretrain_model": self._train,
            "finetune_model": self._train,
            "evaluate_model": self._evaluate,
            "make_perturbations": self._perturb,
            "classify_perturbations": self._classify,
            "accumulate_gradients": self._accumulate,
            "measure_losses": self._losses,
            "build_dataset": self._build,
            "fetch_source": self._fetch,
            "import_checkpoint": self._import,
        }

    def work(self, job: Job) -> Work:
        """The demands of a job; one of an unknown kind is taken for a short job of the host."""
        kind = self._kinds.get(job.rule)
        found = kind(job.wildcards) if kind else Work(ZERO)
        start = self.start(job.rule)
        if found.devices and not self.on_cpu:
            start = start + read_range(self.facts.benchmarks["cluster_seconds"], "cluster_seconds")
        return Work(found.seconds + start, found.devices, found.disk, found.network, found.basis)

    def start(self, rule: str) -> Range:
        """Seconds of a job that are no work on images."""
        known = self.facts.benchmarks["start_seconds"]
        return exactly(float(known["rules"].get(rule, known["others"])))

    def _train(self, wildcards: Mapping) -> Work:
        name = wildcards["experiment"]
        entry = self.config["experiments"][name]
        recipe, model = entry["recipe"], specs.model_spec(self.config, name)
        cost, rate = model_cost(model), self.rates.rate(model, recipe["precision"])
        images, seen = self._training_images(entry, recipe)
        passes = images * training_step(recipe, cost) + seen * monitored(recipe, cost)
        kept = len(kept_epochs(recipe, total_epochs(recipe)))
        if recipe["watch"]:
            times = math.ceil(total_epochs(recipe) / recipe["evaluate_every"])
            passes += times * recipe["watch"]["num_examples"] * watched(recipe, cost)
        seconds = self._with_loading(rate.seconds * passes, images + seen, model["image_size"])
        if self.shared > 1:
            seconds = _divide(seconds, self.facts.price("shared_efficiency") * self.shared)
        # Kept: weights; while it runs also model, optimiser's two moments and the best one so far.
        return Work(
            seconds, self.shared, (5 + 2 * kept) * 4 * cost.parameters / GB, 0.0, rate.basis
        )

    def _training_images(self, entry: Mapping, recipe: Mapping) -> tuple[float, float]:
        """Images trained on and evaluated in all epochs."""
        epochs, augmentation = total_epochs(recipe), recipe["augmentation"]
        whole = self.images.count(entry["dataset"], "train")
        if entry["synthetic"]:
            whole /= 1.0 - entry["synthetic"]["ratio"]
        each = min(recipe["max_train_examples"] or whole, whole)
        views = (augmentation.get("views") or 1) * (augmentation.get("repeats") or 1)
        evaluated = self.images.evaluated(entry["monitor_dataset"], recipe["evaluate_examples"])
        times = math.ceil(epochs / recipe["evaluate_every"])
        return epochs * each * views, times * evaluated

    def _with_loading(self, seconds: Range, images: float, size: int) -> Range:
        """Training beside (or on a processor: after) the reading of its images."""
        speeds = self.facts.benchmarks["host"]["load_images_per_second"]
        nearest = min(speeds, key=lambda side: abs(int(side) - size))
        workers = 1 if self.on_cpu else max(self.config["compute"]["workers"], 1) * self.shared
        loading = exactly(images / (speeds[nearest]["value"] * workers))
        return seconds + loading if self.on_cpu else seconds.at_least(loading)

    def _evaluate(self, wildcards: Mapping) -> Work:
        name, protocol = wildcards["experiment"], wildcards["protocol"]
        chosen = self.config["protocols"][protocol]
        model = specs.model_spec(self.config, name)
        cost, rate = model_cost(model), self.rates.rate(model, "float32")
        entry = self.config["experiments"][name]
        wanted = specs.num_examples(self.config, name, protocol)
        count = self.images.evaluated(entry["eval_dataset"], wanted)
        images = math.ceil(count / int(wildcards["shards"]))
        passes = evaluation(
            chosen["attack"], chosen.get("options", {}), model["num_classes"], cost,
            self._standing(entry, protocol),
        )  # fmt: skip
        if chosen.get("options", {}).get("engine") == "fast":
            passes = passes * self.facts.price("fast_engine_factor")
        disk = images * ROW_BYTES / GB
        if chosen.get("save_adversarial"):
            disk += 4 * images * model["image_size"] ** 2 * 3 / GB
        return Work(rate.seconds * passes * images, 1, disk, 0.0, rate.basis)

    def _standing(self, entry: Mapping, protocol: str) -> Standing:
        """Published accuracies where there are some, else the assumed ranges."""
        return Standing(
            self._share(entry, "clean", "clean_share"),
            self._share(entry, protocol, "robust_share"),
        )

    def _share(self, entry: Mapping, protocol: str, assumed: str) -> Range:
        keys = entry["published"].get(protocol) or []
        values = [self.published.entries[key].value / 100 for key in keys]
        if not values:
            return self.facts.price(assumed)
        return Range(min(values), sum(values) / len(values), max(values))

    def _perturb(self, wildcards: Mapping) -> Work:
        entry = self.config["semantics"][wildcards["analysis"]]
        model = specs.model_spec(self.config, wildcards["generator"])
        cost, rate = model_cost(model), self.rates.rate(model, "float32")
        images = self.images.evaluated(entry["dataset"], entry.get("num_examples"))
        steps = entry.get("options", {}).get("steps", 100)
        disk = images * model["image_size"] ** 2 * 3 / GB
        seconds = rate.seconds * (images * steps * cost.attack)
        return Work(seconds, 1, disk, 0.0, rate.basis)

    def _classify(self, wildcards: Mapping) -> Work:
        entry = self.config["semantics"][wildcards["analysis"]]
        rate = self.rates.rate(specs.model_spec(self.config, wildcards["classifier"]), "float32")
        images = self.images.evaluated(entry["dataset"], entry.get("num_examples"))
        images *= 1 + len(entry.get("controls", []))
        return Work(rate.seconds * images, 1, images * ROW_BYTES / GB, 0.0, rate.basis)

    def _accumulate(self, wildcards: Mapping) -> Work:
        entry = self.config["gradients"][wildcards["analysis"]]
        model = specs.model_spec(self.config, wildcards["experiment"])
        cost, rate = model_cost(model), self.rates.rate(model, "float32")
        passes = len(entry["targets"]) * entry.get("steps", 100) * cost.attack
        return Work(rate.seconds * passes, 1, 0.0, 0.0, rate.basis)

    def _losses(self, wildcards: Mapping) -> Work:
        entry = self.config["attack_losses"][wildcards["analysis"]]
        model = specs.model_spec(self.config, wildcards["experiment"])
        cost, rate = model_cost(model), self.rates.rate(model, "float32")
        images = self.images.evaluated(entry["dataset"], entry.get("num_examples"))
        images = entry.get("only_correct") or images
        steps = entry["steps"]
        attacked = (max if entry.get("step_for") else sum)(steps) * cost.attack + len(steps)
        repeated = images * entry.get("seeds", 1)
        disk = repeated * len(steps) * LOSS_BYTES / GB
        return Work(rate.seconds * (repeated * attacked), 1, disk, 0.0, rate.basis)

    def _build(self, wildcards: Mapping) -> Work:
        dataset = wildcards["dataset"]
        speed = self.facts.benchmarks["host"]["build_images_per_second"]["value"]
        gigabytes = self.images.gigabytes(dataset)
        writing = _hours(gigabytes, self.facts.price("disk_gb_per_hour"))
        seconds = exactly(self.images.total(dataset) / speed).at_least(writing)
        return Work(seconds, disk=gigabytes, basis="measured images/s, assumed disk")

    def _fetch(self, wildcards: Mapping) -> Work:
        """A download, unless a mirror has the archive."""
        from robustvit.data.archives import find_in_mirrors

        source = wildcards["source"]
        if find_in_mirrors(source, self.config["paths"]["mirror"]):
            return Work(ZERO, basis="in a mirror")
        gigabytes = self.facts.benchmarks["sources"].get(source, {}).get("gigabytes", 0.0)
        seconds = _hours(gigabytes, self.facts.price("download_gb_per_hour"))
        return Work(seconds, disk=gigabytes, network=gigabytes, basis="assumed network")

    def _import(self, wildcards: Mapping) -> Work:
        model = specs.checkpoint_model(self.config, wildcards["checkpoint"])
        size = 4 * model_cost(model).parameters / GB
        url = self.config["checkpoints"][wildcards["checkpoint"]].get("url") or ""
        loaded = size if url.startswith("http") else 0.0
        return Work(_hours(loaded, self.facts.price("download_gb_per_hour")), 0, size, loaded)


def _hours(gigabytes: float, per_hour: Range) -> Range:
    return _divide(exactly(3600 * gigabytes), per_hour)


def _divide(value: Range, by: Range) -> Range:
    return Range(value.low / by.high, value.expected / by.expected, value.high / by.low)
