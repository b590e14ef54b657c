"""Analyses of single models: images grown from noise towards target classes.

Reads: weights. Writes: <run>/gradients/<analysis>/.
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
            lambda name, experiment: specs.gradients_spec(CONFIG, name, experiment),
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
