"""From raw image archives to a PDF on adversarially robust Vision Transformers.

`snakemake --profile demo` makes the demo, `--profile slurm` or `--profile tpu` the paper. Settings
come from workflow_config.yaml and from the overlays that a profile names (docs/configuration.md).
"""

from snakemake.utils import min_version

min_version("9.0")


configfile: "workflow_config.yaml"


include: "rules/common.smk"
include: "rules/cluster.smk"
include: "rules/data.smk"
include: "rules/pretrain.smk"
include: "rules/finetune.smk"
include: "rules/evaluate.smk"
include: "rules/semantics.smk"
include: "rules/analyses.smk"
include: "rules/report.smk"
include: "rules/plan.smk"
include: "rules/targets.smk"
include: "rules/fleet.smk"


# Here and not in an included file: Snakemake takes no default target from those.
rule report:
    default_target: True
    input:
        f"{R}/report.pdf",
        f"{R}/summary.json",
        f"{R}/report.html",
        f"{R}/workflow.html",
