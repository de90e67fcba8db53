(() => {
  "use strict";
  const figures = JSON.parse(document.getElementById("figures-data").textContent);
  const shown = {};
  const hiddenVariants = new Set();
  const canvases = [...document.querySelectorAll(".canvas")];
  const config = {
    displaylogo: false, responsive: true, displayModeBar: false, showSendToCloud: false, scrollZoom: false,
  };

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // A copy of a figure with every `var(--name)` replaced by that colour of the page.
  const themed = (value) => {
    if (Array.isArray(value)) return value.map(themed);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item)]));
    }
    const match = typeof value === "string" && /^var\((--[a-z0-9-]+)\)$/.exec(value);
    return match ? css(match[1]) : value;
  };

  // A title in as many lines as its axis needs.
  const wrapped = (text, width) => {
    const lines = [""];
    for (const word of text.split(" ")) {
      const line = lines[lines.length - 1];
      if (line && (line.length + word.length + 1) * 6.4 > width) lines.push(word);
      else lines[lines.length - 1] = line ? `${line} ${word}` : word;
    }
    return lines.join("<br>");
  };

  const dressed = (layout, width) => {
    const dress = (axis, room) => ({
      gridcolor: css("--grid"), zerolinecolor: css("--rule"), linecolor: css("--rule"), tickcolor: css("--rule"),
      ...axis, title: { ...axis.title, text: wrapped(axis.title.text, room), font: { size: 12, color: css("--soft") } },
    });
    return {
      ...layout, xaxis: dress(layout.xaxis, width * 0.62), yaxis: dress(layout.yaxis, layout.height - 80), dragmode: false, autosize: true,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--ink") },
      hoverlabel: { bgcolor: css("--surface"), bordercolor: css("--rule"), font: { color: css("--ink"), size: 12 }, align: "left" },
    };
  };

  const overlaps = (a, b) => a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;

  // Names beside their points, those on the front first, each where it covers nothing; where there is no room beside, at the
  // end of a short line; else not at all (the hover box has it).
  const spotsOf = (w, h) => {
    const near = [[10, -h / 2], [-w - 10, -h / 2], [-w / 2, -h - 9], [-w / 2, 9], [8, -h - 5], [-w - 8, -h - 5], [8, 5], [-w - 8, 5]];
    const far = [];
    for (const reach of [26, 46, 70, 100, 130]) {
      for (const angle of [60, 90, 30, 120, 150, 45, 135, 75, 10]) {
        const x = reach * Math.cos(angle * Math.PI / 180), y = reach * Math.sin(angle * Math.PI / 180);
        far.push([x - (x < -5 ? w : x > 5 ? 0 : w / 2), y], [x - (x < -5 ? w : x > 5 ? 0 : w / 2), -y - h]);
      }
    }
    return [...near.map((spot) => [...spot, false]), ...far.map((spot) => [...spot, true])];
  };

  const placed = (labels, front, layout, width, height) => {
    const log = layout.xaxis.type === "log";
    const across = (value) => (log ? Math.log10(value) : value);
    const scale = (value, [low, high], length) => ((value - low) / (high - low)) * length;
    const toX = (value) => scale(across(value), layout.xaxis.range, width);
    const toY = (value) => height - scale(value, layout.yaxis.range, height);
    const at = labels.map((label) => ({ ...label, px: toX(label.x), py: toY(label.y) }));
    const taken = at.map((label) => ({ x0: label.px - 7, x1: label.px + 7, y0: label.py - 7, y1: label.py + 7 }));
    for (const line of layout.annotations || []) {
      const y = toY(line.y);
      taken.push({ x0: width - line.text.length * 6.2, x1: width, y0: y - 18, y1: y }, { x0: 0, x1: width, y0: y - 1, y1: y + 1 });
    }
    for (const level of front.y) {
      taken.push({ x0: toX(front.x[0]), x1: width, y0: toY(level) - 1, y1: toY(level) + 1 });
    }
    const annotations = [];
    for (const label of [...at].sort((a, b) => b.first - a.first)) {
      const w = label.text.length * 6.9 + 4, h = 15;
      for (const [dx, dy, line] of spotsOf(w, h)) {
        const box = { x0: label.px + dx, x1: label.px + dx + w, y0: label.py + dy, y1: label.py + dy + h };
        const inside = box.x0 >= 0 && box.x1 <= width + 12 && box.y0 >= -10 && box.y1 <= height;
        if (!inside || taken.some((other) => overlaps(box, other))) continue;
        taken.push(box);
        annotations.push({
          x: across(label.x), y: label.y, text: label.text, showarrow: true, arrowhead: 0, standoff: 7,
          arrowwidth: 0.8, arrowcolor: line ? css("--muted") : "rgba(0,0,0,0)", ax: dx + w / 2, ay: dy + h / 2,
          font: { size: 11.5, color: label.first ? css("--ink") : css("--muted") },
        });
        break;
      }
    }
    return annotations;
  };

  // The same figure without the variants that the reader switched off.
  const without = (figure) => {
    if (!hiddenVariants.size) return figure;
    const keep = (name) => !hiddenVariants.has(name);
    if (figure.labels) {
      const kept = figure.labels.map((label) => keep(label.text));
      const data = figure.data.map((trace) => trace.mode === "markers" ? {
        ...trace, x: trace.x.map((x, i) => (kept[i] ? x : null)), y: trace.y.map((y, i) => (kept[i] ? y : null)),
      } : trace);
      return { ...figure, data, labels: figure.labels.filter((label) => keep(label.text)) };
    }
    const rows = figure.layout.yaxis.categoryarray;
    if (!rows) return figure;
    const categoryarray = rows.filter(keep);
    const data = figure.data.filter((trace) => trace.type === "bar" || keep(trace.y[0])).map((trace) => {
      if (trace.type !== "bar") return trace;
      const chosen = (list) => list.filter((_, i) => keep(trace.y[i]));
      return {
        ...trace, y: chosen(trace.y), x: chosen(trace.x), text: chosen(trace.text), customdata: chosen(trace.customdata),
        marker: { ...trace.marker, color: chosen(trace.marker.color) },
      };
    });
    return { ...figure, data, layout: { ...figure.layout, yaxis: { ...figure.layout.yaxis, categoryarray, range: [-0.6, categoryarray.length - 0.4] } } };
  };

  const draw = async (canvas) => {
    const name = canvas.dataset.plot;
    const figure = themed(without(figures[name][shown[name] || 0]));
    const layout = dressed(figure.layout, canvas.clientWidth);
    if (figure.square) layout.height = Math.min(layout.height, canvas.clientWidth + 40);
    if (canvas.clientWidth < 480 && layout.margin) layout.margin = { ...layout.margin, l: 44, r: 10 };
    await Plotly.react(canvas, figure.data, layout, config);
    if (figure.labels) {
      const area = canvas.querySelector(".nsewdrag").getBoundingClientRect();
      const names = placed(figure.labels, figure.data[0], layout, area.width, area.height);
      await Plotly.relayout(canvas, { annotations: [...(layout.annotations || []), ...names] });
    }
    canvas.dataset.drawn = "yes";
  };

  const drawAll = () => Promise.all(canvases.map(draw));

  for (const select of document.querySelectorAll("select[data-plot]")) {
    select.addEventListener("change", () => {
      const name = select.dataset.plot;
      shown[name] = Number(select.value);
      for (const notes of document.querySelectorAll(`.notes[data-plot="${name}"]`)) {
        notes.hidden = Number(notes.dataset.view) !== shown[name];
      }
      draw(canvases.find((canvas) => canvas.dataset.plot === name));
    });
  }
  for (const button of document.querySelectorAll(".key button")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!on));
      if (on) hiddenVariants.add(button.dataset.variant); else hiddenVariants.delete(button.dataset.variant);
      drawAll();
    });
  }
  const openTarget = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target || target.tagName !== "DETAILS") return;
    target.open = true;
    target.parentElement.closest("details").open = true;
    target.scrollIntoView();
  };
  let width = innerWidth;
  let waiting = 0;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 150);
  });
  addEventListener("hashchange", openTarget);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  openTarget();
  drawAll().then(() => { document.documentElement.dataset.ready = "yes"; });
})();
