"""What a run costs before it starts. Starts nothing: `snakemake --profile slurm plan`.

Reads: the configuration, planning/. Writes: <run>/plan.{txt,json,csv}, always anew.
"""


localrules:
    plan,


# Without outputs, so that it is never up to date. What is left of a run changes while it runs.
rule plan:
    input:
        script="scripts/plan_run.py",
    log:
        f"{R}/logs/plan.log",
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        configfiles=[
            f"--configfile {quote(os.path.relpath(path))}"
            for path in workflow.overwrite_configfiles
        ],
        overrides=lambda wildcards: json.dumps(dict(workflow.config_settings.config)),
        output=lambda wildcards: f"{R}/plan",
    shell:
        "python {input.script}"
        " {params.configfiles}"
        " --overrides {params.overrides:q}"
        " --output {params.output:q}"
        " 2>&1 | tee {log:q}"
