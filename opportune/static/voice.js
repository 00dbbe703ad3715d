// Microphone of a question form: <button data-transcribe="/answers/transcriptions" data-for="id of the field" hidden>.
// It records, sends the recording, and inserts the text. It stays hidden in browsers that cannot record.
(() => {
  const MAX_RECORDING_MS = 5 * 60_000;
  const SUFFIXES = { "audio/mp4": "mp4", "audio/ogg": "ogg", "audio/wav": "wav" };

  for (const button of document.querySelectorAll("[data-transcribe]")) {
    if (!window.MediaRecorder || !navigator.mediaDevices?.getUserMedia) return;
    const field = document.getElementById(button.dataset.for);
    const status = document.getElementById(button.getAttribute("aria-describedby"));
    let recorder, timer;
    const show = (state, text = "") => {
      button.setAttribute("aria-pressed", String(state === "recording"));
      button.disabled = state === "sending";
      status.textContent = text;
    };

    const send = async (recording) => {
      show("sending", gettext("Writing down your words"));
      const body = new FormData();
      body.append("recording", recording, `recording.${SUFFIXES[recording.type.split(";")[0]] ?? "webm"}`);
      const headers = { Accept: "application/json" };
      const response = await fetch(button.dataset.transcribe, { method: "POST", body, headers }).catch(() => null);
      const data = await response?.json().catch(() => null);
      if (!response?.ok || !data) return show("", data?.detail ?? gettext("The recording could not be sent. Try again."));
      show("");
      const before = field.value.trimEnd();
      field.value = before ? `${before} ${data.text}` : data.text;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    };

    button.addEventListener("click", async () => {
      if (recorder?.state === "recording") return recorder.stop();
      let stream;
      try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      } catch {
        return show("", gettext("The microphone is not available. Allow it for this site in your browser."));
      }
      const parts = [];
      recorder = new MediaRecorder(stream);
      recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
      recorder.addEventListener("stop", () => {
        clearTimeout(timer);
        for (const track of stream.getTracks()) track.stop();
        send(new Blob(parts, { type: recorder.mimeType }));
      });
      recorder.start();
      timer = setTimeout(() => recorder.stop(), MAX_RECORDING_MS);
      show("recording", gettext("Recording. Press the button again to end it."));
    });
    button.hidden = false;
  }
})();
