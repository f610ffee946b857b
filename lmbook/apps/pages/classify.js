// Image recognition: send a photograph, show its names, and the map of the one that is chosen.
import { $, ask, make, run } from "./page.js";

const MOST = 25e6;

function send(file) {
  if (!file) {
    $("error").textContent = "Choose a photograph first.";
    $("file").focus();
    return;
  }
  run(async (signal) => {
    if (file.size > MOST) throw new Error(`that file has ${(file.size / 1e6).toFixed(0)} MB; 25 are the most`);
    let best;
    await ask(`classify?name=${encodeURIComponent(file.name)}`, file, (answer) => (best = show(answer)), signal);
    return best;
  }, "Looking ...");
}

function show(answer) {
  $("picture").src = answer.picture;
  const rows = answer.guesses.map((guess, i) => {
    const radio = make("input", { type: "radio", name: "guess", checked: i === 0 });
    radio.addEventListener("change", () => mark(guess));
    const share = `${(100 * guess.probability).toFixed(1)} %`;
    const bar = make("span", { className: "bar" });
    bar.style.width = `${100 * guess.probability}%`;
    const words = make("span", { className: "words" }, guess.name);
    return make("label", { className: "name" }, radio, words, make("span", { className: "share" }, share),
      make("span", { className: "track", ariaHidden: "true" }, bar));
  });
  $("names").replaceChildren(...rows);
  mark(answer.guesses[0]);
  $("answer").classList.remove("hidden");
  const [first] = answer.guesses;
  return `${first.name.split(",")[0]}, ${(100 * first.probability).toFixed(1)} %`;
}

function mark(guess) {
  $("heat").src = guess.heat;
  $("heat").alt = guess.alt;
}

$("strength").addEventListener("input", () => ($("heat").style.opacity = $("strength").value));
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  send($("file").files[0]);
});
$("file").addEventListener("change", () => $("file").files[0] && send($("file").files[0]));

// A photograph may be dropped anywhere on the page, or pasted.
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("form").classList.add("over");
});
for (const end of ["dragleave", "drop"]) addEventListener(end, () => $("form").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  send(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => event.clipboardData.files[0] && send(event.clipboardData.files[0]));
