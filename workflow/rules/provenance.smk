# What is said about finished results. `snakemake provenance` makes it; `all` does not need it.


rule provenance:
    input:
        f"{RESULTS}/cards/datasets.md",
        f"{RESULTS}/cards/denoisers.md",
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
    output:
        report(
            f"{RESULTS}/cards/datasets.md",
            caption="../report/cards.rst",
            category="Cards",
            labels={"card": "datasets"},
        ),
    log:
        f"{RESULTS}/logs/provenance/data_cards.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/data_cards.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
    params:
        code=code("gahb.provenance.cards", *classes(PARAMS["experiments"])),
    message:
        "describing the datasets"
    shell:
        "python -m gahb provenance data-cards --datasets {input.datasets} --output {output}"
        " > {log} 2>&1"


rule model_cards:
    input:
        networks=rules.denoisers.input,
        summary=f"{RESULTS}/evaluation/summary.csv",
    output:
        report(
            f"{RESULTS}/cards/denoisers.md",
            caption="../report/cards.rst",
            category="Cards",
            labels={"card": "denoisers"},
        ),
    log:
        f"{RESULTS}/logs/provenance/model_cards.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/model_cards.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
    params:
        code=code("gahb.provenance.cards", *classes(PARAMS["experiments"])),
    message:
        "describing the networks"
    shell:
        "python -m gahb provenance model-cards --networks {input.networks}"
        " --summary {input.summary} --output {output} > {log} 2>&1"


rule crate:
    input:
        results=rules.all.input,
        records=records,
        about="CITATION.cff",
    output:
        f"{RESULTS}/ro-crate-metadata.json",
    log:
        f"{RESULTS}/logs/provenance/crate.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance/crate.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=as_json(PARAMS),
        code=code("gahb.provenance.crate"),
    message:
        "describing the run as an RO-Crate"
    shell:
        "python -m gahb provenance crate --spec {params.spec:q} --citation {input.about}"
        " --output {output} > {log} 2>&1"
