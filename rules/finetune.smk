"""Fine-tuning: training that starts from another experiment's or a checkpoint's weights.

Reads: built data sets and weights. Writes: <run>/train/<experiment>/.
"""


use rule pretrain_model as finetune_model with:
    input:
        script="scripts/train_model.py",
        code=train_code,
        dataset=lambda wildcards: manifest(EXPERIMENTS[wildcards.experiment]["dataset"]),
        eval_dataset=monitored_manifest,
        synthetic=synthetic_manifest,
        init=initial_weights,
    log:
        f"{R}/logs/finetune_model/{{experiment}}.log",
    benchmark:
        f"{R}/benchmarks/finetune_model/{{experiment}}.tsv"
    wildcard_constraints:
        experiment=names_regex(inputs.finetuned(CONFIG)),
    priority: 20
    conda:
        "../envs/conda.yaml"
    params:
        spec=spec_of(lambda name: specs.train_spec(CONFIG, name, STAND_IN), "experiment"),
        init=lambda wildcards, input: f"--init-weights {quote(input.init)}",
        synthetic=synthetic_flag,
        work=lambda wildcards: f"{R}/work/train/{wildcards.experiment}",
