"""Original archives and the TFDS sets built from them.

Reads: the official archives in a `mirror` folder, or a download, or CIFAR-10 for stand-ins.
Writes: results/sources/, <run>/stand_ins/, <run>/datasets/.

The finished shards of a build that was killed are in <run>/work/, which is no output: Snakemake
deletes the outputs of a failed job before it tries again.
"""


# Compute nodes of a cluster have no internet.
localrules:
    datasets_check,
    fetch_source,
    import_checkpoint,


# Asked for by its name alone; prints what it finds and fails if something needed is missing.
rule datasets_check:
    input:
        script="scripts/check_datasets.py",
        code=code("check_datasets.py"),
    log:
        f"{R}/logs/datasets_check.log",
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: pack_spec(specs.to_json(dataset_check.check_spec(CONFIG))),
    shell:
        "python {input.script} --spec {params.spec:q} 2>&1 | tee {log:q}"


rule fetch_source:
    input:
        script="scripts/fetch_source.py",
        code=lambda wildcards: code("fetch_source.py", inputs.source_plugin(wildcards.source)),
    output:
        f"{SOURCES}/{{source}}/source.json",
    log:
        f"{R}/logs/fetch_source/{{source}}.log",
    benchmark:
        f"{R}/benchmarks/fetch_source/{{source}}.tsv"
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        spec=spec_of(lambda source: inputs.fetch_spec(CONFIG, source), "source"),
    shell:
        "python {input.script} --spec {params.spec:q} --output {output:q} >{log:q} 2>&1"


rule make_stand_in:
    input:
        script="scripts/make_stand_in.py",
        code=code("make_stand_in.py"),
        cifar10=f"{SOURCES}/cifar10/source.json",
    output:
        f"{R}/stand_ins/{{source}}/source.json",
    log:
        f"{R}/logs/make_stand_in/{{source}}.log",
    benchmark:
        f"{R}/benchmarks/make_stand_in/{{source}}.tsv"
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        spec=spec_of(lambda source: inputs.stand_in_spec(CONFIG, source), "source"),
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --cifar10 {input.cifar10:q}"
        " --output {output:q}"
        " >{log:q} 2>&1"


rule build_dataset:
    input:
        script="scripts/build_dataset.py",
        code=lambda wildcards: code(
            "build_dataset.py", inputs.builder_plugin(CONFIG, wildcards.dataset)
        ),
        source=lambda wildcards: source_json(wildcards.dataset),
    output:
        f"{R}/datasets/{{dataset}}/manifest.json",
    log:
        f"{R}/logs/build_dataset/{{dataset}}.log",
    benchmark:
        f"{R}/benchmarks/build_dataset/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=names_regex(CONFIG["datasets"]),
    conda:
        "../envs/conda.yaml"
    threads: CONFIG["compute"]["threads"]
    resources:
        **cpu_job("build/{dataset}", 600, 4000),
    params:
        spec=spec_of(lambda dataset: specs.build_spec(CONFIG, dataset), "dataset"),
        work=lambda wildcards: f"{R}/work/datasets/{wildcards.dataset}",
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --source {input.source:q}"
        " --work-dir {params.work:q}"
        " --workers {threads}"
        " --output {output:q}"
        " >{log:q} 2>&1"
