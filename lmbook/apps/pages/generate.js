// The page of `lmbook generate`: a text that grows, and what comes next.
import { $, ask, make, run, stop } from "./page.js";

const sliders = ["temperature", "top_p", "penalty"];

function settings() {
  const number = (id) => Number($(id).value);
  return {
    prompt: $("prompt").value,
    method: $("method").value,
    tokens: number("tokens"),
    temperature: number("temperature"),
    top_p: number("top_p"),
    top_k: number("top_k"),
    penalty: number("penalty"),
    seed: number("seed"),
    beams: number("beams"),
  };
}

function show() {
  for (const id of sliders) $(`${id}-now`).textContent = $(id).value;
  const method = $("method").value;
  for (const element of document.querySelectorAll(".sampled")) element.classList.toggle("hidden", method !== "sample");
  for (const element of document.querySelectorAll(".beamed")) element.classList.toggle("hidden", method !== "beam");
  $("penalty").parentElement.classList.toggle("hidden", method === "beam");
}

// A token so that a space or the end of a line can be seen.
const visible = (text) => text.replaceAll(" ", "\u2423").replaceAll("\n", "\u21b5") || "(part of a character)";

async function next(prompt, signal) {
  const cell = (p) => make("td", { className: "number" }, p < 0.0005 ? "0" : `${(100 * p).toFixed(1)} %`);
  await ask("next", { ...settings(), prompt }, ({ tokens }) => {
    const most = Math.max(...tokens.map(([, , drawn]) => drawn), 1e-9);
    const rows = tokens.map(([text, own, drawn]) => {
      const bar = make("span", { className: "bar" });
      bar.style.width = `${(100 * drawn) / most}%`;
      return make("tr", {}, make("th", { scope: "row", className: "text" }, visible(text)), cell(own), cell(drawn),
        make("td", { ariaHidden: "true", width: "40%" }, bar));
    });
    const heads = ["token", "model", "drawn from"].map((name, i) =>
      make("th", { scope: "col", className: i ? "number" : "" }, name));
    $("next").replaceChildren(make("table", {},
      make("caption", {}, "The likeliest tokens after the text: the model's probability, and what the settings make of it."),
      make("thead", {}, make("tr", {}, ...heads, make("td", { ariaHidden: "true" }))),
      make("tbody", {}, ...rows)));
  }, signal);
}

async function write(signal) {
  const given = settings();
  const text = $("text");
  text.replaceChildren(given.prompt);
  const written = make("mark");
  text.append(written);
  text.setAttribute("aria-busy", "true");
  const start = performance.now();
  let count = 0;
  try {
    await ask("write", given, (line) => {
      written.append(line.text);
      count = line.tokens;
      $("status").textContent = `${count} tokens`;
    }, signal);
  } finally {
    text.setAttribute("aria-busy", "false");
  }
  const seconds = (performance.now() - start) / 1000;
  await next(text.textContent, signal);
  return `${count} tokens in ${seconds.toFixed(1)} s`;
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  run(write, "The model reads the text ...");
});
$("form").addEventListener("input", show);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
});
show();
ask("about", {}, ({ model }) => { $("model").textContent = model; }).catch(() => {});
