// Buttons that use a passkey: <button hidden data-passkey="sign-in" data-options="…"> in a form. The assertion of the device is
// sent in the field `passkey`. Without support of the browser or the site the buttons stay hidden.

const STALE_AFTER_MS = 8 * 60_000; // the site accepts assertions for ten minutes
let pendingList; // aborts the browser's list of passkeys at the e-mail field when a button is used

// Return the question of the site; null without a passkey, or at another host name than the site's. It is reused until a
// device has responded.
const fetchQuestion = async (button) => {
  if (button.question && Date.now() - button.question.askedAt < STALE_AFTER_MS) return button.question;
  const { options, passkey } = button.dataset;
  const response = await fetch(options, { method: "POST", body: new URLSearchParams({ purpose: passkey }) });
  const question = response.status === 200 ? await response.json() : null;
  const host = question?.publicKey.rpId ?? question?.publicKey.rp.id;
  button.question = host === location.hostname ? { ...question, askedAt: Date.now() } : null;
  return button.question;
};

const createAssertion = async (button, { publicKey, state }, more) => {
  const credential = button.dataset.passkey === "add"
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey), ...more });
  return JSON.stringify({ state, credential });
};

const send = (button, assertion) => {
  const { form } = button;
  const field = Object.assign(document.createElement("input"), { type: "hidden", name: "passkey", value: assertion });
  if (button.dataset.passkey !== "confirm") {
    form.append(field);
    form.action = button.formAction;
    form.submit();
    return;
  }
  // Replaces the password in a form that has other buttons.
  const recognised = Object.assign(document.createElement("p"), { className: "mb-0", textContent: gettext("Your passkey was recognised.") });
  recognised.setAttribute("role", "status");
  button.closest("[data-identity]").replaceChildren(field, recognised);
  const buttons = [...form.querySelectorAll("button:not([type=button])")];
  if (buttons.length > 1) buttons[0].focus();
  else form.requestSubmit(buttons[0]);
};

const showError = (button, error) => {
  const message = button.parentElement.querySelector(":scope > [role=alert]")
    ?? Object.assign(document.createElement("div"), { className: "text-danger", role: "alert" });
  button.after(message);
  message.textContent = {
    InvalidStateError: gettext("This device already has one of your passkeys."),
    NotAllowedError: gettext("No passkey was used. Please try again."), // cancelled, not available, or timed out
    NotSupportedError: gettext("Passkeys do not work here. Use another browser, or open this site at its usual address with https."),
  }[error.name] ?? gettext("That did not work. Please try again.");
};

// Without a hint, the page to add a passkey would lack its button. Other pages offer other ways to sign in.
const explainMissing = (button) => button.dataset.passkey === "add" && showError(button, { name: "NotSupportedError" });

const enableButton = async (button) => {
  if (!await fetchQuestion(button)) return explainMissing(button);
  button.hidden = false;
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    if (button.type === "submit" && !button.formNoValidate && !button.form.reportValidity()) return;
    button.disabled = true;
    pendingList?.abort();
    try {
      send(button, await createAssertion(button, await fetchQuestion(button)));
    } catch (error) {
      showError(button, error);
    }
    button.disabled = false;
  });
  if (button.dataset.passkey === "sign-in" && await PublicKeyCredential.isConditionalMediationAvailable?.()) suggestPasskeys(button);
};

const suggestPasskeys = async (button) => {
  pendingList = new AbortController();
  const { signal } = pendingList;
  const timer = setTimeout(() => pendingList.abort("stale"), STALE_AFTER_MS);
  try {
    send(button, await createAssertion(button, await fetchQuestion(button), { mediation: "conditional", signal }));
  } catch {
    if (signal.reason === "stale") suggestPasskeys(button);
  } finally {
    clearTimeout(timer);
  }
};

const isSupported = window.PublicKeyCredential?.parseRequestOptionsFromJSON;
document.querySelectorAll("[data-passkey]").forEach(isSupported ? enableButton : explainMissing);
