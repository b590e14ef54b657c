"""Do perturbations show a class? They are stored as a data set and classified by other models.

Reads: weights and built data sets. Writes: <run>/semantics/<analysis>/<generator>/.
"""


rule make_perturbations:
    input:
        script="scripts/make_perturbations.py",
        code=lambda wildcards: code(
            "make_perturbations.py",
            *inputs.perturbation_plugins(CONFIG, wildcards.analysis, wildcards.generator),
        ),
        dataset=lambda wildcards: manifest(CONFIG["semantics"][wildcards.analysis]["dataset"]),
        weights=lambda wildcards: evaluated_weights(wildcards.generator),
    output:
        manifest=f"{R}/semantics/{{analysis}}/{{generator}}/manifest.json",
        examples=f"{R}/semantics/{{analysis}}/{{generator}}/examples.npz",
    log:
        f"{R}/logs/make_perturbations/{{analysis}}-{{generator}}.log",
    benchmark:
        f"{R}/benchmarks/make_perturbations/{{analysis}}-{{generator}}.tsv"
    wildcard_constraints:
        analysis=names_regex(CONFIG["semantics"]),
        generator=names_regex(EXPERIMENTS),
    priority: 5
    conda:
        "../envs/conda.yaml"
    threads: CONFIG["compute"]["threads"]
    resources:
        **gpu_job("perturb/{analysis}/{generator}", 480),
    params:
        spec=spec_of(
            lambda name, generator: analysis_specs.perturb_spec(CONFIG, name, generator, STAND_IN),
            "analysis",
            "generator",
        ),
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --dataset {input.dataset:q}"
        " --weights {input.weights:q}"
        " --output {output.manifest:q}"
        " --examples {output.examples:q}"
        " --threads {threads}"
        " --device $ROBUSTVIT_SEMANTICS_DEVICE"
        " >{log:q} 2>&1"


rule classify_perturbations:
    input:
        script="scripts/classify_perturbations.py",
        code=lambda wildcards: code(
            "classify_perturbations.py", *inputs.experiment_plugins(CONFIG, wildcards.classifier)
        ),
        perturbations=f"{R}/semantics/{{analysis}}/{{generator}}/manifest.json",
        weights=lambda wildcards: evaluated_weights(wildcards.classifier),
    output:
        rows=f"{R}/semantics/{{analysis}}/{{generator}}/{{classifier}}.parquet",
        summary=f"{R}/semantics/{{analysis}}/{{generator}}/{{classifier}}.json",
    log:
        f"{R}/logs/classify_perturbations/{{analysis}}-{{generator}}-{{classifier}}.log",
    benchmark:
        f"{R}/benchmarks/classify_perturbations/{{analysis}}-{{generator}}-{{classifier}}.tsv"
    wildcard_constraints:
        analysis=names_regex(CONFIG["semantics"]),
        generator=names_regex(EXPERIMENTS),
        classifier=names_regex(EXPERIMENTS),
    conda:
        "../envs/conda.yaml"
    threads: CONFIG["compute"]["threads"]
    resources:
        **gpu_job("classify/{analysis}/{generator}/{classifier}", 120),
    params:
        spec=spec_of(
            lambda name, generator, classifier: analysis_specs.classify_spec(
                CONFIG, name, generator, classifier
            ),
            "analysis",
            "generator",
            "classifier",
        ),
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --perturbations {input.perturbations:q}"
        " --weights {input.weights:q}"
        " --output-rows {output.rows:q}"
        " --output-summary {output.summary:q}"
        " --threads {threads}"
        " --device $ROBUSTVIT_SEMANTICS_DEVICE"
        " >{log:q} 2>&1"


rule compare_classifications:
    input:
        script="scripts/compare_classifications.py",
        code=code("compare_classifications.py"),
        classified=lambda wildcards: classifications(wildcards.analysis, "parquet", "json"),
    output:
        f"{R}/semantics/{{analysis}}/comparison.json",
    log:
        f"{R}/logs/compare_classifications/{{analysis}}.log",
    benchmark:
        f"{R}/benchmarks/compare_classifications/{{analysis}}.tsv"
    wildcard_constraints:
        analysis=names_regex(CONFIG["semantics"]),
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=spec_of(lambda name: analysis_specs.comparison_spec(CONFIG, name), "analysis"),
        folder=lambda wildcards: f"{R}/semantics/{wildcards.analysis}",
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --folder {params.folder:q}"
        " --output {output:q}"
        " >{log:q} 2>&1"
