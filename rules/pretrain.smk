"""Training from scratch, and weights of others.

Reads: built data sets. Writes: <run>/train/<experiment>/, <run>/checkpoints/<checkpoint>/.

The state that a killed job resumes from is in <run>/work/, which is no output: Snakemake deletes
the outputs of a failed job before it tries again.
"""


rule pretrain_model:
    input:
        script="scripts/train_model.py",
        code=train_code,
        dataset=lambda wildcards: manifest(EXPERIMENTS[wildcards.experiment]["dataset"]),
        eval_dataset=monitored_manifest,
        synthetic=synthetic_manifest,
    output:
        weights=f"{R}/train/{{experiment}}/weights.safetensors",
        metrics=f"{R}/train/{{experiment}}/metrics.csv",
        config=f"{R}/train/{{experiment}}/config.yaml",
        card=f"{R}/train/{{experiment}}/model_card.md",
        steps=f"{R}/train/{{experiment}}/steps.csv",
        epochs=f"{R}/train/{{experiment}}/epochs.safetensors",
    log:
        f"{R}/logs/pretrain_model/{{experiment}}.log",
    benchmark:
        f"{R}/benchmarks/pretrain_model/{{experiment}}.tsv"
    wildcard_constraints:
        experiment=names_regex(inputs.pretrained(CONFIG)),
    priority: 10
    conda:
        "../envs/conda.yaml"
    threads: CONFIG["compute"]["threads"] * PROCESSES
    resources:
        **gpu_job("train/{experiment}", 1440, PROCESSES, NODES, training=True),
        tpu=int(DEVICES["training"] in TPU_DEVICES),
    params:
        spec=spec_of(lambda name: specs.train_spec(CONFIG, name, STAND_IN), "experiment"),
        init="",
        synthetic=synthetic_flag,
        work=lambda wildcards: f"{R}/work/train/{wildcards.experiment}",
    shell:
        # Without a shell around it: a scheduler warns all processes, and the shell would end at once.
        "exec python {input.script}"
        " --spec {params.spec:q}"
        " --dataset {input.dataset:q}"
        " --eval-dataset {input.eval_dataset:q}"
        " {params.synthetic}"
        " {params.init}"
        " --work-dir {params.work:q}"
        " --weights {output.weights:q}"
        " --metrics {output.metrics:q}"
        " --config {output.config:q}"
        " --card {output.card:q}"
        " --steps {output.steps:q}"
        " --epochs {output.epochs:q}"
        " --threads {threads}"
        " --device $ROBUSTVIT_TRAINING_DEVICE"
        " --processes $ROBUSTVIT_PROCESSES"
        " --nodes $ROBUSTVIT_NODES"
        " --workers $ROBUSTVIT_WORKERS"
        ' --monitoring "$ROBUSTVIT_MONITORING"'
        " >{log:q} 2>&1"


rule take_epoch:
    input:
        script="scripts/take_epoch.py",
        code=code("take_epoch.py"),
        epochs=f"{R}/train/{{experiment}}/epochs.safetensors",
    output:
        f"{R}/train/{{experiment}}/epochs/{{epoch}}.safetensors",
    log:
        f"{R}/logs/take_epoch/{{experiment}}-{{epoch}}.log",
    benchmark:
        f"{R}/benchmarks/take_epoch/{{experiment}}-{{epoch}}.tsv"
    wildcard_constraints:
        experiment=names_regex(EXPERIMENTS),
        epoch=r"\d+",
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    shell:
        "python {input.script}"
        " --epochs {input.epochs:q}"
        " --epoch {wildcards.epoch}"
        " --output {output:q}"
        " >{log:q} 2>&1"


rule import_checkpoint:
    input:
        script="scripts/import_checkpoint.py",
        code=lambda wildcards: code(
            "import_checkpoint.py", *inputs.checkpoint_plugins(CONFIG, wildcards.checkpoint)
        ),
    output:
        weights=f"{R}/checkpoints/{{checkpoint}}/weights.safetensors",
        source=f"{R}/checkpoints/{{checkpoint}}/source.json",
    log:
        f"{R}/logs/import_checkpoint/{{checkpoint}}.log",
    benchmark:
        f"{R}/benchmarks/import_checkpoint/{{checkpoint}}.tsv"
    wildcard_constraints:
        checkpoint=names_regex(CONFIG["checkpoints"]),
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=more_memory,
        runtime=60,
    params:
        spec=spec_of(lambda name: specs.checkpoint_spec(CONFIG, name), "checkpoint"),
        record=lambda wildcards: f"{FIRST_USES}/{wildcards.checkpoint}.json",
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --record {params.record:q}"
        " --output {output.weights:q}"
        " --source {output.source:q}"
        " >{log:q} 2>&1"
