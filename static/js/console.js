// What the console's pages do beside htmx: dialogs, focus, copying, busy labels, local times, care with a secret on
// screen, and what to say when no answer comes. Every page works without it.

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const on = (name, handler, capture = false) => document.addEventListener(name, handler, capture);
const dialog = one("#dialog");
const announcer = one("#announcer");

function focus(element) {
  element?.focus();
  if (element && document.activeElement !== element) element.tabIndex = -1;
  element?.focus();
}

function announce(text) {
  announcer.textContent = "";
  setTimeout(() => { announcer.textContent = text; }, 50);
}

// Dialogs
function openDialog(panel) {
  // By default Escape closes, but a stray click beside a half-filled form doesn't.
  dialog.setAttribute("closedby", panel.dataset.closedby ?? "closerequest");
  // All outside a modal dialog is inert, and an inert live region is silent: the announcer moves in.
  dialog.append(announcer);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  const first = one("[data-autofocus], [autofocus]", panel);
  focus(first ?? one("input[type=radio]:checked, .input, button, a[href]", panel));
}

function emptyDialog() {
  if (dialog.open) return;
  document.body.append(announcer);
  dialog.replaceChildren();
  // The browser gives the focus back to what opened the dialog, unless a swap has taken that away.
  if (document.activeElement === document.body) focus(one("#content h1"));
}

function closeDialog() {
  dialog.close();
  queueMicrotask(emptyDialog); // later, because htmx still sends events through the form that asked
}

dialog.addEventListener("close", emptyDialog);
dialog.addEventListener("cancel", (event) => { // for browsers without closedby
  if (dialog.getAttribute("closedby") === "none") event.preventDefault();
});
on("keyrack:close", closeDialog);
on("keyrack:focus", (event) => focus(event.target)); // htmx sends an event with a `target` to that element
on("keyrack:announce", (event) => announce(event.detail.text));

// Labels that change for a while
function relabel(button, state, text) {
  const label = [...button.childNodes].findLast((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const before = label?.data;
  button.style.minInlineSize = `${button.getBoundingClientRect().width}px`;
  button.dataset.state = state;
  if (label) label.data = text;
  return () => {
    button.style.minInlineSize = "";
    delete button.dataset.state;
    if (label) label.data = before;
  };
}

const busy = new Map(); // form → what gives its button the old label back

function startWork(form, submitter) {
  const button = submitter?.dataset.busy ? submitter : [...(form.elements ?? [])].find((field) => field.dataset.busy);
  if (button && !busy.has(form)) busy.set(form, relabel(button, "busy", button.dataset.busy));
}

function endWork(form) {
  busy.get(form)?.();
  busy.delete(form);
}

on("submit", (event) => { // before htmx hears of it: a second submit isn't sent
  if (!busy.has(event.target)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
on("submit", (event) => { // after htmx has taken what is its own: the rest leaves the page, or downloads
  if (event.defaultPrevented) return;
  leaving = event.target.matches(".panel *");
  setTimeout(() => { leaving = false; }, 2000);
  if (!event.target.matches("[data-download]")) startWork(event.target, event.submitter);
});
on("htmx:beforeRequest", ({ detail }) => startWork(detail.elt, detail.requestConfig.triggeringEvent?.submitter));
on("htmx:afterRequest", ({ detail }) => endWork(detail.elt));

// Copying
async function copy(button) {
  const source = button.dataset.copyFrom && one(button.dataset.copyFrom);
  try {
    await navigator.clipboard.writeText(source ? source.value || source.textContent.trim() : button.dataset.copy);
  } catch {
    return cannotCopy(source || make("code", button.dataset.copy), button.dataset.what ?? (source ? "key" : "key ID"));
  }
  announce("Copied");
  if (!button.dataset.state) setTimeout(relabel(button, "copied", "Copied"), 2000);
}

function cannotCopy(source, what) {
  const text = `Couldn't copy. The ${what} is selected: press Ctrl+C.`;
  notice(make("p", text), ...(source.isConnected ? [] : [source]), make("button", "Dismiss", "dismiss"));
  if (source.select) source.select();
  else getSelection().selectAllChildren(source);
}

// Times
const UNITS = [["second", 1, 10], ["minute", 60, 60], ["hour", 3600, 3600], ["day", 86400, 86400],
  ["month", 2629800, 10368000], ["year", 31557600, 63115200]]; // seconds, and from how many on it is spoken of
const fullTime = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });
const shortTime = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const relativeTime = new Intl.RelativeTimeFormat("en");

function relative(at) {
  const seconds = (at - Date.now()) / 1000;
  // A fiftieth is forgiven: what was made a minute ago to live 90 days ends "in 90 days".
  const count = (size) => Math.abs(seconds) / size + 0.02;
  const unit = UNITS.findLast(([, size, from]) => count(size) * size >= from);
  return unit ? relativeTime.format(Math.sign(seconds) * Math.floor(count(unit[1])), unit[0]) : "just now";
}

function tellTimes() {
  for (const time of all("time[data-when][datetime]")) {
    const at = new Date(time.dateTime);
    const text = time.dataset.when === "relative" ? relative(at) : shortTime.format(at).replace("Sept", "Sep");
    if (time.textContent !== text) time.textContent = text;
    time.title = fullTime.format(at);
  }
}
setInterval(tellTimes, 60000);

// A secret on screen
let emptied = false;
let leaving = false; // by a form of the secret's own: the download, "I've stored it"
addEventListener("beforeunload", (event) => {
  if (!leaving && one("[data-secret]:not([data-stored])")) event.preventDefault();
});
addEventListener("pagehide", () => { // the back-forward cache keeps a page as it stands
  for (const element of all("[data-secret]")) {
    element.textContent = "";
    element.value = "";
    if (dialog.contains(element)) closeDialog();
    emptied = true;
  }
});
addEventListener("pageshow", ({ persisted }) => {
  [...busy.keys()].forEach(endWork);
  if (persisted && emptied) location.replace(location.href); // an empty shell: ask for the page itself, by GET
});

// Requests, and what becomes of them
let failed = null; // the request that "Try again" repeats

function make(tag, text, action) {
  const element = Object.assign(document.createElement(tag), { textContent: text });
  if (action) Object.assign(element, { type: "button", className: "button" }).dataset[action] = "";
  return element;
}

function notice(...content) {
  const id = dialog.open ? "dialog-notice" : "notice";
  const box = one(`#${id}`) ?? Object.assign(make("div", ""), { id, className: "notice", role: "alert" });
  if (!box.isConnected) (one("#dialog[open] .panel") ?? one("#content")).prepend(box);
  box.replaceChildren(...content);
  return box;
}

const LOST = "Keyrack can't be reached. Nothing was lost: what you typed is still here.";

function offerRetry({ detail }, text = LOST) {
  failed = detail.requestConfig;
  notice(make("p", text), make("button", "Try again", "retry"));
}

function refused({ xhr }) {
  const page = new DOMParser().parseFromString(xhr.response, "text/html");
  notice(make("p", (one("h1 + p", page) ?? page.body).textContent.trim()), make("button", "Dismiss", "dismiss"));
}

on("htmx:configRequest", ({ detail }) => {
  // The form's own token may be from before a sign-in in another tab; the cookie's never is.
  const token = document.cookie.match(/(?:^|; )(?:__(?:Host|Secure)-)?csrftoken=([^;]*)/)?.[1];
  if (!token) return;
  detail.headers["X-CSRFToken"] = token;
  delete detail.parameters.csrfmiddlewaretoken;
});
on("htmx:beforeOnLoad", (event) => {
  const { xhr, requestConfig } = event.detail;
  const reference = xhr.getResponseHeader("X-Request-Id"); // where it's missing, a proxy answered
  const isPage = /<html[\s>]/i.test(xhr.response); // never put inside a dialog or a table
  if (xhr.getResponseHeader("HX-Redirect")) leaving = true;
  if (!requestConfig.triggeringEvent) return xhr.status < 400 || event.preventDefault(); // nobody asked: a poll
  if (xhr.status < 400) return all(".notice").forEach((box) => box.replaceChildren());
  if (xhr.status !== 401 && xhr.status < 500 && !isPage) return;
  event.preventDefault();
  failed = requestConfig;
  if (xhr.status === 401) window.htmx.swap(notice(), xhr.response, { swapStyle: "innerHTML" });
  else if (xhr.status < 500) refused(event.detail);
  else offerRetry(event, reference ? `Something broke on our side. Nothing was changed. Reference ${reference}.` : LOST);
});
for (const name of ["htmx:sendError", "htmx:timeout"]) on(name, (event) => event.detail.requestConfig.triggeringEvent && offerRetry(event));

function retry() {
  const { elt, triggeringEvent } = failed;
  if (!elt.isConnected) location.reload();
  else if (elt.requestSubmit) elt.requestSubmit(elt.contains(triggeringEvent?.submitter) ? triggeringEvent.submitter : null);
  else elt.click();
}

// Clicks and keys
function dismiss(button) {
  button.closest(".message, .notice").remove();
  focus(one("#dialog[open] #dialog-title") ?? one("#content h1"));
}

on("click", (event) => { // a link opened in a new tab is the browser's business, not htmx's
  if ((event.ctrlKey || event.metaKey || event.shiftKey) && event.target.closest("a[href]")) event.stopPropagation();
}, true);
on("click", (event) => {
  const pressed = (selector) => event.target.closest(selector);
  for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  if (pressed("#dialog [data-close]")) { event.preventDefault(); closeDialog(); }
  if (pressed("[data-copy], [data-copy-from]")) copy(pressed("[data-copy], [data-copy-from]"));
  if (pressed("[data-dismiss]")) dismiss(pressed("[data-dismiss]"));
  const action = pressed("[data-check]")?.dataset.check;
  if (action) all(`input[value$=":${action}"]`, pressed("fieldset")).forEach((box) => { box.checked = true; });
  if (pressed("[data-retry]")) retry();
});
on("keydown", (event) => {
  const menu = event.key === "Escape" && event.target.closest("details.menu[open]");
  if (menu) one("summary", menu).focus();
  if (menu) menu.open = false;
});

// New content
function welcome(root) {
  tellTimes();
  for (const button of all("[data-check]", root)) button.hidden = false;
  if (root.matches?.("#dialog > .panel")) return openDialog(root);
  focus(root.matches?.("[data-autofocus]") ? root : one("[data-autofocus]", root));
}
on("htmx:load", (event) => { if (event.target !== document.body) welcome(event.target); });
welcome(document);
