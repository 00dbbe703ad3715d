// Buttons that ask this device for a passkey: <button hidden data-passkey="sign-in" data-options="…"> in a form. What the device
// says goes along with the form, in a field `passkey`. Where browser or site know no passkeys, the buttons stay hidden.

const STALE_AFTER_MS = 8 * 60_000; // the site takes answers for ten minutes
let list; // the browser's own, below the field of the e-mail, which gives way to a button

const ask = async ({ dataset: { options, passkey } }) => {
  const answer = await fetch(options, { method: "POST", body: new URLSearchParams({ purpose: passkey }) });
  return answer.ok ? { ...await answer.json(), askedAt: Date.now() } : null;
};

const show = async (button, { publicKey, state }, more) => {
  const credential = button.dataset.passkey === "add"
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey), ...more });
  return JSON.stringify({ state, credential });
};

const send = (button, answer) => {
  const { form } = button;
  const field = Object.assign(document.createElement("input"), { type: "hidden", name: "passkey", value: answer });
  if (button.dataset.passkey !== "confirm") {
    form.append(field);
    form.action = button.formAction;
    form.submit();
    return;
  }
  // In the place of a password, in a form that has buttons of its own.
  const recognised = Object.assign(document.createElement("p"), { className: "mb-0", textContent: "Your passkey was recognised." });
  recognised.setAttribute("role", "status");
  button.closest("[data-identity]").replaceChildren(field, recognised);
  const buttons = [...form.querySelectorAll("button:not([type=button])")];
  if (buttons.length === 1) form.requestSubmit(buttons[0]);
  else buttons[0].focus();
};

const tell = (button, error) => {
  const told = button.parentElement.querySelector(":scope > [role=alert]")
    ?? Object.assign(document.createElement("div"), { className: "text-danger", role: "alert" });
  button.after(told);
  told.textContent = {
    InvalidStateError: "This device has a passkey of yours already.",
    NotAllowedError: "No passkey was used. Please try again.", // closed by the person, or none there, or too late
  }[error.name] ?? "That did not work. Please try again.";
};

const offer = async (button) => {
  let question = await ask(button);
  if (!question) return;
  button.hidden = false;
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    if (button.type === "submit" && !button.formNoValidate && !button.form.reportValidity()) return;
    button.disabled = true;
    list?.abort();
    try {
      const fresh = question && Date.now() - question.askedAt < STALE_AFTER_MS ? question : await ask(button);
      question = null; // each counts once
      send(button, await show(button, fresh));
    } catch (error) {
      tell(button, error);
    }
    button.disabled = false;
  });
  if (button.dataset.passkey === "sign-in" && await PublicKeyCredential.isConditionalMediationAvailable?.()) suggest(button);
};

const suggest = async (button) => {
  list = new AbortController();
  const { signal } = list;
  const timer = setTimeout(() => list.abort("stale"), STALE_AFTER_MS);
  try {
    const question = await ask(button);
    if (question) send(button, await show(button, question, { mediation: "conditional", signal }));
  } catch {
    if (signal.reason === "stale") suggest(button);
  } finally {
    clearTimeout(timer);
  }
};

if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) document.querySelectorAll("[data-passkey]").forEach(offer);
