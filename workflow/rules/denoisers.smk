rule denoisers:
    input:
        networks(f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors"),


NETWORK = Made(
    gahb_params.network_spec,
    *("experiment", "set_size", "split"),
    entry="gahb.denoisers.training",
    watching=["architecture", "training"],
)


# Of an experiment with `snapshots` a second rule keeps the weights on the way. Those of one with `imported` come
# from files.
rule denoiser:
    input:
        dataset=dataset_of,
    output:
        weights=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        table=f"{RESULTS}/training/{{experiment}}/N{{set_size}}_{{split}}.csv",
        sidecar=f"{RESULTS}/training/{{experiment}}/N{{set_size}}_{{split}}.json",
    log:
        f"{RESULTS}/logs/denoisers/{{experiment}}/N{{set_size}}_{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/denoisers/{{experiment}}/N{{set_size}}_{{split}}.tsv"
    wildcard_constraints:
        experiment=one_of(name for name in PARAMS["experiments"] if name not in FOLLOWED + IMPORTED),
    conda:
        ENVIRONMENT
    threads: training_threads
    resources:
        runtime=training_minutes,
        mem_mb=training_set_mb,
        gpu=gpus,
        planned=planned,
    params:
        spec=NETWORK.spec,
        code=NETWORK.code,
        checkpoint=f"{RESULTS}/checkpoints/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        snapshots="",
    message:
        "training {wildcards.experiment} on {wildcards.set_size} images of {wildcards.split}"
    shell:
        "python -m gahb denoisers --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output.weights} --table {output.table} --checkpoint {params.checkpoint}"
        " --planned {resources.planned}{params.snapshots} > {log} 2>&1"


use rule denoiser as denoiser_followed with:
    output:
        weights=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        snapshots=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}_snapshots.safetensors",
        table=f"{RESULTS}/training/{{experiment}}/N{{set_size}}_{{split}}.csv",
        sidecar=f"{RESULTS}/training/{{experiment}}/N{{set_size}}_{{split}}.json",
    wildcard_constraints:
        experiment=one_of(FOLLOWED),
    params:
        spec=NETWORK.spec,
        code=NETWORK.code,
        checkpoint=f"{RESULTS}/checkpoints/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
        snapshots=snapshots,


IMPORT = Made(
    gahb_params.network_spec,
    *("experiment", "set_size", "split"),
    entry="gahb.denoisers.published",
    watching=["architecture"],
)


rule denoiser_imported:
    input:
        published=lambda wildcards: published(wildcards)["file"],
        dataset=dataset_of,
    output:
        weights=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
    log:
        f"{RESULTS}/logs/denoisers/{{experiment}}/N{{set_size}}_{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/denoisers/{{experiment}}/N{{set_size}}_{{split}}.tsv"
    wildcard_constraints:
        experiment=one_of(IMPORTED),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=2000,
    params:
        spec=IMPORT.spec,
        code=IMPORT.code,
        options=published_options,
    message:
        "importing {input.published} as {wildcards.experiment}"
    shell:
        "python -m gahb import {input.published:q} --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output.weights}{params.options} > {log} 2>&1"
