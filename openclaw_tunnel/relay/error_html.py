"""The page that a browser shows while the gateway cannot be reached. Pure.

It needs nothing from elsewhere, and its policy lets it load nothing. Its script asks for its own address again, as
JSON, puts the news into the page, and reloads once anything but the tunnel answers: the gateway is back. Where the
tunnel has to reconnect, that question is a client which is held and hurries it; so the pause between two of them grows,
and a page that nobody sees asks nothing. The address's fragment, which may hold a token, stays and is sent nowhere.
"""

import base64
import hashlib
from html import escape

from openclaw_tunnel.core.states import State
from openclaw_tunnel.relay.error_body import ErrorBody

_SLOWEST, _QUICKEST = 30, 5
"""Seconds between reloads of a browser without scripts."""

_RELOAD = "?"
"""Where it goes then. To the same address would not do: with a fragment that is a jump within the page, no reload."""

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M2 14V8a6 6 0 0 1 12 0v6h-3V8a3 3 0 0 0-6 0v6z' fill='%23b4690e'/%3E%3C/svg%3E"
)

STYLE = """
:root { color-scheme: light dark;
  --back: #f5f4f1; --card: #fff; --ink: #1f1e1c; --soft: #63605a; --line: #e4e1db; --code: #f1efeb;
  --tone: #96530a; --glow: #f8ead6; }
@media (prefers-color-scheme: dark) { :root {
  --back: #151413; --card: #1e1d1b; --ink: #edebe7; --soft: #a8a49c; --line: #34322e; --code: #2a2826;
  --tone: #f0b266; --glow: #3a2c18; } }
[data-state=failed], [data-state=closed] { --tone: #a8261d; --glow: #fbe3e0; }
@media (prefers-color-scheme: dark) { [data-state=failed], [data-state=closed] { --tone: #ff9d93; --glow: #43211e; } }
* { box-sizing: border-box; margin: 0; }
[hidden] { display: none !important; }
body { background: var(--back); color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", sans-serif;
  padding: min(12vh, 8vw) 1rem 2rem; overflow-wrap: anywhere; }
main { max-width: 36rem; margin: 0 auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; padding: clamp(1.25rem, 5vw, 2.25rem); }
header { display: flex; gap: .75rem; align-items: center; justify-content: space-between; color: var(--soft);
  font-size: .875rem; }
header b { font-weight: 600; color: var(--ink); }
#state { flex: none; display: inline-flex; align-items: center; gap: .45rem; padding: .15rem .7rem;
  border-radius: 99px; background: var(--glow); color: var(--tone); font-weight: 600; }
#state::before { content: ""; width: .5rem; height: .5rem; border-radius: 50%; background: currentColor; }
@media (prefers-reduced-motion: no-preference) {
  main:not([data-state=failed], [data-state=closed]) #state::before { animation: breathe 2.4s ease-in-out infinite; }
  @keyframes breathe { 50% { opacity: .25; } } }
h1 { font-size: clamp(1.4rem, 5vw, 1.75rem); line-height: 1.2; font-weight: 650; letter-spacing: -.015em;
  margin: 1.5rem 0 .6rem; text-wrap: balance; }
#message { color: var(--soft); }
section { margin: 1.5rem 0; padding: .9rem 1.1rem 1rem; border-radius: 10px; background: var(--code); }
h2 { font-size: .8125rem; font-weight: 600; color: var(--soft); margin-bottom: .2rem; }
code { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--card);
  display: inline-block; max-width: 100%;
  border: 1px solid var(--line); border-radius: 6px; padding: .1em .4em; -webkit-user-select: all; user-select: all; }
dl { border-top: 1px solid var(--line); font-size: .9375rem; }
dl div { display: flex; gap: 1rem; align-items: center; min-height: 3rem; padding: .4rem 0;
  border-bottom: 1px solid var(--line); }
dt { flex: 0 0 5.5rem; color: var(--soft); }
dd { flex: 1; display: flex; justify-content: space-between; align-items: center; gap: .75rem;
  font-variant-numeric: tabular-nums; }
button { flex: none; font: inherit; font-weight: 600; color: var(--ink); background: none; cursor: pointer;
  border: 1px solid var(--line); border-radius: 8px; padding: .2rem .8rem; }
button:hover { background: var(--code); }
:focus-visible { outline: 2px solid var(--tone); outline-offset: 2px; }
footer { margin-top: 1.1rem; color: var(--soft); font-size: .875rem; }
footer code { background: var(--code); }
"""

SCRIPT = """
(() => {
'use strict';
const SLOWEST = 30, LOOK = 3;
const NOBODY = {
  title: 'openclaw-tunnel is not running', state: 'closed', retry_in_s: null, commands: ['openclaw-tunnel up'],
  message: 'Nothing listens on this port of your computer any more',
  hint: 'Open the tunnel again: openclaw-tunnel up', outlook: 'This page goes on by itself when it is open.' };
const own = location.origin + location.pathname + location.search;
const page = document.querySelector('main');
const el = id => document.getElementById(id);
let news = { state: page.dataset.state, retry_in_s: Number(page.dataset.retry) || null };
let since = page.dataset.since, pause = 1, due = 0, asking = false, timer;

function say(id, text) {
  const node = el(id);
  if (node.textContent !== text) node.textContent = text;
}

function sayWithCode(id, text, commands) {
  const node = el(id);
  if (node.textContent === text) return;
  node.textContent = '';
  for (const command of commands) {
    const at = text.indexOf(command);
    if (at < 0) continue;
    const code = document.createElement('code');
    code.textContent = command;
    node.append(text.slice(0, at), code);
    text = text.slice(at + command.length);
  }
  node.append(text);
}

function sentence(text) {
  return text.replace(/^[a-z]+(?=[ ,])/, word => word[0].toUpperCase() + word.slice(1));
}

function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return s + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min ' + s % 60 + ' s';
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s / 60) % 60 + ' min';
  return Math.floor(s / 86400) + ' d ' + Math.floor(s / 3600) % 24 + ' h';
}

function tick() {
  if (since) say('since', span((Date.now() - Date.parse(since)) / 1000) + ' ago');
  say('next', asking || document.hidden ? 'now' : 'in ' + span((due - Date.now()) / 1000 + 0.9));
}

function show(error) {
  news = error;
  if (!error.since) since = '';
  else if (!since || error.since < since) since = error.since;
  page.dataset.state = error.state || '';
  say('title', error.title);
  document.title = error.title;
  say('message', sentence(error.message));
  sayWithCode('hint', sentence(error.hint), error.commands);
  sayWithCode('outlook', error.outlook, error.commands);
  for (const [id, text] of [['state', error.state], ['target', error.target]]) say(id, text || '');
  el('state').hidden = !error.state;
  el('target-row').hidden = !error.target;
}

function rest() {
  const dialling = !news.state || news.state === 'connecting' || news.state === 'backoff';
  const seconds = dialling ? Math.min(SLOWEST, Math.max(pause, news.retry_in_s || 0)) : LOOK;
  pause = dialling ? Math.min(SLOWEST, pause * 2) : 1;
  due = Date.now() + seconds * 1000;
  clearTimeout(timer);
  timer = setTimeout(() => document.hidden || ask(), seconds * 1000);
  el('since-row').hidden = !since;
  el('next-row').hidden = !dialling;
  tick();
}

async function ask() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  tick();
  let error = NOBODY;
  try {
    const answer = await fetch(own, {
      headers: { Accept: 'application/json' }, cache: 'no-store', redirect: 'manual', referrerPolicy: 'no-referrer' });
    error = answer.status === 503 ? await answer.json().then(body => body.error, () => null) : null;
    if (!error || error.type !== 'tunnel_unavailable') return location.reload();
  } catch {}
  asking = false;
  show(error);
  rest();
}

function now() {
  pause = 1;
  ask();
}

document.addEventListener('visibilitychange', () => document.hidden || now());
el('now').addEventListener('click', now);
el('now').hidden = false;
setInterval(tick, 1000);
rest();
})();
"""


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src {_source(SCRIPT)}",
        f"style-src {_source(STYLE)}",
        "img-src data:",  # the icon, which would otherwise be asked for at the port
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy to send with :func:`document`."""


def document(body: ErrorBody) -> str:
    """The page, complete before its script runs."""
    refresh = min(_SLOWEST, max(_QUICKEST, body.retry_after))
    tries = body.state != State.FAILED and body.retry_in_s is not None  # no client makes a stopped tunnel try
    retry = str(body.retry_in_s) if tries else ""
    title = escape(body.title)
    state, since = escape(body.state or ""), escape(body.since or "")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="{_ICON}">
<style>{STYLE}</style>
<noscript><meta http-equiv="refresh" content="{refresh}; url={_RELOAD}"></noscript>
</head>
<body>
<main data-state="{state}" data-since="{since}" data-retry="{retry}">
<header><span><b>openclaw-tunnel</b> {escape(body.tunnel or "")}</span>
<span id="state"{_hidden(state)}>{state}</span></header>
<div role="status">
<h1 id="title">{title}</h1>
<p id="message">{escape(_sentence(body.message))}</p>
<section><h2>What to do</h2><p id="hint">{_with_code(_sentence(body.hint), body.commands)}</p></section>
</div>
<dl>
<div id="target-row"{_hidden(body.target)}><dt>Host</dt><dd id="target">{escape(body.target or "")}</dd></div>
<div id="since-row"{_hidden(since)}><dt>Began</dt><dd id="since">{since}</dd></div>
<div id="next-row"{_hidden(retry)}><dt>Next try</dt><dd><span id="next">in {body.retry_after} s</span>
<button id="now" type="button" hidden>Try now</button></dd></div>
</dl>
<footer><p id="outlook">{_with_code(body.outlook, body.commands)}</p></footer>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _hidden(text: str | None) -> str:
    return "" if text else " hidden"


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a name."""
    word = text.partition(" ")[0].rstrip(",")
    return text[0].upper() + text[1:] if word.isalpha() else text


def _with_code(text: str, commands: list[str]) -> str:
    done = ""
    for command in commands:
        before, found, after = text.partition(command)
        if found:
            done += f"{escape(before)}<code>{escape(command)}</code>"
            text = after
    return done + escape(text)
