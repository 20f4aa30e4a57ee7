rule spectra:
    input:
        networks(
            f"{RESULTS}/spectra/{{experiment}}/N{{set_size}}_{{split}}.h5",
            PARAMS["spectra"]["networks"],
        ),
        [
            f"{RESULTS}/spectra/{experiment}/{reference}.h5"
            for experiment, chosen in PARAMS["spectra"]["networks"].items()
            for reference in chosen.get("references", [])
        ],


rule spectrum:
    input:
        dataset=dataset_of,
        network=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        source=sources("spectra/*.py") + sources("schemas.py") + NETWORK_SOURCES,
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


rule spectrum_reference:
    input:
        dataset=dataset_of,
        source=reference_sources,
        measures=sources("spectra/*.py") + sources("schemas.py"),
    output:
        f"{RESULTS}/spectra/{{experiment}}/{{reference}}.h5",
    log:
        f"{RESULTS}/logs/spectra/{{experiment}}/{{reference}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/spectra/{{experiment}}/{{reference}}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["spectra"]["threads"]
    resources:
        mem_mb=3000,
    params:
        spec=spec(gahb_params.reference_spectra_spec, "experiment", "reference"),
    message:
        "Jacobian spectra of {wildcards.reference} on the images of {wildcards.experiment}"
    shell:
        "python -m gahb spectra --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output} > {log} 2>&1"
