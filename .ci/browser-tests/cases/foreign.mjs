// Requests by other sites, and by parts of pages.
import assert from 'node:assert/strict';
import { ask } from '../person.mjs';
import { check } from './check.mjs';

check('link from another site', 'shows the guarded page to a user, and leads other visitors to the login and back', async (ada, makePerson) => {
  await ada.logIn();
  const page = await ada.tab(`${ada.world.evil}/link`);
  await page.getByRole('link').click();
  await ada.reads(page, 'Grace Hopper');
  assert.equal(page.url(), `${ada.world.app}/me`);

  const visitor = await makePerson();
  const theirs = await visitor.tab(`${ada.world.evil}/link`);
  await theirs.getByRole('link').click();
  await visitor.isAsked(theirs);
  await visitor.sayWho(theirs);
  await visitor.arrivesAt(theirs, '/me');
});

check('trap from another site', 'with a return_to to another site ends at the home page', async (ada) => {
  const page = await ada.tab(`${ada.world.evil}/trap`);
  await page.getByRole('link').click();
  await ada.isAsked(page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/');
  await ada.reads(page, 'Hello, Grace Hopper');
});

check('forms of others', 'another site sends no session cookie, another origin of the same site does, and neither can log out', async (ada) => {
  await ada.logIn();
  for (const [origin, heading] of [[ada.world.evil, 'Please log in'], [ada.world.sibling, 'Grace Hopper']]) {
    const page = await ada.tab(`${origin}/forms`);
    await page.getByRole('button', { name: 'Look' }).click();
    await ada.reads(page, heading);
    await ada.open(page, `${origin}/forms`);
    const [answer] = await Promise.all([
      page.waitForResponse(`${ada.world.app}/auth/logout`),
      page.getByRole('button', { name: 'You have won' }).click(),
    ]);
    assert.equal(answer.status(), 403);
    await ada.reads(page, 'You were not logged out');
    assert.equal(await ada.isLoggedIn(), true);
  }
});

check('fetch', 'by a script without a session gets 401 with a problem document, and no redirect', async (ada) => {
  const { status, redirected, type, body } = await ask(await ada.tab('/'), '/me');
  assert.deepEqual({ status, redirected, type }, { status: 401, redirected: false, type: 'application/problem+json' });
  assert.equal(body.code, 'login_required');
  assert.equal(body.login_url, '/auth/login');
  assert.equal(await ada.attempts(), 0);
});

check('frames, images, prefetches', 'of the login and of the guarded page begin no login, on another site or on this one', async (ada) => {
  const foreign = await ada.context.newPage();
  await embedded(ada, foreign, ['/auth/login', '/me'], () => ada.open(foreign, `${ada.world.evil}/frames`));

  const own = await ada.tab('/');
  await embedded(ada, own, ['/auth/login', '/auth/login?image', '/auth/login?prefetch', '/me', '/me?prefetch'], () => own.evaluate(() => {
    const add = (tag, attributes) => document.body.append(Object.assign(document.createElement(tag), attributes));
    add('iframe', { src: '/auth/login' });
    add('iframe', { src: '/me' });
    add('img', { src: '/auth/login?image' });
    add('link', { rel: 'prefetch', href: '/auth/login?prefetch' });
    add('link', { rel: 'prefetch', href: '/me?prefetch' });
  }));
});

check('speculation', 'by the browser, which prefetches the login: no login begins before the click', async (ada) => {
  const page = await ada.tab('/');
  const refused = () => ada.world.output().split('code=not_a_navigation').length;
  const before = refused();
  await page.evaluate(() => {
    const prefetch = [{ source: 'list', urls: ['/auth/login?return_to=/me'], eagerness: 'immediate' }];
    const rules = Object.assign(document.createElement('script'), { type: 'speculationrules', text: JSON.stringify({ prefetch }) });
    document.body.append(rules);
  });
  for (const end = Date.now() + 20_000; refused() === before;) {
    assert.ok(Date.now() < end, 'nothing was prefetched');
    await page.waitForTimeout(50);
  }
  assert.equal(await ada.attempts(), 0);
  await page.getByRole('link', { name: 'Log in' }).click();
  await ada.isAsked(page);
});

// embedded loads parts of a page, and checks that each is rejected: no attempt, no
// redirect, no request to the provider.
async function embedded(ada, page, paths, load) {
  const parts = Promise.all(paths.map((path) => page.waitForResponse(ada.world.app + path)));
  await load();
  for (const part of await parts) {
    assert.equal(part.status(), part.url().includes('/me') ? 401 : 403, part.url());
  }
  assert.equal(await ada.attempts(), 0);
}
