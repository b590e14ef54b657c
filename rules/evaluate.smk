"""Accuracy, clean and under attack, one row per example.

Reads: weights and built data sets. Writes: <run>/eval/<experiment>/.
"""


rule evaluate_model:
    input:
        script="scripts/evaluate_model.py",
        code=evaluate_code,
        dataset=lambda wildcards: manifest(EXPERIMENTS[wildcards.experiment]["eval_dataset"]),
        weights=lambda wildcards: evaluated_weights(wildcards.experiment),
    output:
        f"{R}/eval/{{experiment}}/shards/{{protocol}}/{{index}}-of-{{count}}.parquet",
    log:
        f"{R}/logs/evaluate_model/{{experiment}}-{{protocol}}-{{index}}-of-{{count}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate_model/{{experiment}}-{{protocol}}-{{index}}-of-{{count}}.tsv"
    wildcard_constraints:
        experiment=names_regex(EXPERIMENTS),
        protocol=names_regex(CONFIG["protocols"]),
        index=r"\d+",
        count=r"\d+",
    priority: 5
    threads: CONFIG["compute"]["threads"]
    resources:
        mem_mb=4000,
        runtime=480,
        gpu=1,
    params:
        spec=spec_of(
            lambda name, protocol, index, count: specs.evaluate_spec(
                CONFIG, name, protocol, int(index), int(count), STAND_IN
            ),
            "experiment",
            "protocol",
            "index",
            "count",
        ),
        work=f"{R}/work/evaluate/{{experiment}}/{{protocol}}",
        device=CONFIG["compute"]["device"],
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --dataset {input.dataset:q}"
        " --weights {input.weights:q}"
        " --output {output:q}"
        " --work-dir {params.work:q}"
        " --threads {threads}"
        " --device {params.device}"
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
