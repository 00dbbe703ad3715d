// Buttons that ask this device for a passkey: <button hidden data-passkey="sign-in" data-options="…"> in a form. What the device
// says goes along with the form, in a field `passkey`. Where browser or site know no passkeys, the buttons stay hidden.

const STALE_AFTER_MS = 8 * 60_000; // the site takes answers for ten minutes
let list; // the browser's own, below the field of the e-mail, which gives way to a button

// What the site asks; null where there is nothing to show, or no name to show it to. Until a device has answered it stays good.
const ask = async (button) => {
  if (button.question && Date.now() - button.question.askedAt < STALE_AFTER_MS) return button.question;
  const { options, passkey } = button.dataset;
  const answer = await fetch(options, { method: "POST", body: new URLSearchParams({ purpose: passkey }) });
  button.question = answer.status === 200 ? { ...await answer.json(), askedAt: Date.now() } : null;
  return button.question;
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
  if (buttons.length > 1) buttons[0].focus();
  else form.requestSubmit(buttons[0]);
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
  if (!await ask(button)) return;
  button.hidden = false;
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    if (button.type === "submit" && !button.formNoValidate && !button.form.reportValidity()) return;
    button.disabled = true;
    list?.abort();
    try {
      send(button, await show(button, await ask(button)));
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
    send(button, await show(button, await ask(button), { mediation: "conditional", signal }));
  } catch {
    if (signal.reason === "stale") suggest(button);
  } finally {
    clearTimeout(timer);
  }
};

if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) document.querySelectorAll("[data-passkey]").forEach(offer);
