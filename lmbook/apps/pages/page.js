// What the three pages share: asking the program, and saying what comes of it.

export const $ = (id) => document.getElementById(id);

// Ask an action; `given` is an object, or a File. Each line of a stream goes to `line` as it comes, and so does
// a single answer. Throws an Error with the program's own sentence. `signal` of an AbortController stops it.
export async function ask(action, given, line, signal) {
  const isFile = given instanceof Blob;
  let answer;
  try {
    answer = await fetch(action, {
      method: "POST",
      headers: { "Content-Type": isFile ? "application/octet-stream" : "application/json" },
      body: isFile ? given : JSON.stringify(given),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the program does not answer; is it still running in its terminal?");
  }
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error ?? `the program answered ${answer.status}`);
  }
  if (!answer.headers.get("Content-Type").startsWith("application/jsonl")) {
    line(await answer.json());
    return;
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const text of lines) {
      const said = JSON.parse(text);
      if (said.error) throw new Error(said.error);
      line(said);
    }
  }
}

// Run `work(signal)` with the page's buttons set for it: #go waits, #stop stops, #status and #error speak.
let running = null;
export async function run(work, busy = "Working ...") {
  stop();
  const mine = new AbortController();
  running = mine;
  $("error").textContent = "";
  $("status").textContent = busy;
  $("go").disabled = true;
  if ($("stop")) $("stop").disabled = false;
  try {
    $("status").textContent = (await work(mine.signal)) ?? "";
  } catch (error) {
    if (running !== mine) return;
    $("status").textContent = error.name === "AbortError" ? "Stopped." : "";
    if (error.name !== "AbortError") $("error").textContent = sentence(error.message);
  } finally {
    if (running === mine) {
      running = null;
      $("go").disabled = false;
      if ($("stop")) $("stop").disabled = true;
    }
  }
}

export function stop() {
  running?.abort();
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// An element: make("td", { className: "number" }, "12"); texts are never read as HTML.
export function make(tag, properties = {}, ...inside) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...inside);
  return element;
}

// A table of {name: share}, with bars; shares are from 0 to 1.
export function shares(caption, head, rows) {
  const body = rows.map(([name, share]) => {
    const bar = make("span", { className: "bar" });
    bar.style.width = `${100 * share}%`;
    return make("tr", {}, make("th", { scope: "row" }, name), make("td", { className: "number" },
      `${(100 * share).toFixed(1)} %`), make("td", { ariaHidden: "true" }, bar));
  });
  const heads = [make("th", { scope: "col" }, head), make("th", { scope: "col", className: "number" }, "share"),
    make("td", { ariaHidden: "true", width: "45%" })];
  return make("table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, ...heads)),
    make("tbody", {}, ...body));
}

// Ctrl+Enter (Cmd+Enter) anywhere in a form sends it.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("go")?.click();
});
$("stop")?.addEventListener("click", stop);
