EVALUATION_SOURCES = sources("evaluation/*.py", exclude=["summary.py"])


rule evaluation:
    input:
        networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv"),
        networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.csv"),
        pairs(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.csv"),
        f"{RESULTS}/evaluation/summary.csv",
        f"{RESULTS}/evaluation/metrics.json",


rule evaluation_network:
    input:
        dataset=dataset_of,
        network=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        source=EVALUATION_SOURCES,
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
        source=EVALUATION_SOURCES,
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
