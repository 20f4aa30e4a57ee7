rule samples:
    input:
        pairs(
            f"{RESULTS}/samples/{{experiment}}/N{{set_size}}.csv",
            PARAMS["sampling"]["experiments"],
        ),


rule sample_pair:
    input:
        dataset=dataset_of,
        networks=expand(
            f"{RESULTS}/denoisers/{{{{experiment}}}}/N{{{{set_size}}}}_{{split}}.safetensors",
            split=["S1", "S2"],
        ),
        source=sources("samples/*.py") + NETWORK_SOURCES + sources("denoisers/optimisation.py"),
    output:
        table=f"{RESULTS}/samples/{{experiment}}/N{{set_size}}.csv",
        sidecar=f"{RESULTS}/samples/{{experiment}}/N{{set_size}}.json",
        samples=f"{RESULTS}/samples/{{experiment}}/N{{set_size}}.h5",
    log:
        f"{RESULTS}/logs/samples/{{experiment}}/N{{set_size}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples/{{experiment}}/N{{set_size}}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["sampling"]["threads"]
    resources:
        mem_mb=training_set_mb,
        gpu=1,
    params:
        spec=spec(gahb_params.samples_spec, "experiment", "set_size"),
    message:
        "sampling from the two networks of {wildcards.experiment} at N = {wildcards.set_size}"
    shell:
        "python -m gahb samples --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --output {output.table} > {log} 2>&1"
