SPECTRUM = Made(
    gahb_params.spectra_spec,
    *("experiment", "set_size", "split"),
    entry="gahb.spectra.of_network",
    watching=["architecture"],
)
SPECTRUM_OF_REFERENCE = Made(
    gahb_params.reference_spectra_spec,
    *("experiment", "reference"),
    entry="gahb.spectra.of_reference",
    watching=["reference"],
)
ADAPTIVITY = Made(
    gahb_params.adaptivity_spec,
    "experiment",
    entry="gahb.spectra.adaptivity",
    watching=["dataset"],
)


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
        expand(
            f"{RESULTS}/spectra/{{experiment}}/adaptivity.csv",
            experiment=gahb_params.adapted(PARAMS),
        ),


rule spectrum:
    input:
        dataset=dataset_of,
        network=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
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
        runtime=minutes(5),
        mem_mb=spectra_mb,
        gpu=gpus,
    params:
        spec=SPECTRUM.spec,
        code=SPECTRUM.code,
    message:
        "Jacobian spectra of {input.network}"
    shell:
        "python -m gahb spectra --spec {params.spec:q} --dataset {input.dataset}"
        " --network {input.network} --output {output} > {log} 2>&1"


rule spectrum_reference:
    input:
        dataset=dataset_of,
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
        runtime=minutes(6),
        mem_mb=3000,
    params:
        spec=SPECTRUM_OF_REFERENCE.spec,
        code=SPECTRUM_OF_REFERENCE.code,
    message:
        "Jacobian spectra of {wildcards.reference} on the images of {wildcards.experiment}"
    shell:
        "python -m gahb spectra --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output} > {log} 2>&1"


rule spectra_adaptivity:
    input:
        spectra=spectra_of,
    output:
        table=f"{RESULTS}/spectra/{{experiment}}/adaptivity.csv",
        sidecar=f"{RESULTS}/spectra/{{experiment}}/adaptivity.json",
    log:
        f"{RESULTS}/logs/spectra/{{experiment}}/adaptivity.log",
    benchmark:
        f"{RESULTS}/benchmarks/spectra/{{experiment}}/adaptivity.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["spectra"]["threads"]
    resources:
        runtime=minutes(1),
        mem_mb=oracles_mb,
    params:
        spec=ADAPTIVITY.spec,
        code=ADAPTIVITY.code,
    message:
        "comparing the bases of the networks of {wildcards.experiment} with those of oracles"
    shell:
        "python -m gahb adaptivity --spec {params.spec:q} --spectra {input.spectra}"
        " --output {output.table} > {log} 2>&1"
