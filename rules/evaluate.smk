"""Accuracy, clean and under attack, one row per example and attack.

Reads: weights and built data sets. Writes: <run>/eval/<experiment>/.
"""


rule evaluate_model:
    input:
        script="scripts/evaluate_model.py",
        dataset=evaluation_manifest,
        weights=evaluation_weights,
    output:
        f"{R}/eval/{{experiment}}/shards/{{protocol}}/{{shard}}-of-{{shards}}.parquet",
    log:
        f"{R}/logs/evaluate_model/{{experiment}}-{{protocol}}-{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate_model/{{experiment}}-{{protocol}}-{{shard}}-of-{{shards}}.tsv"
    wildcard_constraints:
        # Ten thousands of jobs are matched: names are checked by evaluation_manifest.
        experiment="[^/]+",
        protocol="[^/]+",
        shard=r"\d+",
        shards=r"\d+",
    priority: 5
    conda:
        "../envs/conda.yaml"
    threads: CONFIG["compute"]["threads"]
    resources:
        **gpu_job("evaluate/{experiment}/{protocol}", 480, shares=SHARDS_PER_JOB),
    params:
        spec=spec_of(
            lambda name, protocol, shard, shards: specs.evaluate_spec(
                CONFIG, name, protocol, int(shard), int(shards), STAND_IN
            ),
            "experiment",
            "protocol",
            "shard",
            "shards",
        ),
        code=evaluate_code,
        work=f"{R}/work/evaluate",
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --dataset {input.dataset:q}"
        " --weights {input.weights:q}"
        " --output {output:q}"
        " --work-dir {params.work:q}/{wildcards.experiment}/{wildcards.protocol}"
        ' --batch-size "$ROBUSTVIT_BATCH_SIZE"'
        " --threads {threads}"
        " --device $ROBUSTVIT_EVALUATION_DEVICE"
        " >{log:q} 2>&1"


rule gather_evaluation:
    input:
        script="scripts/gather_evaluation.py",
        code=code("gather_evaluation.py"),
        shards=shard_files,
        dataset=lambda wildcards: manifest(EXPERIMENTS[wildcards.experiment]["eval_dataset"]),
    output:
        rows=f"{R}/eval/{{experiment}}/{{protocol}}.parquet",
        summary=f"{R}/eval/{{experiment}}/{{protocol}}.json",
    log:
        f"{R}/logs/gather_evaluation/{{experiment}}-{{protocol}}.log",
    benchmark:
        f"{R}/benchmarks/gather_evaluation/{{experiment}}-{{protocol}}.tsv"
    wildcard_constraints:
        experiment=names_regex(EXPERIMENTS),
        protocol=names_regex(CONFIG["protocols"]),
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        spec=spec_of(
            lambda name, protocol: specs.gather_spec(CONFIG, name, protocol, STAND_IN),
            "experiment",
            "protocol",
        ),
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --output-rows {output.rows:q}"
        " --output-summary {output.summary:q}"
        " {input.shards:q}"
        " >{log:q} 2>&1"


rule export_robustbench:
    input:
        script="scripts/export_robustbench.py",
        code=code("export_robustbench.py"),
        evaluation=exported_evaluation,
        published=CONFIG["paths"]["published"],
    output:
        f"{R}/eval/{{experiment}}/robustbench.json",
    log:
        f"{R}/logs/export_robustbench/{{experiment}}.log",
    benchmark:
        f"{R}/benchmarks/export_robustbench/{{experiment}}.tsv"
    wildcard_constraints:
        experiment=names_regex(EXPORTED),
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=spec_of(
            lambda name: robustbench_export.robustbench_spec(CONFIG, name, STAND_IN),
            "experiment",
        ),
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --evaluation {input.evaluation:q}"
        " --published {input.published:q}"
        " --output {output:q}"
        " >{log:q} 2>&1"


rule export_adversarial:
    input:
        script="scripts/export_adversarial.py",
        code=code("export_adversarial.py"),
        shards=shard_files,
        dataset=lambda wildcards: manifest(EXPERIMENTS[wildcards.experiment]["eval_dataset"]),
    output:
        f"{R}/eval/{{experiment}}/adversarial/{{protocol}}/manifest.json",
    log:
        f"{R}/logs/export_adversarial/{{experiment}}-{{protocol}}.log",
    benchmark:
        f"{R}/benchmarks/export_adversarial/{{experiment}}-{{protocol}}.tsv"
    wildcard_constraints:
        experiment=names_regex(EXPERIMENTS),
        protocol=names_regex(CONFIG["protocols"]),
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        spec=spec_of(
            lambda name, protocol: specs.gather_spec(CONFIG, name, protocol, STAND_IN),
            "experiment",
            "protocol",
        ),
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --dataset {input.dataset:q}"
        " --output {output:q}"
        " {input.shards:q}"
        " >{log:q} 2>&1"
