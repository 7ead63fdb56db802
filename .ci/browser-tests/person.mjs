// A user with a browser profile of their own.
import assert from 'node:assert/strict';

export class Person {
  #asking; // a tab for requests by scripts
  visited = []; // the URLs of all page loads, including redirects

  constructor(world, context) {
    this.world = world;
    this.context = context;
    context.setDefaultTimeout(20_000);
    context.on('request', (request) => {
      if (request.isNavigationRequest() && !request.frame().parentFrame()) this.visited.push(request.url());
    });
  }

  // tab opens an address, or a path of the application, in a new tab.
  async tab(address) {
    const page = await this.context.newPage();
    await this.open(page, address);
    return page;
  }

  open(page, address) {
    return page.goto(new URL(address, this.world.app).href);
  }

  // logIn opens the guarded page, logs in, and returns the tab.
  async logIn(path = '/me', name = undefined, email = undefined) {
    const page = await this.tab(path);
    await this.sayWho(page, name, email);
    await this.arrivesAt(page, path);
    return page;
  }

  // sayWho fills in the provider's form.
  async sayWho(page, name = 'Grace Hopper', email = 'grace@example.test') {
    await page.getByLabel('E-mail').fill(email);
    await page.getByLabel('Name').fill(name);
    await page.getByRole('button', { name: 'Continue' }).click();
  }

  async isAsked(page) {
    await page.getByRole('heading', { name: 'Who are you?' }).waitFor();
    assert.notEqual(new URL(page.url()).origin, this.world.app);
  }

  async arrivesAt(page, path) {
    await page.waitForURL(new URL(path, this.world.app).href);
  }

  async reads(page, heading) {
    await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
  }

  // isLoggedIn asks the application, in a separate tab.
  async isLoggedIn() {
    this.#asking ??= await this.tab('/');
    const { status, body } = await ask(this.#asking, '/me');
    assert.ok(status === 401 || body.name === 'Grace Hopper', JSON.stringify(body));
    return status === 200;
  }

  // cookies returns the application's cookies in the browser, by name.
  async cookies() {
    const { hostname } = new URL(this.world.app);
    const all = (await this.context.cookies()).filter(({ domain }) => domain.replace(/^\./, '') === hostname);
    return new Map(all.map((cookie) => [cookie.name, cookie]));
  }

  async sessionCookie() {
    return (await this.cookies()).get(`${this.world.secure ? '__Host-' : ''}pixy-session`)?.value;
  }

  // attempts counts the logins in progress in this browser.
  async attempts() {
    return [...(await this.cookies()).keys()].filter((name) => name.includes('pixy-login-')).length;
  }

  lastCallback() {
    return this.visited.findLast((url) => url.startsWith(`${this.world.app}/auth/callback`));
  }
}

// ask calls the application from a script in a page.
export function ask(page, path) {
  return page.evaluate(async (url) => {
    const response = await fetch(url, { headers: { Accept: 'application/json' } });
    return {
      status: response.status, redirected: response.redirected,
      type: response.headers.get('Content-Type'), body: await response.json(),
    };
  }, path);
}
