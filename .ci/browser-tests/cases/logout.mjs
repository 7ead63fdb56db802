// Logout by forms and scripts, under a Content Security Policy with form-action 'self'.
import assert from 'node:assert/strict';
import { ask } from '../person.mjs';
import { checkSpecial } from './check.mjs';

const htmx = ['htmx1', 'htmx2', 'htmx4'];
const boosted = [...htmx.map((name) => `${name}-boost`), 'turbo'];

// watched opens a page in a new tab, and collects what the browser says about policies.
async function watched(ada, path) {
  const page = await ada.context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy') || message.text().includes('form-action')) complaints.push(message.text());
  });
  await ada.open(page, path);
  return { page, complaints };
}

// statusOf asks the application by a script, in a tab of its own.
async function statusOf(ada, path) {
  const asking = await ada.tab('/bye');
  const { status } = await ask(asking, path);
  await asking.close();
  return status;
}

// hasLeft checks that a logout has ended on the right page, here and at the provider.
async function hasLeft(ada, page) {
  const [path, heading] = ada.world.channel === 'bye' ? ['/bye', 'Goodbye'] : ['/auth/logout', 'You are logged out'];
  await ada.reads(page, heading);
  assert.equal(page.url(), ada.world.app + path);
  assert.deepEqual([...(await ada.cookies()).keys()], []);
  assert.equal(ada.visited.filter((url) => url.includes('/end-session?')).length, 1);
  assert.equal(await statusOf(ada, '/other'), 401);
  await page.reload();
  await ada.reads(page, heading);
  await ada.open(page, '/other');
  await ada.isAsked(page); // the provider's session has ended, too
}

for (const way of ['form', 'fetch', ...boosted, ...htmx.map((name) => `${name}-button`)]) {
  checkSpecial(`log out by ${way}`, 'ends the session here and at the provider, and leaves nothing in the address bar', async (ada) => {
    const { page, complaints } = await watched(ada, `/with/${way}`);
    await ada.sayWho(page);
    await ada.arrivesAt(page, `/with/${way}`);
    await ada.reads(page, 'Grace Hopper');
    await ada.open(page, '/auth/login?return_to=/other'); // asks nothing, because the provider has a session
    await ada.arrivesAt(page, '/other');
    await ada.open(page, `/with/${way}`);
    await page.getByRole('button', { name: 'Log out' }).click();
    await hasLeft(ada, page);
    assert.deepEqual(complaints, []);
  });
}

checkSpecial('log out without scripts', 'needs none', async (_, makePerson) => {
  const ada = await makePerson({ runsScripts: false });
  const { page } = await watched(ada, '/with/form');
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/with/form');
  await page.getByRole('button', { name: 'Log out' }).click();
  await ada.reads(page, ada.world.channel === 'bye' ? 'Goodbye' : 'You are logged out');
  await ada.open(page, '/other');
  await ada.isAsked(page);
});

for (const way of ['form', ...boosted]) {
  checkSpecial(`logout page by ${way}`, 'asks, and logs out by its own form', async (ada) => {
    const { page, complaints } = await watched(ada, `/with/${way}`);
    await ada.sayWho(page);
    await ada.arrivesAt(page, `/with/${way}`);
    await page.getByRole('link', { name: 'Leave' }).click();
    await ada.reads(page, 'Log out?');
    assert.equal(page.url(), `${ada.world.app}/auth/logout`);
    assert.equal(await statusOf(ada, '/other'), 200);
    await page.getByRole('button', { name: 'Log out' }).click();
    await hasLeft(ada, page);
    assert.deepEqual(complaints, []);
  });

  checkSpecial(`session over, ${way}`, 'a link leads to the login and back, and a link to the login works, too', async (ada) => {
    const { page, complaints } = await watched(ada, `/with/${way}`);
    await ada.sayWho(page);
    await ada.arrivesAt(page, `/with/${way}`);
    for (const link of ['Other page', 'Log in anew']) {
      await ada.open(page, `/with/${way}`);
      await ada.reads(page, 'Grace Hopper');
      const { hostname } = new URL(ada.world.app);
      await ada.context.clearCookies({ domain: hostname, name: /pixy-session/ });
      await page.getByRole('link', { name: link }).click();
      await ada.arrivesAt(page, '/other');
      await ada.reads(page, 'Other');
      assert.equal(await statusOf(ada, '/other'), 200);
      assert.equal(await ada.attempts(), 0);
    }
    assert.deepEqual(complaints, []);
  });
}
