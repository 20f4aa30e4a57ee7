rule figures:
    input:
        expand(
            f"{RESULTS}/figures/{{figure}}.{{kind}}",
            figure=PARAMS["figures"],
            kind=["png", "pdf", "rst"],
        ),
        f"{RESULTS}/README.md",


rule figure:
    input:
        data=figure_inputs,
    output:
        png=report(
            f"{RESULTS}/figures/{{figure}}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        caption=f"{RESULTS}/figures/{{figure}}.rst",
    log:
        f"{RESULTS}/logs/figures/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/{{figure}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        spec=lambda wildcards: as_json(gahb_params.figure_spec(PARAMS, wildcards.figure)),
        code=figure_code,
    message:
        "drawing {wildcards.figure}"
    shell:
        "python -m gahb figures {wildcards.figure} --spec {params.spec:q} --inputs {input.data}"
        " --output {output} > {log} 2>&1"


rule results_page:
    input:
        tables=[f"{RESULTS}/evaluation/summary.csv", *GAPS, *DENSITY, *ELBOS, *PAIRS],
        claims=CLAIMED,
        scales=OTHER_SCALES,
        captions=expand(f"{RESULTS}/figures/{{figure}}.rst", figure=PARAMS["figures"]),
        pictures=expand(f"{RESULTS}/figures/{{figure}}.png", figure=PARAMS["figures"]),
    output:
        f"{RESULTS}/README.md",
    log:
        f"{RESULTS}/logs/figures/results_page.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/results_page.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=code("gahb.provenance.results_page"),
    message:
        "putting figures and tables on one page"
    shell:
        "python -m gahb provenance results-page --claims {input.claims} --scales {input.scales}"
        " --tables {input.tables} --figures {input.captions} --output {output} > {log} 2>&1"
