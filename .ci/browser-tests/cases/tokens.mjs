// Tokens that the application keeps and refreshes.
import assert from 'node:assert/strict';
import { checkSpecial } from './check.mjs';
import { stored } from './cookies.mjs';

const answer = 'The API knows grace@example.test';

// expires waits until the latest access token has expired.
async function expires(ada, page) {
  await page.waitForTimeout((await ada.world.seen()).lifetime + 100);
}

checkSpecial('tokens in cookies', 'in a separate cookie with the attributes of the session cookie, sealed and hidden from scripts', async (ada) => {
  const page = await ada.logIn('/api');
  await ada.reads(page, answer);
  const cookies = await ada.cookies();
  const kept = cookies.get(`${ada.world.secure ? '__Host-' : ''}pixy-tokens`);
  stored(ada.world, kept, { prefix: '__Host-', lifetime: 12 * 60 * 60 });
  assert.equal(await page.evaluate(() => document.cookie), '', 'a script can read them');
  assert.deepEqual(await page.evaluate(() => cookieStore.getAll()), [], 'a script can read them');

  const { issued } = await ada.world.seen();
  assert.equal(issued.length % 2, 0);
  assert.notEqual(issued.length, 0);
  const shown = [...cookies.values()].flatMap(({ value }) => [value, ...[0, 1].map((from) => Buffer.from(value.slice(from), 'base64url').toString('latin1'))]);
  for (const token of issued) {
    assert.ok(![...shown, await page.content(), ...ada.visited].some((text) => text.includes(token)), 'a token is shown');
  }
});

checkSpecial('one refresh', 'for five tabs that open at once after the token has expired, and one more after the next token has', async (ada) => {
  const page = await ada.logIn('/api');
  await ada.reads(page, answer);
  for (const round of [1, 2]) {
    await expires(ada, page);
    const before = await ada.world.seen();
    await Promise.all([1, 2, 3, 4, 5].map(async (n) => ada.reads(await ada.tab(`/api?round=${round}&tab=${n}`), answer)));
    const after = await ada.world.seen();
    assert.equal(after.granted - before.granted, 1, 'refreshes granted');
    assert.equal(after.presented.length - before.presented.length, 1, 'refreshes asked for');
    assert.equal(new Set(after.presented).size, after.presented.length, 'a refresh token was used twice');
    assert.equal(after.issued.length - before.issued.length, 2);
  }
});

checkSpecial('access withdrawn', 'at the provider: after the token has expired, the next click leads to the login and back to the page', async (ada) => {
  const page = await ada.logIn('/api');
  await ada.reads(page, answer);
  const account = await ada.tab(`${ada.world.provider}/account?client=${ada.world.channel}`);
  await account.getByRole('button', { name: 'Withdraw access' }).click();
  await ada.reads(account, 'Withdrawn');
  await expires(ada, page);
  await page.getByRole('link', { name: 'Call an API' }).click();
  await ada.isAsked(page);
  assert.deepEqual([...(await ada.cookies()).keys()].filter((name) => /pixy-(session|tokens)/.test(name)), []);
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/api');
  await ada.reads(page, answer);
});
