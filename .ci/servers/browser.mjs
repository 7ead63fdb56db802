// A browser that keeps cookies and sends the headers of page loads. It follows
// redirects only in follow.
import assert from 'node:assert/strict';
import http from 'node:http';

const navigation = {
  Accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
  'Sec-Fetch-Mode': 'navigate',
  'Sec-Fetch-Dest': 'document',
  'Sec-Fetch-Site': 'none',
};

export class Browser {
  #jar = new Map(); // "host name path" to { name, value, path }: ports share cookies
  seen = new Set(); // all cookie values

  // go makes one request and remembers its cookies.
  go(method, address, { headers = navigation, body } = {}) {
    const url = new URL(address);
    const cookies = [...this.#jar.values()]
      .filter(({ path }) => url.pathname === path || url.pathname.startsWith(path.endsWith('/') ? path : `${path}/`))
      .map(({ name, value }) => `${name}=${value}`);
    const sent = { ...headers };
    if (cookies.length) sent.Cookie = cookies.join('; ');
    if (body !== undefined) sent['Content-Type'] = 'application/x-www-form-urlencoded';
    return new Promise((resolve, reject) => {
      const request = http.request(url, { method, headers: sent, agent: false }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          for (const line of response.headers['set-cookie'] ?? []) this.#keep(url, line);
          const location = response.headers.location;
          resolve({
            url: url.href,
            status: response.statusCode,
            headers: response.headers,
            location: location && new URL(location, url).href,
            body: Buffer.concat(chunks).toString(),
          });
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  get(address) {
    return this.go('GET', address);
  }

  // submit sends a form from a page of the address's own origin.
  submit(address, fields) {
    const origin = new URL(address).origin;
    return this.go('POST', address, {
      headers: { ...navigation, 'Sec-Fetch-Site': 'same-origin', Origin: origin },
      body: new URLSearchParams(fields).toString(),
    });
  }

  // logOut presses the application's logout button, and returns the redirect to the
  // provider, or the end of the logout.
  async logOut(app) {
    const out = await this.submit(`${app}/auth/logout`, {});
    return out.location === `${app}/auth/logout` ? this.get(`${app}/auth/logout?continue`) : out;
  }

  // twin returns another browser with the cookies of this one whose names pass.
  twin(passes) {
    const other = new Browser();
    for (const [key, cookie] of this.#jar) if (passes(cookie.name)) other.#jar.set(key, cookie);
    return other;
  }

  // follow follows redirects, until stop returns true for an address.
  async follow(answer, stop = () => false) {
    for (let hops = 0; answer.location && !stop(answer.location); hops += 1) {
      if (hops === 20) throw new Error(`too many redirects, the last to ${answer.location}`);
      answer = await this.get(answer.location);
    }
    return answer;
  }

  #keep(url, line) {
    const [pair, ...attributes] = line.split(/;\s*/);
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    const attribute = (wanted) => attributes.map((a) => a.split('=')).find(([n]) => n.toLowerCase() === wanted)?.[1];
    const path = attribute('path') ?? '/';
    const expires = attribute('expires');
    const gone = Number(attribute('max-age') ?? 1) <= 0 || (expires && new Date(expires) < new Date());
    const key = `${url.hostname} ${name} ${path}`;
    if (gone) this.#jar.delete(key);
    else this.#jar.set(key, { name, value, path });
    if (value) this.seen.add(value);
  }
}

// form parses the only form of a page: its action and its hidden fields.
export function form({ body, url }) {
  const opening = body.match(/<form\b[^>]*>/)?.[0];
  assert.ok(opening, `no form at ${url}: ${body}`);
  const fields = {};
  for (const input of inputs(body)) {
    if (input.type === 'hidden') fields[input.name] = input.value ?? '';
  }
  return [new URL(attributes(opening).action ?? url, url).href, fields];
}

// links returns the links of a page: text to URL.
export function links({ body, url }) {
  const all = body.matchAll(/(<a\b[^>]*>)([^<]*)<\/a>/g);
  return new Map([...all].map(([, opening, text]) => [unescape(text), new URL(attributes(opening).href, url).href]));
}

// inputs returns the attributes of a page's inputs and buttons.
export function inputs(body) {
  return [...body.matchAll(/<(?:input|button)\b[^>]*>/g)].map(([tag]) => attributes(tag));
}

// press fills in the only form of a page as ada, and presses its first button with a
// name, if there is one.
export function press(browser, page) {
  const [action, fields] = form(page);
  let pressed = false;
  for (const { type, name, value = '' } of inputs(page.body)) {
    if (type === 'text') fields[name] = 'ada';
    if (type === 'password') fields[name] = 'correct horse';
    if (type !== 'submit' || !name || pressed) continue;
    fields[name] = value;
    pressed = true;
  }
  return browser.submit(action, fields);
}

function attributes(tag) {
  return Object.fromEntries([...tag.matchAll(/\s([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, unescape(value)]));
}

// The characters that templates escape in attributes. The ampersand must be last.
function unescape(text) {
  return text.replaceAll('&quot;', '"').replaceAll('&#x27;', "'").replaceAll('&#39;', "'").replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
