EVALUATION = Made(
    gahb_params.evaluation_spec,
    *("experiment", "set_size", "split"),
    entry="gahb.evaluation.of_network",
    watching=["architecture"],
)
MEMORISING = Made(
    gahb_params.memorising_spec,
    "experiment",
    "set_size",
    "split",
    entry="gahb.evaluation.of_optimum",
)
AGREEMENT = Made(
    gahb_params.agreement_spec,
    *("experiment", "set_size"),
    entry="gahb.evaluation.agreement",
    watching=["architecture"],
)
CONTROL = Made(
    gahb_params.control_spec,
    *("experiment", "set_size"),
    entry="gahb.evaluation.agreement",
    watching=["architecture"],
)
ELBO = Made(
    gahb_params.elbo_spec,
    "experiment",
    entry="gahb.evaluation.likelihood",
    watching=["dataset", "exact", "architecture"],
)
REFERENCE = Made(
    gahb_params.reference_spec,
    *("image_class", "reference"),
    entry="gahb.evaluation.of_reference",
    watching=["reference"],
)
ENSEMBLE = Made(
    gahb_params.ensemble_spec,
    "experiment",
    entry="gahb.evaluation.ensembles",
    watching=["dataset", "exact", "architecture"],
)
SUMMARY = Made(gahb_params.summary_spec, entry="gahb.evaluation.summary")
REFERENCES = [
    f"{RESULTS}/evaluation/references/{measured['image_class']}/{measured['reference']}.csv"
    for measured in MEASURED_REFERENCES
]
AGREEMENTS = pairs(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_agreement.csv", EVALUATED)
CONTROLS = gahb_params.control_sizes(PARAMS)
CONTROLLED = [
    f"{RESULTS}/evaluation/{name}/N{set_size}_control.csv"
    for name, set_sizes in CONTROLS.items()
    for set_size in set_sizes
]
ENSEMBLES = expand(f"{RESULTS}/evaluation/{{experiment}}/ensembles.csv", experiment=COMPARED)
BOUNDED = any(
    gahb_params.exact_is_known(PARAMS, PARAMS["experiments"][name]["image_class"])
    for name in COMPARED
)
ELBOS = [
    f"{RESULTS}/evaluation/{name}/elbo.csv"
    for name in COMPARED
    if "elbo" in PARAMS["ensembles"]
    and gahb_params.likelihood_is_known(PARAMS, PARAMS["experiments"][name]["image_class"])
]
GAPS = [f"{RESULTS}/evaluation/gaps.csv"] * bool(REFERENCES)
DENSITY = [f"{RESULTS}/evaluation/density.csv"] * BOUNDED


rule evaluation:
    input:
        networks(f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv", EVALUATED),
        networks(
            f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}_memorising.csv",
            {name: one for name, one in EVALUATED.items() if name not in IMPORTED},
        ),
        AGREEMENTS,
        CONTROLLED,
        ENSEMBLES,
        ELBOS,
        f"{RESULTS}/evaluation/summary.csv",
        [f"{RESULTS}/evaluation/references.csv"] * bool(REFERENCES),
        GAPS,
        DENSITY,
        f"{RESULTS}/evaluation/metrics.json",


rule evaluation_network:
    input:
        dataset=dataset_of,
        network=f"{RESULTS}/denoisers/{{experiment}}/N{{set_size}}_{{split}}.safetensors",
    output:
        table=report(
            f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv",
            caption="../report/network.rst",
            category="Errors of networks",
            subcategory="{experiment}",
            labels=network_labels,
        ),
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
        runtime=minutes(2),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=EVALUATION.spec,
        code=EVALUATION.code,
    message:
        "evaluating {input.network}"
    shell:
        "python -m gahb evaluation network --spec {params.spec:q} --dataset {input.dataset}"
        " --network {input.network} --output {output.table} > {log} 2>&1"


rule evaluation_memorising:
    input:
        dataset=dataset_of,
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
        runtime=minutes(2),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=MEMORISING.spec,
        code=MEMORISING.code,
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
        runtime=minutes(3),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=AGREEMENT.spec,
        code=AGREEMENT.code,
    message:
        "comparing the two networks of {wildcards.experiment} at N = {wildcards.set_size}"
    shell:
        "python -m gahb evaluation agreement --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --output {output.table} > {log} 2>&1"


rule evaluation_control:
    input:
        dataset=dataset_of,
        networks=controlled,
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_control.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_control.json",
        draws=f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_control.h5",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/N{{set_size}}_control.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/N{{set_size}}_control.tsv"
    wildcard_constraints:
        experiment=one_of(CONTROLS),
    conda:
        ENVIRONMENT
    threads: PARAMS["evaluation"]["threads"]
    resources:
        runtime=minutes(3),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=CONTROL.spec,
        code=CONTROL.code,
    message:
        "comparing two trainings on one set at N = {wildcards.set_size} ({wildcards.experiment})"
    shell:
        "python -m gahb evaluation agreement --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --output {output.table} > {log} 2>&1"


rule evaluation_reference:
    input:
        dataset=f"{RESULTS}/datasets/{{image_class}}.h5",
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
        runtime=minutes(4),
        mem_mb=3000,
    params:
        spec=REFERENCE.spec,
        code=REFERENCE.code,
    message:
        "evaluating {wildcards.reference} on {wildcards.image_class}"
    shell:
        "python -m gahb evaluation reference --spec {params.spec:q} --dataset {input.dataset}"
        " --output {output.table} > {log} 2>&1"


rule evaluation_ensembles:
    input:
        dataset=dataset_of,
        networks=networks_of,
        snapshots=snapshots_of(),
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/ensembles.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/ensembles.json",
        draws=f"{RESULTS}/evaluation/{{experiment}}/ensembles.h5",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/ensembles.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/ensembles.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["ensembles"]["threads"]
    resources:
        runtime=minutes(31),
        mem_mb=training_set_mb,
        gpu=gpus,
    params:
        spec=ENSEMBLE.spec,
        code=ENSEMBLE.code,
    message:
        "comparing all networks of {wildcards.experiment} with each other and with optima"
    shell:
        "python -m gahb evaluation ensembles --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --snapshots {input.snapshots} --output {output.table}"
        " > {log} 2>&1"


rule evaluation_elbo:
    input:
        dataset=dataset_of,
        networks=networks_of,
    output:
        table=f"{RESULTS}/evaluation/{{experiment}}/elbo.csv",
        sidecar=f"{RESULTS}/evaluation/{{experiment}}/elbo.json",
    log:
        f"{RESULTS}/logs/evaluation/{{experiment}}/elbo.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{experiment}}/elbo.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS["ensembles"]["threads"]
    resources:
        runtime=minutes(2),
        mem_mb=process_mb,
        gpu=gpus,
    params:
        spec=ELBO.spec,
        code=ELBO.code,
    message:
        "bounds on the likelihood of {wildcards.experiment}"
    shell:
        "python -m gahb evaluation elbo --spec {params.spec:q} --dataset {input.dataset}"
        " --networks {input.networks} --output {output.table} > {log} 2>&1"


rule evaluation_density:
    input:
        tables=ENSEMBLES,
        draws=[path.replace(".csv", ".h5") for path in ENSEMBLES],
    output:
        table=report(
            f"{RESULTS}/evaluation/density.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "density"},
        ),
        sidecar=f"{RESULTS}/evaluation/density.json",
    log:
        f"{RESULTS}/logs/evaluation/density.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/density.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.evaluation.divergence"),
    message:
        "bounds on the divergence of the learned densities"
    shell:
        "python -m gahb evaluation density --ensembles {input.tables} --output {output.table}"
        " > {log} 2>&1"


rule evaluation_references:
    input:
        tables=REFERENCES,
        draws=[path.replace(".csv", ".h5") for path in REFERENCES],
    output:
        table=report(
            f"{RESULTS}/evaluation/references.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "references"},
        ),
        sidecar=f"{RESULTS}/evaluation/references.json",
    log:
        f"{RESULTS}/logs/evaluation/references.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/references.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        spec=SUMMARY.spec,
        code=code(
            "gahb.evaluation.gaps", *(m for r in MEASURED_REFERENCES for m in REFERENCE.named(r))
        ),
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
    output:
        table=report(
            f"{RESULTS}/evaluation/gaps.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "gaps"},
        ),
        sidecar=f"{RESULTS}/evaluation/gaps.json",
    log:
        f"{RESULTS}/logs/evaluation/gaps.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/gaps.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.evaluation.gaps"),
    message:
        "networks against exact and classical denoisers"
    shell:
        "python -m gahb evaluation gaps --tables {input.tables} --references {input.references}"
        " --output {output.table} > {log} 2>&1"


rule evaluation_summary:
    input:
        tables=networks(
            f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv", EVALUATED
        ),
        comparisons=[*AGREEMENTS, *CONTROLLED],
        references=REFERENCES,
        draws=[
            *networks(
                f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.h5", EVALUATED
            ),
            *[path.replace(".csv", ".h5") for path in [*AGREEMENTS, *CONTROLLED, *REFERENCES]],
        ],
    output:
        table=report(
            f"{RESULTS}/evaluation/summary.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "summary"},
        ),
        sidecar=f"{RESULTS}/evaluation/summary.json",
    log:
        f"{RESULTS}/logs/evaluation/summary.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/summary.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        spec=SUMMARY.spec,
        code=code("gahb.evaluation.summary", *classes(EVALUATED)),
    message:
        "summarising all networks"
    shell:
        "python -m gahb evaluation summary --spec {params.spec:q} --tables {input.tables}"
        " --comparisons {input.comparisons} --references {input.references} --output {output.table} > {log} 2>&1"
