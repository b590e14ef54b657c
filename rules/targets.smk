"""Targets with plain names: `snakemake --profile slurm table7`."""


rule datasets:
    input:
        [manifest(name) for name in inputs.report_datasets(CONFIG)],
        [f"{R}/figures/{name}.pdf" for name in dataset_figures(inputs.report_datasets(CONFIG))],


rule pretrain:
    input:
        [weights_of("experiment", name) for name in inputs.report_trainings(CONFIG, False)],


rule finetune:
    input:
        [weights_of("experiment", name) for name in inputs.report_trainings(CONFIG, True)],


rule evaluate:
    input:
        evaluations(inputs.report_experiments(CONFIG)),
        adversarial_sets(inputs.report_experiments(CONFIG)),


rule checkpoints:
    input:
        [weights_of("checkpoint", name) for name in CONFIG["checkpoints"]],
        evaluations(inputs.checkpoint_experiments(CONFIG)),
        adversarial_sets(inputs.checkpoint_experiments(CONFIG)),


rule robustbench:
    input:
        [
            f"{R}/eval/{name}/robustbench.json"
            for name in robustbench_export.exported_experiments(
                CONFIG, inputs.report_experiments(CONFIG)
            )
        ],


rule semantics:
    input:
        [path for name in CONFIG["semantics"] for path in classifications(name, "json")],
        [
            f"{R}/semantics/{name}/comparison.json"
            for name, entry in CONFIG["semantics"].items()
            if entry["classifiers"]
        ],


rule analyses:
    input:
        [
            f"{R}/gradients/{name}/{experiment}.npz"
            for name, entry in CONFIG["gradients"].items()
            for experiment in entry["experiments"]
        ],
        [
            f"{R}/losses/{name}/{experiment}/{epoch}.json"
            for name in CONFIG["attack_losses"]
            for experiment, epoch in analysis_specs.losses_names(CONFIG, name)
        ],


rule figures:
    input:
        figure_results("pdf"),


rule tables:
    input:
        table_results("csv"),


rule claims:
    input:
        f"{R}/claims.csv",


for table in CONFIG["tables"]:

    rule:
        name:
            table
        input:
            f"{R}/tables/{table}.csv",


for figure in CONFIG["figures"]:

    rule:
        name:
            figure
        input:
            f"{R}/figures/{figure}.pdf",
