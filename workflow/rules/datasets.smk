rule datasets:
    input:
        expand(f"{RESULTS}/datasets/{{image_class}}.h5", image_class=USED_IMAGE_CLASSES),


DATASET = Made(
    gahb_params.dataset_spec,
    "image_class",
    entry="gahb.datasets.store",
    watching=["dataset"],
)


rule dataset:
    input:
        lambda wildcards: FILES.get(wildcards.image_class, []),
    output:
        f"{RESULTS}/datasets/{{image_class}}.h5",
    log:
        f"{RESULTS}/logs/datasets/{{image_class}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/datasets/{{image_class}}.tsv"
    priority: 10
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(2),
        mem_mb=2000,
    params:
        spec=DATASET.spec,
        code=DATASET.code,
        listing=lambda wildcards: LISTINGS.get(wildcards.image_class, ""),
    message:
        "making the images of {wildcards.image_class}"
    shell:
        "python -m gahb datasets --spec {params.spec:q} --threads {threads} --output {output} > {log} 2>&1"
