"""Tables, claims, figures and the report.

Reads: evaluations, learning curves, analyses, the published numbers in reports/, planning/prices.yaml.
Writes: <run>/tables/, <run>/claims.*, <run>/figures/, <run>/summary.json, <run>/report.pdf,
<run>/report.html, <run>/workflow.html.
"""


localrules:
    draw_rule_graph,
    judge_claims,
    render_html,
    render_page,
    render_report,
    report_now,
    write_summary,


rule make_table:
    input:
        script="scripts/make_table.py",
        code=lambda wildcards: code("make_table.py", inputs.table_plugin(CONFIG, wildcards.table)),
        results=lambda wildcards: table_files(wildcards.table),
        published=CONFIG["paths"]["published"],
    output:
        json=f"{R}/tables/{{table}}.json",
        csv=report(
            f"{R}/tables/{{table}}.csv",
            caption="../reports/captions/table.rst",
            category="Tables",
            labels={"table": "{table}", "as": "CSV"},
        ),
        tex=report(
            f"{R}/tables/{{table}}.tex",
            caption="../reports/captions/table.rst",
            category="Tables",
            labels={"table": "{table}", "as": "LaTeX"},
        ),
    log:
        f"{R}/logs/make_table/{{table}}.log",
    benchmark:
        f"{R}/benchmarks/make_table/{{table}}.tsv"
    wildcard_constraints:
        table=names_regex(CONFIG["tables"]),
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=spec_of(lambda name: reports.table_spec(CONFIG, name), "table"),
        root=lambda wildcards: R,
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --root {params.root:q}"
        " --published {input.published:q}"
        " --output-json {output.json:q}"
        " --output-csv {output.csv:q}"
        " --output-tex {output.tex:q}"
        " >{log:q} 2>&1"


rule judge_claims:
    input:
        script="scripts/judge_claims.py",
        code=code("judge_claims.py"),
        results=claim_files(),
    output:
        json=f"{R}/claims.json",
        csv=report(
            f"{R}/claims.csv",
            caption="../reports/captions/claims.rst",
            category="Report",
        ),
    log:
        f"{R}/logs/judge_claims.log",
    benchmark:
        f"{R}/benchmarks/judge_claims.tsv"
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: pack_spec(specs.to_json(claims_spec(CONFIG))),
        root=lambda wildcards: R,
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --root {params.root:q}"
        " --output-json {output.json:q}"
        " --output-csv {output.csv:q}"
        " >{log:q} 2>&1"


rule draw_rule_graph:
    input:
        script="scripts/draw_rule_graph.py",
        code=code("draw_rule_graph.py"),
        rules=RULE_FILES,
    output:
        f"{R}/rulegraph.dot",
    log:
        f"{R}/logs/draw_rule_graph.log",
    benchmark:
        f"{R}/benchmarks/draw_rule_graph.tsv"
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: specs.to_json(inputs.stages(CONFIG)),
        target=lambda wildcards: f"{R}/summary.json",
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --target {params.target:q}"
        " --output {output:q}"
        " >{log:q} 2>&1"


rule make_figure:
    input:
        script="scripts/make_figure.py",
        code=lambda wildcards: code(
            "make_figure.py", inputs.figure_plugin(CONFIG, wildcards.figure)
        ),
        results=lambda wildcards: figure_files(wildcards.figure),
    output:
        pdf=f"{R}/figures/{{figure}}.pdf",
        svg=f"{R}/figures/{{figure}}.svg",
        png=report(
            f"{R}/figures/{{figure}}.png",
            caption="../reports/captions/figure.rst",
            category=figure_category,
            labels={"figure": "{figure}"},
        ),
        data=f"{R}/figures/{{figure}}.json",
    log:
        f"{R}/logs/make_figure/{{figure}}.log",
    benchmark:
        f"{R}/benchmarks/make_figure/{{figure}}.tsv"
    wildcard_constraints:
        figure=names_regex(CONFIG["figures"]),
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        spec=spec_of(lambda name: reports.figure_spec(CONFIG, name), "figure"),
        root=lambda wildcards: R,
        stem=lambda wildcards: f"{R}/figures/{wildcards.figure}",
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --root {params.root:q}"
        " --output-stem {params.stem:q}"
        " >{log:q} 2>&1"


rule write_summary:
    input:
        script="scripts/write_summary.py",
        code=code("write_summary.py"),
        tables=table_results("json"),
        claims=f"{R}/claims.json" if CONFIG["report"]["claims"] else [],
        figures=figure_results("json"),
        evaluations=evaluations(inputs.report_experiments(CONFIG)),
        datasets=[manifest(name) for name in inputs.report_datasets(CONFIG)],
        trained=[f"{R}/train/{name}/metrics.csv" for name in inputs.report_trainings(CONFIG)],
        imported=[
            f"{R}/checkpoints/{name}/source.json" for name in inputs.report_checkpoints(CONFIG)
        ],
        published=CONFIG["paths"]["published"],
        prices=price_files(),
    output:
        f"{R}/summary.json",
    log:
        f"{R}/logs/write_summary.log",
    benchmark:
        f"{R}/benchmarks/write_summary.tsv"
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: pack_spec(specs.to_json(reports.report_spec(CONFIG))),
        root=lambda wildcards: R,
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --root {params.root:q}"
        " --published {input.published:q}"
        " --output {output:q}"
        " >{log:q} 2>&1"


rule render_report:
    input:
        script="scripts/render_report.py",
        code=code("render_report.py"),
        summary=f"{R}/summary.json",
        figures=figure_results("pdf"),
        template="reports/report.typ",
    output:
        report(
            f"{R}/report.pdf",
            caption="../reports/captions/report.rst",
            category="Report",
        ),
    log:
        f"{R}/logs/render_report.log",
    benchmark:
        f"{R}/benchmarks/render_report.tsv"
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: pack_spec(specs.to_json(reports.report_spec(CONFIG))),
        root=lambda wildcards: R,
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --summary {input.summary:q}"
        " --root {params.root:q}"
        " --template {input.template:q}"
        " --output {output:q}"
        " >{log:q} 2>&1"


rule render_page:
    input:
        script="scripts/render_page.py",
        code=code("render_page.py"),
        summary=f"{R}/summary.json",
        figures=figure_results("svg"),
        style="reports/report.css",
        behaviour="reports/report.js",
    output:
        f"{R}/report.html",
    log:
        f"{R}/logs/render_page.log",
    benchmark:
        f"{R}/benchmarks/render_page.tsv"
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spec=lambda wildcards: pack_spec(specs.to_json(reports.report_spec(CONFIG))),
        root=lambda wildcards: R,
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --summary {input.summary:q}"
        " --root {params.root:q}"
        " --style {input.style:q}"
        " --script {input.behaviour:q}"
        " --output {output:q}"
        " >{log:q} 2>&1"


rule render_html:
    input:
        script="scripts/render_html.py",
        code=code("render_html.py"),
        pdf=f"{R}/report.pdf",
        gallery=[f"{R}/figures/{name}.png" for name in CONFIG["report"]["gallery"]],
        captions=[
            f"reports/captions/{name}.rst" for name in ("claims", "figure", "report", "table")
        ],
    output:
        f"{R}/workflow.html",
    log:
        f"{R}/logs/render_html.log",
    benchmark:
        f"{R}/benchmarks/render_html.tsv"
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "python {input.script} --target {input.pdf:q} {input.gallery:q} --output {output:q} >{log:q} 2>&1"


# Without inputs of the run, so that it starts nothing, and without outputs, so that it is never up to date.
rule report_now:
    input:
        script="scripts/report_now.py",
        published=CONFIG["paths"]["published"],
    log:
        f"{R}/logs/report_now.log",
    conda:
        "../envs/conda.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        spec=lambda wildcards: pack_spec(specs.to_json(reports.now_spec(CONFIG))),
        root=lambda wildcards: R,
    shell:
        "python {input.script}"
        " --spec {params.spec:q}"
        " --root {params.root:q}"
        " --published {input.published:q}"
        " --assets reports"
        " 2>&1 | tee {log:q}"
