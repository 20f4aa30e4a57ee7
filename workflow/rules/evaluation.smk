EVALUATION_SOURCES = sources("evaluation/*.py", exclude=["summary.py", "gaps.py"])
REFERENCES = references(f"{RESULTS}/evaluation/references/{{image_class}}/{{reference}}.csv")
COMPARED = expand(
    f"{RESULTS}/evaluation/{{table}}.csv", table=["references", "gaps"] if REFERENCES else []
)


rule evaluation:
    input:
        networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv"),
        networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.csv"),
        pairs(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.csv"),
        f"{RESULTS}/evaluation/summary.csv",
        COMPARED,
        f"{RESULTS}/evaluation/metrics.json",


rule evaluation_network:
    input:
        dataset=dataset_of,
        network=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        source=EVALUATION_SOURCES + NETWORK_SOURCES,
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.json",
        draws=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.h5",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/N{{set_size}}_{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/N{{set_size}}_{{split}}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["evaluation"]["threads"]
    resources:
        mem_mb=training_set_mb,
        gpu=1,
    params:
        spec=spec(gahb_params.evaluation_spec, "experiment", "set_size", "split"),
    message:
        "evaluating {input.network}"
    shell:
        "python -m gahb evaluation network --spec {params.spec:q} --dataset {input.dataset}"
        " --network {input.network} --output {output.table} > {log} 2>&1"


rule evaluation_memorising:
    input:
        dataset=dataset_of,
        source=EVALUATION_SOURCES + sources("denoisers/empirical.py"),
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.json",
        draws=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.h5",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["evaluation"]["threads"]
    resources:
        mem_mb=training_set_mb,
        gpu=1,
    params:
        spec=spec(gahb_params.memorising_spec, "experiment", "set_size", "split"),
    message:
        "evaluating the optimum for {wildcards.set_size} images of {wildcards.split}"
        " ({wildcards.experiment})"
    shell:
        "python -m gahb evaluation memorising --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output.table} > {log} 2>&1"


rule evaluation_agreement:
    input:
        dataset=dataset_of,
        networks=expand(
            f"{RESULTS}/denoisers/{{{{experiment}}}}/N{{{{set_size}}}}_{{split}}.safetensors",
            split=["S1", "S2"],
        ),
        source=EVALUATION_SOURCES + NETWORK_SOURCES,
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.json",
        draws=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.h5",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/N{{set_size}}_agreement.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/N{{set_size}}_agreement.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["evaluation"]["threads"]
    resources:
        mem_mb=training_set_mb,
        gpu=1,
    params:
        spec=spec(gahb_params.agreement_spec, "experiment", "set_size"),
    message:
        "comparing the two networks of {wildcards.experiment} at N = {wildcards.set_size}"
    shell:
        "python -m gahb evaluation agreement --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --output {output.table} > {log} 2>&1"


rule evaluation_reference:
    input:
        dataset=f"{RESULTS}/datasets/{{image_class}}.h5",
        source=reference_sources,
        measures=EVALUATION_SOURCES,
    output:
        table=f"{RESULTS}/evaluation/references/{{image_class}}/{{reference}}.csv",
        sidecar=f"{RESULTS}/evaluation/references/{{image_class}}/{{reference}}.json",
        draws=f"{RESULTS}/evaluation/references/{{image_class}}/{{reference}}.h5",
    log:
        f"{RESULTS}/logs/evaluation/references/{{image_class}}/{{reference}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/references/{{image_class}}/{{reference}}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["evaluation"]["threads"]
    resources:
        mem_mb=3000,
    params:
        spec=spec(gahb_params.reference_spec, "image_class", "reference"),
    message:
        "evaluating {wildcards.reference} on {wildcards.image_class}"
    shell:
        "python -m gahb evaluation reference --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output.table} > {log} 2>&1"


rule evaluation_references:
    input:
        tables=REFERENCES,
        draws=[path.replace(".csv", ".h5") for path in REFERENCES],
        source=sources("evaluation/*.py"),
    output:
        table=f"{RESULTS}/evaluation/references.csv",
        sidecar=f"{RESULTS}/evaluation/references.json",
    log:
        f"{RESULTS}/logs/evaluation/references.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/references.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=spec(gahb_params.summary_spec),
    message:
        "slopes of all exact and classical denoisers"
    shell:
        "python -m gahb evaluation references --spec {params.spec:q} --references {input.tables}"
        " --output {output.table} > {log} 2>&1"


rule evaluation_gaps:
    input:
        tables=compared_networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv"),
        draws=compared_networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.h5"),
        references=REFERENCES,
        reference_draws=[path.replace(".csv", ".h5") for path in REFERENCES],
        source=sources("evaluation/*.py"),
    output:
        table=f"{RESULTS}/evaluation/gaps.csv",
        sidecar=f"{RESULTS}/evaluation/gaps.json",
    log:
        f"{RESULTS}/logs/evaluation/gaps.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/gaps.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
    message:
        "networks against exact and classical denoisers"
    shell:
        "python -m gahb evaluation gaps --tables {input.tables} --references {input.references}"
        " --output {output.table} > {log} 2>&1"


rule evaluation_summary:
    input:
        tables=networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv"),
        comparisons=pairs(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.csv"),
        draws=[
            *networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.h5"),
            *pairs(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.h5"),
        ],
        source=sources("evaluation/*.py"),
    output:
        table=f"{RESULTS}/evaluation/summary.csv",
        sidecar=f"{RESULTS}/evaluation/summary.json",
    log:
        f"{RESULTS}/logs/evaluation/summary.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/summary.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=spec(gahb_params.summary_spec),
    message:
        "summarising all networks"
    shell:
        "python -m gahb evaluation summary --spec {params.spec:q} --tables {input.tables}"
        " --comparisons {input.comparisons} --output {output.table} > {log} 2>&1"
