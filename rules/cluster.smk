"""What jobs ask a cluster for: GPUs, partition, time and memory.

A profile for a cluster names its site file in ROBUSTVIT_CLUSTER; without one the rules' own values
hold.
"""

from robustvit.cluster import checks, demands, requests
from robustvit.cluster.requeue import VARIABLE as REQUEUE_VARIABLE
from robustvit.cluster.site import ACTIVE, load_site

SITE = load_site(Path(os.environ[ACTIVE])) if ACTIVE in os.environ else None
if SITE and SITE["queue"]["small_jobs"] == "here":

    # Seconds each: the queue, and two Snakemakes around each, would take longer.
    localrules:
        compare_classifications,
        export_robustbench,
        gather_evaluation,
        make_figure,
        make_table,
        take_epoch,


@cache
def all_demands():
    """Time and memory of the long jobs; a mistake ends the run with its message alone.

    Not before they are asked for: Snakemake knows by then whether this is a dry run, which does
    without what takes ten seconds.
    """
    try:
        device = SITE["gpu"]["device"]
        return demands.load_demands(CONFIG, STAND_IN, device, compute=not workflow.dryrun)
    except UserError as error:
        raise WorkflowError(f"{error}\nThe site file {os.environ[ACTIVE]}: gpu.device") from None


if SITE:
    os.environ[REQUEUE_VARIABLE] = "1"  # a training may queue its own job again
SHARDS_PER_JOB = SITE["queue"]["shards_per_job"] if SITE else 1


def check_cluster():
    """Stop before the first job if the site file does not fit the cluster."""
    if SITE and SITE["check"]:
        try:
            wanted = checks.config_requests(CONFIG, SITE)
            for warning in checks.check_site(SITE, wanted, os.getcwd()):
                logger.warning(warning)
        except UserError as error:
            raise WorkflowError(f"{os.environ[ACTIVE]}: {error}") from None


def submits_jobs():
    """Whether anything of this run leaves this machine; a plan of costs, for instance, does not."""
    return not all(job.is_local for job in workflow.dag.needrun_jobs())


onstart:
    if submits_jobs():
        check_cluster()
        check_tpus()


# First words of keys of estimates, and the parts of `compute` that say where those jobs run.
STAGE_OF = {
    "train": "training",
    "evaluate": "evaluation",
    "perturb": "semantics",
    "classify": "semantics",
    "gradients": "gradients",
    "losses": "evaluation",
}


def demanded(key, wildcards):
    """The estimate of one job; empty if there is none."""
    return all_demands().get(key.format(**wildcards), {})


def gpu_job(key, minutes, per_node=1, nodes=1, training=False, shares=1):
    """Resources of a job that trains or evaluates.

    `key` names its estimate (robustvit.cluster.demands), with wildcards in braces; `minutes` is the
    time limit where there is none. `shares` jobs at most share the time limit of one.
    """
    own_memory = CONFIG["compute"]["memory_mb"]
    if not SITE:
        gpus = per_node * nodes if DEVICES[STAGE_OF[Path(key).parts[0]]] in ("auto", "cuda") else 0
        return {"mem_mb": more_memory, "runtime": minutes, "gpu": gpus}

    @known
    def runtime(wildcards, attempt):
        wanted = demanded(key, wildcards).get("minutes")
        return requests.time_limit(SITE, "gpu", wanted, minutes, shares)(attempt)

    @known
    def memory(wildcards, attempt):
        wanted = demanded(key, wildcards).get("memory_mb", requests.UNKNOWN_MB)
        return requests.memory(SITE, wanted if own_memory == "auto" else own_memory)(attempt)

    return {
        "mem_mb": memory,
        "runtime": runtime,
        "in_turn": 1,
        "slurm_extra": requests.extra_options(SITE, training, per_node, nodes),
        **requests.gpu_resources(SITE, per_node, nodes),
        **requests.gpu_partition(SITE),
        **requests.several_nodes(nodes),
    }


def cpu_job(key, minutes, megabytes):
    """Resources of a long job of the host."""
    if not SITE:
        return {"mem_mb": megabytes, "runtime": minutes}

    @known
    def runtime(wildcards, attempt):
        wanted = demanded(key, wildcards).get("minutes")
        return requests.time_limit(SITE, "cpu", wanted, minutes)(attempt)

    @known
    def memory(wildcards, attempt):
        return requests.memory(SITE, megabytes, "cpu")(attempt)

    return {"mem_mb": memory, "runtime": runtime, "slurm_extra": requests.extra_options(SITE)}
