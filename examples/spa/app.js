// The page's script. It has no tokens, and reads no cookies: the browser sends the
// session's cookie with each call of the API, and hides it from scripts.

const main = document.querySelector('main');
let session = {}; // who is logged in, and until when

// view returns the view of the address. /me is for users only, so the server asks for
// the login before the page loads. The others are one page, and ask when they need to.
function view() {
  if (location.pathname === '/me') return me;
  return { '#/profile': profile, '#/note': note }[location.hash] ?? home;
}

async function home() {
  if (!session.user) {
    return [
      heading('You are not logged in'),
      element('p', {}, 'This view is public. The others are for users.'),
      element('nav', {}, button('Log in', () => logIn()), link('/#/profile', 'Your profile')),
    ];
  }
  return [
    heading(`Hello, ${name()}`),
    element('p', {}, `You are logged in until ${new Date(session.ends).toLocaleString()}.`),
    element('nav', {}, button('Log out', logOut), link('/me', 'Your claims'), link('/#/profile', 'Your profile'), link('/#/note', 'Your note')),
  ];
}

async function me() {
  const { claims, issuer, subject } = await call('/me');
  return [heading(name()), table({ subject, issuer, ...claims }), back()];
}

async function profile() {
  return [heading('Your profile'), table(await call('/api/profile')), back()];
}

async function note() {
  const { text } = await call('/api/note');
  const field = element('textarea', { rows: 4, maxLength: 1000, value: draft() ?? text });
  const said = element('p', { role: 'status' });
  const form = element('form', {}, element('label', {}, 'Only you can read it', field), element('button', { className: 'main' }, 'Save'), said);
  form.addEventListener('input', () => keepDraft(field.value)); // if the session ends, the login comes in between
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    said.textContent = '';
    try {
      await call('/api/note', { text: field.value });
      sessionStorage.removeItem('draft');
      said.textContent = 'Saved.';
    } catch (error) {
      said.textContent = error.message;
    }
  });
  return [heading('Your note'), form, back()];
}

// call calls the API, with a POST if there is data. If the session has ended, the browser
// goes to the login, and comes back to this view.
async function call(path, data) {
  const options = { headers: { Accept: 'application/json' } };
  if (data !== undefined) {
    options.method = 'POST';
    options.body = JSON.stringify(data);
    options.headers['Content-Type'] = 'application/json';
  }
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  if (response.status === 401 && body.login_url) return logIn(body.login_url);
  throw new Error(body.detail ?? 'That did not work. Please try again.');
}

// logIn leaves for the login. The server does not see what follows # in the address, so
// return_to is set here.
function logIn(url = '/auth/login') {
  const login = new URL(url, location.origin);
  login.searchParams.set('return_to', location.pathname + location.search + location.hash);
  location.assign(login);
  return new Promise(() => {}); // the page is being left
}

// logOut ends the session here, and then at the provider. The latter needs a page load.
async function logOut() {
  const { logout_url: next } = await call('/auth/logout', {});
  sessionStorage.clear();
  main.replaceChildren(); // for the Back button
  location.assign(next);
}

// A draft survives a login, if the same user logs in again.
function keepDraft(text) {
  sessionStorage.setItem('draft', JSON.stringify({ of: session.user.key, text }));
}

function draft() {
  const kept = JSON.parse(sessionStorage.getItem('draft'));
  return kept?.of === session.user.key ? kept.text : undefined;
}

// show shows the view of the address. If the address changes meanwhile, it shows nothing.
let latest = 0;
async function show() {
  latest += 1;
  const mine = latest;
  let content;
  try {
    session = await call('/api/session');
    content = await view()();
  } catch (error) {
    content = [heading('That did not work'), element('p', { role: 'alert' }, error.message), back()];
  }
  if (mine !== latest) return;
  main.replaceChildren(...content);
  document.title = `${main.querySelector('h1').textContent} – pixy example`;
}

// look finds out whether another tab has logged in or out, or the session is over.
async function look() {
  if (document.visibilityState !== 'visible') return;
  const now = await call('/api/session').catch(() => session); // offline: nothing is known
  if (now.user?.key !== session.user?.key) await show();
}

addEventListener('hashchange', async () => {
  await show();
  main.querySelector('h1')?.focus(); // screen readers begin here, as after a page load
});
addEventListener('pageshow', (event) => { if (event.persisted) show(); }); // by the Back button
document.addEventListener('visibilitychange', look);
await show();

// What follows makes elements. Text stays text: nothing is parsed as HTML.

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function heading(text) { return element('h1', { tabIndex: -1 }, text); }
function link(href, text) { return element('a', { href }, text); }
function back() { return element('nav', {}, link('/#/', 'Home')); }

function button(text, act) {
  const made = element('button', { className: 'main', type: 'button' }, text);
  made.addEventListener('click', () => act().catch((error) => made.replaceWith(element('p', { role: 'alert' }, error.message))));
  return made;
}

function table(values) {
  const rows = Object.entries(values).flatMap(([key, value]) => [
    element('dt', {}, element('code', {}, key)),
    element('dd', {}, typeof value === 'string' ? value : JSON.stringify(value)),
  ]);
  return element('dl', {}, ...rows);
}

function name() {
  const { name: full, email, subject } = session.user;
  return full || email || subject;
}
