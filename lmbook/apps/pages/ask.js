// The assistant: a question, the answer marked in its passage, and the passages that were read.
import { $, ask, make, run, stop } from "./page.js";

const marked = (c) => {
  const text = make("p", { className: "text" });
  text.append(c.passage.slice(0, c.start), make("mark", {}, c.text), c.passage.slice(c.stop));
  return text;
};

function show(reply, final) {
  const [best] = reply.candidates;
  if (final) {
    $("answer").replaceChildren(
      ...(reply.answered
        ? [make("p", { className: "answer" }, reply.text), marked(best), make("p", { className: "hint" }, best.citation)]
        : [make("p", { className: "answer" }, "No answer. ", reply.text)]),
    );
  }
  $("passages").replaceChildren(
    ...reply.candidates.map((c) => {
      const details = make("details", {});
      details.append(make("summary", {}, `${c.score.toFixed(2)}  ${c.citation}`), marked(c));
      return details;
    }),
  );
  if (!reply.candidates.length) $("passages").append(make("p", { className: "hint" }, "None was read."));
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  run(async (signal) => {
    $("answer").setAttribute("aria-busy", "true");
    let last = null;
    try {
      await ask("ask", { question: $("question").value, passages: $("k").value }, (reply) => {
        last = reply;
        $("status").textContent = `Read ${reply.read} of ${reply.of} passages ...`;
        show(reply, false);
      }, signal);
      show(last, true);
    } finally {
      $("answer").setAttribute("aria-busy", "false");
    }
    return last.answered ? "Answered." : "Refused.";
  }, "Searching ...");
});
$("stop").addEventListener("click", stop);
addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });

ask("about", {}, ({ sources }) => {
  const said = { python: "passages of Python's language reference", book: "passages of the book" };
  const parts = Object.entries(sources).map(([name, n]) => `${n.toLocaleString("en")} ${said[name]}`);
  $("about").textContent = `Searched: ${parts.join(", ")}.` + (sources.book ? "" : " The book's own pages need a clone of its repository.");
}).catch(() => {});
