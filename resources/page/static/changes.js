// One stream of changes for all windows of a browser, which has six connections to one host: the window with the lock
// follows the room and tells the others. Windows that nobody looks at neither follow nor listen.

const ASK_AGAIN_MILLISECONDS = 15_000; // after which a browser that was refused its changes asks again

// Follow the room at an address. `page` hears of each event with `changed`, of a stream that was opened, before which
// changes may have been missed, with `opened`, and of one that was lost, and why, with `lost`.
export function follow(address, explain, page) {
  const own = crypto.randomUUID();
  const others = new BroadcastChannel(`teamroom ${address}`);
  let leading = null; // what this window would tell a window that comes now, while it follows the room itself
  let leave = null; // ends the lead, or the wait for it

  function hear([kind, words, to]) {
    if (kind === "hello" && leading) others.postMessage([...leading, words]);
    if (kind !== "hello" && leave && (to ?? own) === own) page[kind](words);
  }

  function tell(kind, words) {
    if (kind !== "changed") leading = [kind, words];
    others.postMessage([kind, words]);
    hear([kind, words]);
  }

  function lead(ended) {
    let stream = null;
    let again = 0;

    function open() {
      stream = new EventSource(address);
      stream.onopen = () => tell("opened");
      stream.onmessage = (event) => tell("changed", event.data);
      stream.onerror = lose;
    }

    async function lose() {
      const broken = stream;
      const { words, isFinal } = await explain();
      if (ended.aborted || broken !== stream) return;
      if (words) tell("lost", words);
      if (isFinal) stream.close();
      clearTimeout(again);
      if (stream.readyState === EventSource.CLOSED) again = setTimeout(open, ASK_AGAIN_MILLISECONDS);
    }

    return new Promise((resolve) => {
      ended.addEventListener("abort", () => {
        stream.close();
        clearTimeout(again);
        leading = null;
        resolve();
      });
      open();
    });
  }

  function begin() {
    if (document.hidden || leave) return;
    leave = new AbortController();
    const { signal } = leave;
    navigator.locks.request(`teamroom ${address}`, { signal }, () => lead(signal)).catch(() => {}); // it left before
    others.postMessage(["hello", own]);
  }

  function end() {
    leave?.abort();
    leave = null;
  }

  others.onmessage = ({ data }) => hear(data);
  document.addEventListener("visibilitychange", () => (document.hidden ? end() : begin()));
  window.addEventListener("beforeunload", end); // before the room ends the stream of who signs out
  window.addEventListener("pageshow", begin);
  begin();
}
