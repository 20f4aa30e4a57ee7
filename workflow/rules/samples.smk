SAMPLES = Made(
    gahb_params.samples_spec,
    *("experiment", "set_size"),
    entry="gahb.samples.pair",
    watching=["architecture", "sampling"],
)
SAMPLES_OVER_TRAINING = Made(
    gahb_params.samples_over_training_spec,
    "experiment",
    entry="gahb.samples.over_training",
    watching=["architecture", "sampling"],
)
PAIRS = pairs(
    f"{RESULTS}/samples/{{experiment}}/N{{set_size}}.csv", PARAMS["sampling"]["experiments"]
)


rule samples:
    input:
        PAIRS,
        expand(
            f"{RESULTS}/samples/{{experiment}}/updates.csv",
            experiment=[name for name in PARAMS["sampling"]["experiments"] if name in FOLLOWED],
        ),


rule sample_pair:
    input:
        dataset=dataset_of,
        networks=expand(
            f"{RESULTS}/denoisers/{{{{experiment}}}}/N{{{{set_size}}}}_{{split}}.safetensors",
            split=["S1", "S2"],
        ),
    output:
        table=report(
            f"{RESULTS}/samples/{{experiment}}/N{{set_size}}.csv",
            caption="../report/samples.rst",
            category="Samples",
            subcategory="{experiment}",
            labels=size_label,
        ),
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
        runtime=minutes(8),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=SAMPLES.spec,
        code=SAMPLES.code,
    message:
        "sampling from the two networks of {wildcards.experiment} at N = {wildcards.set_size}"
    shell:
        "python -m gahb samples pair --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --output {output.table} > {log} 2>&1"


rule samples_over_training:
    input:
        dataset=dataset_of,
        snapshots=snapshots_of(["S1", "S2"]),
    output:
        table=f"{RESULTS}/samples/{{experiment}}/updates.csv",
        sidecar=f"{RESULTS}/samples/{{experiment}}/updates.json",
    log:
        f"{RESULTS}/logs/samples/{{experiment}}/updates.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples/{{experiment}}/updates.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["sampling"]["threads"]
    resources:
        runtime=minutes(13),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=SAMPLES_OVER_TRAINING.spec,
        code=SAMPLES_OVER_TRAINING.code,
    message:
        "sampling from the two networks of {wildcards.experiment} while they learn"
    shell:
        "python -m gahb samples updates --spec {params.spec:q} --dataset {input.dataset}"
        " --snapshots {input.snapshots} --output {output.table} > {log} 2>&1"
