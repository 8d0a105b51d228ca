// What the page asks of its server. A computation is a stream of events that ends when it is aborted.

export class Told extends Error {
  constructor(message, field = "") {
    super(message);
    this.field = field;
  }
}

async function answered(asking) {
  let reply;
  try {
    reply = await asking;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Told("The studio does not answer; is `ergosum studio` still running?");
  }
  if (!reply.ok) {
    const told = await reply.json().catch(() => ({}));
    throw new Told(told.error || `The studio answered ${reply.status}.`, told.field || "");
  }
  return reply;
}

// A new computation ends the one before at the same place of the same page, even before the server sees it abandoned.
const PAGE = [...crypto.getRandomValues(new Uint32Array(3))].map((n) => n.toString(36)).join("");

const post = (path, state, signal, place = "") => answered(fetch(path, {
  method: "POST", headers: { "Content-Type": "application/json", "X-Page": PAGE, "X-Place": place }, body: JSON.stringify(state), signal,
}));

export const options = async () => (await answered(fetch("/api/options"))).json();
export const code = async (table, state) => (await post(`/api/${table}/code`, state)).json();
export const file = async (table, state, suffix) => (await post(`/api/${table}/file/${suffix}`, state)).blob();
export const ask = async (path, state) => (await post(path, state)).json();

export async function upload(file) {
  const form = new FormData();
  form.append("file", file, file.name || "image.png");
  return (await answered(fetch("/api/uploads", { method: "POST", body: form }))).json();
}

// Yields [kind, told] for each event.
export async function* stream(table, state, signal, place = "") {
  const reply = await post(`/api/${table}/run`, state, signal, place);
  const reader = reply.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      let end;
      while ((end = text.indexOf("\n\n")) >= 0) {
        const kind = /^event: (.*)$/m.exec(text.slice(0, end))[1];
        const told = JSON.parse(/^data: (.*)$/m.exec(text.slice(0, end))[1]);
        text = text.slice(end + 2);
        if (kind === "refused") throw new Told(told.message, told.field);
        yield [kind, told];
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

// One computation of a table at a time: a new one ends the one before.
export class Running {
  constructor(table, place = "") {
    this.table = table;
    this.place = place;
    this.ending = null;
  }

  stop() {
    if (this.ending) this.ending.abort();
    this.ending = null;
  }

  // Calls `on[kind](told)` for each event; resolves to whether it came to its end.
  async start(state, on) {
    this.stop();
    const ending = new AbortController();
    this.ending = ending;
    try {
      for await (const [kind, told] of stream(this.table, state, ending.signal, this.place)) {
        if (ending.signal.aborted) return false;
        if (on[kind]) on[kind](told);
      }
      return !ending.signal.aborted;
    } catch (error) {
      if (ending.signal.aborted || error.name === "AbortError") return false;
      throw error;
    } finally {
      if (this.ending === ending) this.ending = null;
    }
  }
}
