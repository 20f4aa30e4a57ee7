rule spectra:
    input:
        networks(
            f"{RESULTS}/spectra/{{experiment}}/N{{set_size}}_{{split}}.h5",
            PARAMS["spectra"]["networks"],
        ),


rule spectrum:
    input:
        dataset=dataset_of,
        network=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        source=sources("spectra/*.py"),
    output:
        f"{RESULTS}/spectra/{{experiment}}/N{{set_size}}_{{split}}.h5",
    log:
        f"{RESULTS}/logs/spectra/{{experiment}}/N{{set_size}}_{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/spectra/{{experiment}}/N{{set_size}}_{{split}}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["spectra"]["threads"]
    resources:
        mem_mb=3000,
        gpu=1,
    params:
        spec=spec(gahb_params.spectra_spec, "experiment", "set_size", "split"),
    message:
        "Jacobian spectra of {input.network}"
    shell:
        "python -m gahb spectra --spec {params.spec:q} --dataset {input.dataset}"
        " --network {input.network} --output {output} > {log} 2>&1"
