# What is said about finished results. `snakemake provenance` makes it; `all` does not need it.

DATA_CARDS = expand(f"{RESULTS}/cards/datasets/{{name}}.md", name=USED_IMAGE_CLASSES)
MODEL_CARDS = networks(f"{RESULTS}/cards/denoisers/{{experiment}}/N{{set_size}}_{{split}}.md")


rule provenance:
    input:
        DATA_CARDS,
        MODEL_CARDS,
        f"{RESULTS}/ro-crate-metadata.json",


rule metrics:
    input:
        summary=f"{RESULTS}/evaluation/summary.csv",
    output:
        f"{RESULTS}/evaluation/metrics.json",
    log:
        f"{RESULTS}/logs/provenance/metrics.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/metrics.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.provenance.metrics"),
    message:
        "collecting the metrics that DVC compares"
    shell:
        "python -m gahb provenance metrics --summary {input.summary} --output {output} > {log} 2>&1"


rule data_cards:
    input:
        datasets=rules.datasets.input,
        about=in_root("CITATION.cff"),
    output:
        report(
            DATA_CARDS,
            caption="../report/cards.rst",
            category="Cards",
            subcategory="Datasets",
        ),
    log:
        f"{RESULTS}/logs/provenance/data_cards.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/data_cards.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.provenance.cards", *classes(PARAMS["experiments"])),
    message:
        "describing the datasets"
    shell:
        "python -m gahb provenance data-cards --datasets {input.datasets}"
        " --citation {input.about} --output {output} > {log} 2>&1"


rule model_cards:
    input:
        networks=rules.denoisers.input,
        summary=f"{RESULTS}/evaluation/summary.csv",
        about=in_root("CITATION.cff"),
    output:
        report(
            MODEL_CARDS,
            caption="../report/cards.rst",
            category="Cards",
            subcategory="Networks",
        ),
    log:
        f"{RESULTS}/logs/provenance/model_cards.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/model_cards.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.provenance.cards", *classes(PARAMS["experiments"])),
    message:
        "describing the networks"
    shell:
        "python -m gahb provenance model-cards --networks {input.networks}"
        " --summary {input.summary} --citation {input.about} --output {output} > {log} 2>&1"


rule crate:
    input:
        results=rules.all.input,
        records=records,
        about=in_root("CITATION.cff"),
        snakefile=in_root("Snakefile"),
        dvc=in_root("dvc.yaml"),
    output:
        metadata=f"{RESULTS}/ro-crate-metadata.json",
        workflow=f"{RESULTS}/ro-crate-workflow.smk",
    log:
        f"{RESULTS}/logs/provenance/crate.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/crate.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        spec=as_json(PARAMS),
        code=code("gahb.provenance.crate"),
        versions=versions("dvc", "snakemake"),
    message:
        "describing the run as an RO-Crate"
    shell:
        "python -m gahb provenance crate --spec {params.spec:q} --citation {input.about}"
        " --snakefile {input.snakefile} --versions {params.versions} --output {output.metadata} > {log} 2>&1"
