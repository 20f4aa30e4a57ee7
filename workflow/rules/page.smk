# A page to look at, in one file, and what `snakemake --report` shows. `snakemake page` makes the page; `all` does not
# need it: it says nothing that results do not, and is large. Like report.html it lies beside the results, not among them.


rule page:
    input:
        claims=CLAIMED,
        scales=OTHER_SCALES,
        spectra=[path for path in rules.spectra.input if path.endswith(".h5")],
        samples=[path.replace(".csv", ".h5") for path in PAIRS],
        psnr=networks(
            f"{RESULTS}/evaluation/{{experiment}}/N{{set_size}}_{{split}}.csv",
            {name: one | {"splits": one["splits"][:1]} for name, one in EVALUATED.items()},
        ),
        references=REFERENCES,
        captions=expand(f"{RESULTS}/figures/{{figure}}.rst", figure=PARAMS["figures"]),
        pictures=expand(f"{RESULTS}/figures/{{figure}}.png", figure=PARAMS["figures"]),
    output:
        f"page-{literal(Path(config['preset']).stem)}.html" if "preset" in config else "page.html",
    log:
        f"{RESULTS}/logs/page.log",
    benchmark:
        f"{RESULTS}/benchmarks/page.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        code=SOURCES.digest(
            ["gahb.page.make"], [f"page/page.{kind}" for kind in ("html", "css", "js")]
        ),
    message:
        "making the page to look at"
    shell:
        "python -m gahb page --claims {input.claims} --scales {input.scales}"
        " --inputs {input.spectra} {input.samples} {input.psnr} {input.references}"
        " --figures {input.captions} --output {output} > {log} 2>&1"
