"use strict";
// What a person chooses is looked up in the data and shown. Plotly draws the curves.
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const COLOURS = ["#7a5ab5", "#3f6fd0", "#1b87a6", "#1f8a52", "#6f8a12", "#b07a00", "#cf5020", "#bd3276"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "cross", "star", "triangle-down"];
const SIGNS = ["●", "■", "◆", "▲", "✖", "✚", "★", "▼"];
const SIDES = [["#cf5020", "dash", "diamond"], ["#3f6fd0", "solid", "circle"]].map(([color, dash, symbol]) => ({
  values: { mode: "lines", line: { color, dash, width: 2 } },
  coefficients: { mode: "markers", marker: { color, symbol, size: 5 } },
}));

const symbol = (i) => (i + 3 * Math.floor(i / COLOURS.length)) % SYMBOLS.length; // no two alike in both

function fill(select, labels, chosen) {
  select.replaceChildren(...labels.map((label, i) => new Option(label, i, i === chosen, i === chosen)));
}

function show(id, picture, alt) {
  at(id).src = "data:image/webp;base64," + picture;
  at(id).alt = alt;
}

function table(id, head, rows) {
  const row = (cells, kind) => {
    const line = document.createElement("tr");
    line.append(...cells.map((text, i) => {
      const cell = document.createElement(kind === "td" && i === 0 ? "th" : kind);
      if (cell.tagName === "TH") cell.scope = kind === "th" ? "col" : "row";
      cell.textContent = text ?? "";
      return cell;
    }));
    return line;
  };
  const top = document.createElement("thead");
  const body = document.createElement("tbody");
  top.append(row(head, "th"));
  body.append(...rows.map((cells) => row(cells, "td")));
  at(id).replaceChildren(top, body);
}

function chart(id, traces, x, y, { shapes = [], legend = false } = {}) {
  const axis = { fixedrange: true, automargin: true, zeroline: false, exponentformat: "none" };
  Plotly.react(id, traces, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false, shapes,
    font: { family: "inherit", size: 13 }, margin: { l: 50, r: 10, t: 10, b: 45 },
    showlegend: legend, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, itemclick: false, itemdoubleclick: false },
    xaxis: { ...axis, ...x }, yaxis: { ...axis, ...y }, hovermode: "closest",
  }, { displayModeBar: false, responsive: true });
}

function bases() {
  const value = (name) => Number(at("bases-" + name).value);
  const group = () => data.bases[value("group")];
  const sides = () => ["left", "right"].map((side) => group().denoisers[value(side)]);

  function choose() {
    const { denoisers, sigmas, images } = group();
    const labels = denoisers.map((one) => one.label);
    const networks = labels.filter((label) => label.startsWith("network")).length;
    fill(at("bases-left"), labels, networks > 2 ? 1 : networks > 1 ? 0 : labels.length - 1);
    fill(at("bases-right"), labels, networks - 1);
    fill(at("bases-sigma"), sigmas, sigmas.reduce((best, s, i) => Math.abs(s - 0.1) < Math.abs(sigmas[best] - 0.1) ? i : best, 0));
    fill(at("bases-image"), images, 0);
    at("bases-words").textContent = group().words;
    update();
  }

  function update() {
    const views = sides().map((one) => one.views[value("image")][value("sigma")]);
    const sigma = group().sigmas[value("sigma")];
    show("bases-clean", views[1].clean, "clean test image");
    show("bases-noisy", views[1].noisy, `the same image with noise of σ = ${sigma}`);
    at("bases-input").textContent = `noisy, ${views[1].input.toFixed(1)} dB`;
    views.forEach((view, i) => {
      const label = sides()[i].label;
      show("bases-denoised-" + i, view.denoised, `denoised by the ${label}, ${view.output} dB`);
      at("bases-output-" + i).textContent = `${label}: ${view.output.toFixed(1)} dB; trace of J ${view.trace.toPrecision(3)}, asymmetry ${view.asymmetry.toPrecision(2)}`;
    });
    at("bases-k").max = Math.max(...views.map((view) => view.vectors.length));
    const rows = new Map();
    views.forEach((view, i) => view.k.forEach((k, j) => {
      if (!rows.has(k)) rows.set(k, [k, "", "", "", ""]);
      rows.get(k).splice(1 + 2 * i, 2, view.values[j], view.coefficients[j]);
    }));
    const head = sides().flatMap((one) => [`λ, ${one.label}`, `|⟨x, e⟩|, ${one.label}`]);
    table("bases-numbers", ["k", ...head], [...rows.values()].sort((a, b) => a[0] - b[0]));
    slide();
  }

  function slide() {
    const k = Number(at("bases-k").value);
    const views = sides().map((one) => one.views[value("image")][value("sigma")]);
    at("bases-k-now").textContent = k;
    at("bases-k").setAttribute("aria-valuetext", `k = ${k}`);
    const told = views.map((view, i) => {
      const kept = k <= view.vectors.length;
      const [lambda, coefficient] = view.of_vectors[Math.min(k, view.vectors.length) - 1];
      const text = kept ? `λ = ${lambda.toFixed(3)}, |⟨x, e⟩| = ${coefficient.toPrecision(3)}` : "not kept";
      const picture = at("bases-vector-" + i);
      picture.style.visibility = kept ? "visible" : "hidden";
      show("bases-vector-" + i, view.vectors[Math.min(k, view.vectors.length) - 1], `eigenvector ${k} of the ${sides()[i].label}: ${text}`);
      at("bases-vector-caption-" + i).textContent = `${sides()[i].label}: ${text}`;
      return `${sides()[i].label}: ${text}`;
    });
    at("bases-status").textContent = `k = ${k}. ${told.join(". ")}`;
    const shapes = [{ type: "line", x0: k, x1: k, y0: 0, y1: 1, yref: "paper", line: { width: 1, dash: "dot" } }];
    const traces = (name) => views.map((view, i) => ({ x: view.k, y: view[name], name: (i ? "right: " : "left: ") + sides()[i].label, ...SIDES[i][name] }));
    chart("values", traces("values"), { type: "log", title: { text: "k" }, dtick: 1 }, {}, { shapes, legend: true });
    chart("coefficients", traces("coefficients"), { type: "log", title: { text: "k" }, dtick: 1 }, { type: "log", dtick: 1 }, { shapes, legend: true });
  }

  fill(at("bases-group"), data.bases.map((one) => one.name), 0);
  at("bases-group").addEventListener("change", choose);
  for (const name of ["left", "right", "sigma", "image"]) at("bases-" + name).addEventListener("change", update);
  at("bases-k").addEventListener("input", slide);
  choose();
}

function samples() {
  const value = (name) => Number(at("samples-" + name).value);
  const group = () => data.samples[value("group")];

  function choose() {
    fill(at("samples-size"), group().sizes.map((one) => one.set_size), group().sizes.length - 1);
    at("samples-words").textContent = group().words;
    size();
  }

  function size() {
    fill(at("samples-number"), group().sizes[value("size")].shown.map((_, i) => i + 1), 0);
    update();
  }

  function update() {
    const chosen = group().sizes[value("size")];
    const one = chosen.shown[value("number")];
    const captions = [
      `closest image of S1, correlation ${one.closest[0]}`, "sample of the network of S1",
      "sample of the network of S2", `closest image of S2, correlation ${one.closest[1]}`,
    ];
    captions.forEach((caption, i) => {
      show("samples-picture-" + i, one.pictures[i], caption);
      at("samples-caption-" + i).textContent = caption;
    });
    at("samples-status").textContent = `N = ${chosen.set_size}: the two samples have a correlation of ${one.between}. Mean of ${chosen.count} samples: ` +
      `${chosen.between} with each other, ${chosen.closest} with the closest image of the own training set.`;
  }

  fill(at("samples-group"), data.samples.map((one) => one.name), 0);
  at("samples-group").addEventListener("change", choose);
  at("samples-size").addEventListener("change", size);
  at("samples-number").addEventListener("change", update);
  choose();
}

function curves() {
  const group = () => data.curves[Number(at("curves-group").value)];
  const ticked = (id) => [...at(id).querySelectorAll("input")].map((box) => box.checked);

  function boxes(id, labels, checked, signs) {
    at(id).replaceChildren(...labels.map((text, i) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      Object.assign(box, { type: "checkbox", checked: checked(i) });
      box.addEventListener("change", update);
      label.append(box);
      if (signs) {
        const sign = document.createElement("span");
        sign.ariaHidden = "true";
        sign.style.color = COLOURS[i % COLOURS.length];
        sign.textContent = SIGNS[symbol(i)];
        label.append(sign);
      }
      label.append(text);
      return label;
    }));
  }

  function choose() {
    const list = group().curves;
    const sets = [...new Set(list.flatMap((one) => Object.keys(one.on)))];
    boxes("curves-sets", sets, () => true, false);
    boxes("curves-labels", list.map((one) => one.label), (i) => list[i].label.startsWith("N"), true);
    at("curves-words").textContent = group().words;
    update();
  }

  function update() {
    const sets = [...at("curves-sets").querySelectorAll("label")].map((label) => label.textContent).filter((_, i) => ticked("curves-sets")[i]);
    const traces = [];
    group().curves.forEach((one, i) => {
      if (!ticked("curves-labels")[i]) return;
      for (const set of sets.filter((name) => name in one.on)) {
        const { x, y, error } = one.on[set];
        const test = set.startsWith("test");
        traces.push({
          x, y, name: `${one.label}, ${set}`, error, mode: test ? "lines+markers" : "lines",
          marker: { symbol: SYMBOLS[symbol(i)], size: 8 }, line: { color: COLOURS[i % COLOURS.length], width: 2, dash: test ? "solid" : "dash" },
          hovertemplate: "%{x:.1f} dB in, %{y:.2f} dB out",
        });
      }
    });
    const inputs = group().curves[0].on[Object.keys(group().curves[0].on)[0]].x;
    const ends = [Math.min(...inputs), Math.max(...inputs)];
    const equal = { x: ends, y: ends, name: "output = input", mode: "lines", line: { color: "#888888", dash: "dot", width: 1.5 }, hoverinfo: "skip" };
    chart("psnr", [equal, ...traces], { title: { text: "input PSNR in dB" } }, { title: { text: "output PSNR in dB" } });
    const rows = [...inputs.keys()].map((i) => [inputs[i].toFixed(1), ...traces.map((one) => one.y[i] === null ? "" : `${one.y[i].toFixed(2)} ± ${(one.error[i] ?? 0).toFixed(2)}`)]);
    table("curves-numbers", ["input dB", ...traces.map((one) => one.name)], rows);
  }

  fill(at("curves-group"), data.curves.map((one) => one.name), 0);
  at("curves-group").addEventListener("change", choose);
  choose();
}

if (data.bases.length) bases();
if (data.samples.length) samples();
if (data.curves.length) curves();
