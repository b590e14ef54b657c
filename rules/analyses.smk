"""Analyses of single models: images grown from noise, and losses under few and many attack steps.

Reads: weights and built data sets. Writes: <run>/gradients/<analysis>/, <run>/losses/<analysis>/.
"""


rule accumulate_gradients:
    input:
        script="scripts/accumulate_gradients.py",
        code=lambda wildcards: code(
            "accumulate_gradients.py",
            "robustvit.attacks.pgd",
            *inputs.experiment_plugins(CONFIG, wildcards.experiment),
        ),
        dataset=lambda wildcards: manifest(EXPERIMENTS[wildcards.experiment]["eval_dataset"]),
        weights=lambda wildcards: evaluated_weights(wildcards.experiment),
    output:
        f"{R}/gradients/{{analysis}}/{{experiment}}.npz",
    log:
        f"{R}/logs/accumulate_gradients/{{analysis}}-{{experiment}}.log",
    benchmark:
        f"{R}/benchmarks/accumulate_gradients/{{analysis}}-{{experiment}}.tsv"
    wildcard_constraints:
        analysis=names_regex(CONFIG["gradients"]),
        experiment=names_regex(EXPERIMENTS),
    conda:
        "../envs/conda.yaml"
    threads: CONFIG["compute"]["threads"]
    resources:
        **gpu_job("gradients/{analysis}/{experiment}", 120),
    params:
        spec=spec_of(
            lambda name, experiment: analysis_specs.gradients_spec(CONFIG, name, experiment),
            "analysis",
            "experiment",
        ),
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --dataset {input.dataset:q}"
        " --weights {input.weights:q}"
        " --output {output:q}"
        " --threads {threads}"
        " --device $ROBUSTVIT_GRADIENTS_DEVICE"
        " >{log:q} 2>&1"


rule measure_losses:
    input:
        script="scripts/measure_losses.py",
        code=lambda wildcards: code(
            "measure_losses.py", *inputs.experiment_plugins(CONFIG, wildcards.experiment)
        ),
        dataset=lambda wildcards: manifest(CONFIG["attack_losses"][wildcards.analysis]["dataset"]),
        weights=lambda wildcards: f"{R}/"
        + analysis_specs.losses_weights(CONFIG, wildcards.experiment, wildcards.epoch),
    output:
        rows=f"{R}/losses/{{analysis}}/{{experiment}}/{{epoch}}.parquet",
        summary=f"{R}/losses/{{analysis}}/{{experiment}}/{{epoch}}.json",
    log:
        f"{R}/logs/measure_losses/{{analysis}}-{{experiment}}-{{epoch}}.log",
    benchmark:
        f"{R}/benchmarks/measure_losses/{{analysis}}-{{experiment}}-{{epoch}}.tsv"
    wildcard_constraints:
        analysis=names_regex(CONFIG["attack_losses"]),
        experiment=names_regex(EXPERIMENTS),
        epoch=r"\d+|final",
    conda:
        "../envs/conda.yaml"
    threads: CONFIG["compute"]["threads"]
    resources:
        **gpu_job("losses/{analysis}/{experiment}", 1440),
    params:
        spec=spec_of(
            lambda name, experiment, epoch: analysis_specs.losses_spec(
                CONFIG, name, experiment, epoch, STAND_IN
            ),
            "analysis",
            "experiment",
            "epoch",
        ),
        work=f"{R}/work/losses",
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --dataset {input.dataset:q}"
        " --weights {input.weights:q}"
        " --output-rows {output.rows:q}"
        " --output-summary {output.summary:q}"
        " --work-dir {params.work:q}"
        " --threads {threads}"
        " --device $ROBUSTVIT_EVALUATION_DEVICE"
        " >{log:q} 2>&1"
