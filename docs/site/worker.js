/* Search in pages that are opened as files. Browsers start no worker from a file, so that there a
   hidden frame does its work: it runs the same script, and messages go between both windows. */
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inner = this.frame.contentWindow;
      inner.postMessage = (data) => {
        setTimeout(() => this.onmessage?.(new MessageEvent("message", { data })));
      };
      this.ready = new Promise((resolve) => {
        const script = inner.document.createElement("script");
        script.onload = () => resolve(inner);
        script.onerror = (event) => this.onerror?.(event);
        script.src = new URL(url, location.href);
        inner.document.body.append(script);
      });
    }

    postMessage(data) {
      this.ready.then((inner) => inner.onmessage?.(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
